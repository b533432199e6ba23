"""The default preset: class activation times corners, within the region of the evidence."""

from dataclasses import replace

import click
import numpy as np
import pytest
import torch

from model.commands.detector_options import detector_options
from model.detector import Detector
from model.keypoint import Box
from model.networks import IMAGENET_MEAN, IMAGENET_STD, Classifier, build_network
from model.settings import DEFAULT, POSTER, DetectorSettings


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(1)
    network = build_network("small", 2)
    return Classifier(network, "small", ("a", "b"), 64, IMAGENET_MEAN, IMAGENET_STD)


@pytest.fixture
def picture():
    """Grey, with a chequered patch."""
    image = np.full((120, 160, 3), 128, np.uint8)
    patch = np.kron(np.indices((4, 4)).sum(0) % 2, np.ones((8, 8))) * 255
    image[60:92, 100:132] = patch[..., None]
    return image


def test_keypoints_need_both_scales(classifier, picture):
    detection = Detector(classifier, DEFAULT).detect(picture, Box(0, 0, 160, 120))
    coarse, fine = detection.maps["coarse"], detection.maps["fine"]
    expected = coarse / coarse.max() * np.sqrt(fine / fine.max())
    np.testing.assert_allclose(detection.maps["fused"], expected)
    assert len(detection.keypoints) > 3
    for point in detection.keypoints:
        assert 95 <= point.x <= 137 and 55 <= point.y <= 97
        assert 0 < point.score <= 1


def test_the_region_is_searched_without_a_box_and_a_given_box_is_kept(classifier):
    picture = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    whole = Box(0, 0, 160, 120)
    bounded = Detector(classifier, replace(DEFAULT, region_threshold=0.9, region_margin=0.2))
    region = bounded.detect(picture).box
    assert region.width * region.height < 0.8 * 160 * 120
    assert bounded.detect(picture, whole).box == whole
    assert Detector(classifier, replace(DEFAULT, region="none")).detect(picture).box == whole


def test_each_look_at_the_image_is_one_pass_of_the_network(classifier, picture):
    """Over the image and its mirror image: once for the region, once for the keypoints."""
    detector = Detector(classifier, DEFAULT)
    sizes = []
    network = detector.classifier.network
    hook = network.register_forward_hook(lambda *given: sizes.append(len(given[2])))
    detector.detect(picture)
    hook.remove()
    assert sizes == [2, 2]


def test_a_region_that_is_too_small_is_ignored(classifier):
    tiny = np.random.default_rng(0).integers(0, 255, (16, 16, 3)).astype(np.uint8)
    bounded = Detector(classifier, replace(DEFAULT, region_threshold=1.0, region_margin=0.0))
    assert bounded.detect(tiny).box == Box(0, 0, 16, 16)


def test_an_even_image_has_no_keypoints(classifier):
    assert Detector(classifier, DEFAULT).detect(np.full((64, 64, 3), 9, np.uint8)).keypoints == ()


def settings_from(*given: str) -> DetectorSettings:
    received: list[DetectorSettings] = []

    def command(settings: DetectorSettings) -> int:
        received.append(settings)
        return 0

    click.command()(detector_options(command)).main(list(given), standalone_mode=False)
    return received[0]


def test_the_command_line_starts_from_a_preset_and_replaces_what_is_given():
    assert settings_from() == DEFAULT
    assert settings_from("--preset", "poster") == POSTER
    given = ("--preset", "poster", "--max-keypoints", "7", "--no-subpixel")
    assert settings_from(*given) == replace(POSTER, max_keypoints=7, subpixel=False)


def test_none_on_the_command_line_lifts_a_limit_or_names_the_region():
    assert settings_from("--max-keypoints", "none") == replace(DEFAULT, max_keypoints=None)
    assert settings_from("--region", "none") == replace(DEFAULT, region="none")
