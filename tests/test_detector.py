"""All stages together: determinism, coordinates, limits, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.detector import Detector
from model.keypoint import Box
from model.networks import SMALL, Classifier, build_network
from model.settings import POSTER

SETTINGS = replace(POSTER, window=16, stride=8, max_keypoints=20)

# Equal to the last bit: a GPU sums in another order every time; `test_devices` compares both.
pytestmark = pytest.mark.usefixtures("on_the_processor")


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return Classifier(
        build_network(SMALL, 3), SMALL, ("van", "bus", "car"), 64, (0.5,) * 3, (0.25,) * 3
    )


@pytest.fixture(scope="module")
def picture():
    """Squares of random colours, so that there are corners, on 96 × 72 px."""
    squares = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    return squares.repeat(8, axis=0).repeat(8, axis=1)


@pytest.fixture
def detection(classifier, picture):
    return Detector(classifier, SETTINGS).detect(picture)


def test_keypoints_are_ranked_named_and_on_the_image(detection):
    assert 1 <= len(detection.keypoints) <= 20
    scores = [point.score for point in detection.keypoints]
    assert scores == sorted(scores, reverse=True)
    assert all(0.5 <= score < 1 for score in scores)
    assert {point.label for point in detection.keypoints} == {detection.class_name}
    assert all(-0.5 <= p.x <= 95.5 and -0.5 <= p.y <= 71.5 for p in detection.keypoints)
    assert (detection.width, detection.height) == (96, 72)
    assert detection.box == Box(0, 0, 96, 72)


def test_class_and_probability_are_the_networks_own(classifier, picture):
    detector = Detector(classifier, replace(SETTINGS, input_size=96))
    found = detector.detect(picture[:, :72].repeat(4, 0).repeat(4, 1)[:96, :96])
    pixels = (picture[:, :72].repeat(4, 0).repeat(4, 1)[:96, :96] / 255 - 0.5) / 0.25
    with torch.inference_mode():
        tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
        expected = classifier.network(tensor)[0].softmax(0)
    assert found.class_name == classifier.classes[int(expected.argmax())]
    assert found.probability == pytest.approx(float(expected.max()), abs=1e-6)


def test_the_same_seed_gives_the_same_result_and_another_seed_another_map(
    classifier, picture, detection
):
    again = Detector(classifier, SETTINGS).detect(picture)
    assert again == detection
    other = Detector(classifier, replace(SETTINGS, seed=1)).detect(picture)
    assert not np.array_equal(other.maps["coarse"], detection.maps["coarse"])


def test_one_detector_gives_the_same_result_whatever_it_saw_before(classifier, picture):
    detector = Detector(classifier, SETTINGS)
    first = detector.detect(picture)
    detector.detect(255 - picture)
    assert detector.detect(picture) == first


def test_a_box_gives_the_same_keypoints_as_an_image_of_the_box_alone(classifier, picture):
    """Keypoints differ only by the corner of the box."""
    detector = Detector(classifier, SETTINGS)
    boxed = detector.detect(picture, Box(16, 8, 64, 48))
    cropped = detector.detect(np.ascontiguousarray(picture[8:56, 16:80]))
    assert len(boxed.keypoints) > 0
    for inside, alone in zip(boxed.keypoints, cropped.keypoints, strict=True):
        assert (inside.x, inside.y) == pytest.approx((alone.x + 16, alone.y + 8))
        assert inside.score == alone.score


def test_doubling_the_image_doubles_the_coordinates(classifier, picture, detection):
    """x' = 2 (x + 0.5) - 0.5, as (0, 0) is the centre of the first pixel.

    The image is made of 8 × 8 squares and reduced by averaging, so both give the same input.
    """
    large = picture.repeat(2, axis=0).repeat(2, axis=1)
    small_input = replace(SETTINGS, input_size=48)
    one = Detector(classifier, small_input).detect(picture)
    two = Detector(classifier, small_input).detect(large)
    assert len(one.keypoints) == len(two.keypoints) > 0
    for a, b in zip(one.keypoints, two.keypoints, strict=True):
        assert (b.x, b.y) == pytest.approx((2 * a.x + 0.5, 2 * a.y + 0.5), abs=1e-6)


def test_keypoints_are_farther_apart_than_the_radius_of_suppression(classifier, picture):
    settings = replace(SETTINGS, nms_radius=0.1, subpixel=False, max_keypoints=None, keep=1.0)
    points = Detector(classifier, settings).detect(picture).keypoints
    places = np.array([(p.x, p.y) for p in points])
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    assert apart[~np.eye(len(places), dtype=bool)].min() > 0.1 * 96


def test_the_share_to_keep_is_rounded_up(classifier, picture):
    settings = replace(SETTINGS, max_keypoints=None)
    everything = Detector(classifier, replace(settings, keep=1.0)).detect(picture).keypoints
    kept = Detector(classifier, replace(settings, keep=0.4)).detect(picture).keypoints
    assert len(kept) == int(np.ceil(0.4 * len(everything)))
    assert kept == everything[: len(kept)]


def test_number_and_score_can_be_limited(classifier, picture, detection):
    third = detection.keypoints[2].score
    few = Detector(classifier, replace(SETTINGS, max_keypoints=3)).detect(picture)
    assert few.keypoints == detection.keypoints[:3]
    sure = Detector(classifier, replace(SETTINGS, min_score=third)).detect(picture)
    assert sure.keypoints == detection.keypoints[:3]


def test_the_candidates_are_all_peaks_whatever_is_shown_of_them(classifier, picture, detection):
    everything = replace(SETTINGS, max_keypoints=None, keep=1.0, min_score=0.0)
    peaks = Detector(classifier, everything).detect(picture).keypoints
    assert len(peaks) > len(detection.keypoints)
    for shown in (SETTINGS, replace(SETTINGS, keep=0.4, max_keypoints=3), everything):
        found = Detector(classifier, shown).detect(picture)
        assert found.candidates == peaks
        assert found.keypoints == peaks[: len(found.keypoints)]


def test_padding_holds_no_keypoint(classifier, picture):
    settings = replace(SETTINGS, resize="pad", max_keypoints=None, keep=1.0)
    found = Detector(classifier, settings).detect(picture)
    assert found.maps["fused"].shape == (48, 64)
    assert all(p.y <= 71.5 for p in found.keypoints)


def test_fills_are_averaged(classifier, picture):
    """The map of two fills is the mean of each one's own map."""
    detector = Detector(classifier, replace(SETTINGS, fills=2))
    both = detector.detect(picture).maps["coarse"]
    occlusion = detector._maps["coarse"]
    fills = occlusion.fills
    single = []
    for index in range(2):
        occlusion.fills = fills[index : index + 1]
        single.append(detector.detect(picture).maps["coarse"])
    np.testing.assert_allclose(both, np.mean(single, axis=0), rtol=1e-6)


def test_a_flat_image_has_finite_maps(classifier):
    found = Detector(classifier, SETTINGS).detect(np.full((50, 50, 3), 128, np.uint8))
    assert all(np.isfinite(values).all() for values in found.maps.values())


def test_the_network_is_left_as_it_was_found(classifier, picture):
    before = {name: value.clone() for name, value in classifier.network.state_dict().items()}
    Detector(classifier, SETTINGS).detect(picture)
    assert not classifier.network.training
    after = classifier.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.parametrize(
    ("image", "box", "message"),
    [
        (np.zeros((20, 20), np.uint8), None, "expected an RGB image"),
        (np.zeros((20, 20, 3), np.float32), None, "float32"),
        (np.zeros((20, 20, 3), np.uint8), Box(30, 30, 5, 5), "expected a box on the image"),
        (np.zeros((20, 20, 3), np.uint8), Box(3, 3, 4, 4), "at least 8 px a side, got 4 × 4"),
        (np.zeros((5, 900, 3), np.uint8), None, "at least 8 px a side, got 900 × 5"),
    ],
)
def test_unusable_pictures_and_boxes_are_refused(classifier, image, box, message):
    with pytest.raises(ValueError, match=message):
        Detector(classifier, SETTINGS).detect(image, box)


def test_an_occluder_larger_than_the_input_is_refused_at_once(classifier):
    with pytest.raises(ValueError, match=r"<= 64 .the side of the image"):
        Detector(classifier, replace(SETTINGS, window=65))
