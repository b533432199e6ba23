"""The drawn vehicles: what they show is where they say, and the class is in the shape alone."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from drawings.dataset import COLUMNS, write_data_set
from drawings.drawing import Drawing, draw
from drawings.shapes import CLASSES
from drawings.vehicle import LANDMARKS
from model.decoding import read

GROUND = (238, 240, 242)  # of plain drawings
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


def places(drawing: Drawing) -> dict[str, tuple[float, float]]:
    return {landmark.name: (landmark.x, landmark.y) for landmark in drawing.landmarks}


def visible(drawing: Drawing) -> set[str]:
    return {landmark.name for landmark in drawing.landmarks if landmark.visible}


def centre_of_the_patch_at(image: np.ndarray, x: float, y: float) -> tuple[float, float]:
    """Centroid of the evenly coloured patch that a point lies on."""
    filled = np.zeros((image.shape[0] + 2, image.shape[1] + 2), np.uint8)
    step, flags = (12, 12, 12), 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE
    start = (round(x), round(y))
    cv2.floodFill(image.copy(), filled, start, 0, loDiff=step, upDiff=step, flags=flags)
    rows, columns = np.nonzero(filled[1:-1, 1:-1])
    return float(columns.mean()), float(rows.mean())


def test_there_are_six_types_and_more_than_twelve_landmarks():
    assert len(CLASSES) >= 6
    assert len(set(LANDMARKS)) == len(LANDMARKS) >= 12
    assert all([m.name for m in draw(index).landmarks] == list(LANDMARKS) for index in range(6))


def test_the_classes_take_turns():
    assert [draw(index, (32, 24)).class_name for index in range(12)] == [*CLASSES, *CLASSES]


def test_the_same_number_and_seed_give_the_same_drawing_and_others_do_not():
    first, again = draw(7, seed=3), draw(7, seed=3)
    assert np.array_equal(first.image, again.image)
    assert first.landmarks == again.landmarks
    assert not np.array_equal(first.image, draw(7, seed=4).image)
    assert not np.array_equal(first.image, draw(13, seed=3).image)


@pytest.mark.parametrize("index", range(12))
def test_wheel_landmarks_are_the_middles_of_the_hubs(index):
    """The hub is an evenly coloured disc: its centroid needs no knowledge of the geometry."""
    drawing = draw(index, (960, 720), plain=True)
    for name in ("front wheel", "rear wheel"):
        x, y = places(drawing)[name]
        assert centre_of_the_patch_at(drawing.image, x, y) == pytest.approx((x, y), abs=0.5)


def test_a_circle_finder_sees_the_wheels_where_the_landmarks_say():
    found = 0
    for index in range(24):
        drawing = draw(index, (640, 480), plain=True)
        grey = cv2.medianBlur(cv2.cvtColor(drawing.image, cv2.COLOR_RGB2GRAY), 5)
        circles = cv2.HoughCircles(
            grey, cv2.HOUGH_GRADIENT, 1, 30, param1=120, param2=45, minRadius=8, maxRadius=60
        )
        centres = np.zeros((0, 2)) if circles is None else circles.reshape(-1, 3)[:, :2]
        for name in ("front wheel", "rear wheel"):
            distances = np.linalg.norm(centres - places(drawing)[name], axis=1)
            found += bool(len(distances)) and distances.min() < 0.01 * drawing.box.width
    assert found >= 24  # of 48; wheels at three quarters are no circles


def test_parts_have_their_own_colour_where_the_landmarks_say():
    checked = 0
    for index in range(36):
        drawing = draw(index, (800, 600), plain=True)
        for name in visible(drawing) & {"far tail lamp", "front plate", "rear plate"}:
            x, y = places(drawing)[name]
            red, green, blue = drawing.image[round(y), round(x)].astype(int)
            checked += 1
            if name == "far tail lamp":
                assert red > 2 * max(green, blue)
            else:
                assert red > blue > 110  # warm white
                assert red - green < 20
    assert checked >= 20


def test_the_handle_and_the_mirror_are_the_middles_of_their_patches():
    for index in range(12):
        drawing = draw(index, (1200, 900), plain=True)
        scale = drawing.box.width
        for name in ("door handle", "mirror"):
            x, y = places(drawing)[name]
            if name in visible(drawing):
                centre = centre_of_the_patch_at(drawing.image, x, y)
                assert centre == pytest.approx((x, y), abs=0.006 * scale), (index, name)


@pytest.mark.parametrize("index", range(6))
def test_the_box_is_as_tight_as_the_drawn_pixels(index):
    drawing = draw(index, (640, 480), plain=True)
    rows, columns = np.nonzero((drawing.image != GROUND).any(axis=2))
    box = drawing.box
    assert box.left == pytest.approx(columns.min(), abs=1.5)
    assert box.top == pytest.approx(rows.min(), abs=1.5)
    assert box.left + box.width == pytest.approx(columns.max() + 1, abs=1.5)
    assert box.top + box.height == pytest.approx(rows.max() + 1, abs=1.5)


def test_every_landmark_lies_on_the_vehicle():
    for index in range(24):
        drawing = draw(index, (640, 480), plain=True)
        vehicle = (drawing.image != GROUND).any(axis=2).astype(np.uint8)
        near = cv2.dilate(vehicle, np.ones((7, 7), np.uint8))
        for name, (x, y) in places(drawing).items():
            assert near[round(y), round(x)], (index, name)


@pytest.mark.parametrize("index", range(6))
def test_turning_the_vehicle_round_mirrors_image_and_landmarks(index):
    width = 320
    right = draw(index, (width, 240), facing="right", plain=True)
    left = draw(index, (width, 240), facing="left", plain=True)
    for name, (x, y) in places(right).items():
        assert places(left)[name] == pytest.approx((width - 1 - x, y), abs=1e-9)
    assert visible(left) == visible(right)
    difference = cv2.absdiff(left.image[:, ::-1], right.image)
    assert difference.mean() < 0.5


def test_the_front_faces_the_given_direction():
    for index in range(12):
        for facing, sign in (("right", 1), ("left", -1)):
            place = places(draw(index, (64, 48), facing=facing))
            assert sign * (place["front wheel"][0] - place["rear wheel"][0]) > 0


@pytest.mark.parametrize("index", range(6))
def test_twice_the_size_is_the_same_scene_with_twice_the_coordinates(index):
    small, large = draw(index, (240, 180)), draw(index, (480, 360))
    for name, (x, y) in places(small).items():
        expected = ((x + 0.5) * 2 - 0.5, (y + 0.5) * 2 - 0.5)
        assert places(large)[name] == pytest.approx(expected, abs=1e-9)
    assert large.box.left == pytest.approx(2 * small.box.left)
    assert large.box.height == pytest.approx(2 * small.box.height)
    reduced = cv2.resize(large.image, (240, 180), interpolation=cv2.INTER_AREA)
    assert cv2.absdiff(reduced, small.image).mean() < 6


def test_a_drawing_may_have_any_shape():
    for size in ((16, 16), (37, 211), (500, 60)):
        drawing = draw(4, size)
        assert drawing.image.shape == (size[1], size[0], 3)
        assert drawing.box.left >= 0
        assert drawing.box.left + drawing.box.width <= size[0]
        assert drawing.box.top >= 0
        assert drawing.box.top + drawing.box.height <= size[1]


def test_most_landmarks_are_seen_and_those_turned_away_are_not():
    counts = []
    for index in range(120):
        drawing = draw(index, (32, 24), plain=True)
        seen = visible(drawing)
        counts.append(len(seen))
        # One cannot look at both ends of a vehicle at once.
        assert not {"front plate", "rear plate"} <= seen
        assert not {"far head lamp", "far tail lamp"} <= seen
    assert np.mean(counts) >= 12
    assert min(counts) >= 10


def test_things_in_front_hide_landmarks_and_only_hide():
    hidden = 0
    for index in range(150):
        open_view, busy = visible(draw(index, (64, 48), plain=True)), visible(draw(index, (64, 48)))
        assert busy <= open_view
        hidden += len(open_view - busy)
    assert hidden >= 5


def test_colours_and_surroundings_do_not_tell_the_class():
    """A nearest-mean rule on colour histograms does hardly better than guessing."""
    features, labels = [], []
    for index in range(300):
        drawing = draw(index, (48, 36), seed=5)
        histogram = cv2.calcHist([drawing.image], [0, 1, 2], None, [4] * 3, [0, 256] * 3)
        box = drawing.box
        place = np.array([box.left, box.top]) / 48
        features.append(np.concatenate([histogram.ravel() / histogram.sum(), 0.1 * place]))
        labels.append(index % 6)
    features, labels = np.array(features), np.array(labels)
    train = np.arange(300) < 180
    means = np.array([features[train & (labels == k)].mean(0) for k in range(6)])
    distances = np.linalg.norm(features[~train][:, None] - means, axis=2)
    right = (distances.argmin(1) == labels[~train]).mean()
    assert right < 0.36  # guessing: 0.17


@pytest.mark.parametrize(
    "arguments",
    [
        {"index": -1},
        {"index": 0, "seed": -1},
        {"index": 0, "size": (15, 40)},
        {"index": 0, "class_name": "tram"},
    ],
)
def test_an_impossible_drawing_is_refused_with_what_was_expected(arguments):
    with pytest.raises(ValueError, match="expected index and seed of at least 0"):
        draw(**arguments)


def read_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "annotations.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_written_data_set_holds_what_was_drawn(tmp_path):
    write_data_set(tmp_path, 12, seed=2, size=(96, 72))
    rows = read_rows(tmp_path)
    assert len(rows) == 12 * len(LANDMARKS)
    drawing = draw(3, (96, 72), seed=2)
    own = [row for row in rows if row["image"].endswith("00003.png")]
    assert np.array_equal(read(tmp_path / own[0]["image"]), drawing.image)
    assert {row["class"] for row in own} == {drawing.class_name}
    for row, landmark in zip(own, drawing.landmarks, strict=True):
        assert (row["keypoint"], row["visible"]) == (landmark.name, str(int(landmark.visible)))
        if landmark.visible:
            # The CSV's origin is the corner of the image, half a pixel from the first centre.
            assert float(row["x"]) - 0.5 == pytest.approx(landmark.x, abs=1e-3)
            assert float(row["y"]) - 0.5 == pytest.approx(landmark.y, abs=1e-3)
        else:
            assert (row["x"], row["y"]) == ("", "")


def test_a_written_data_set_is_parted_in_training_and_test_images(tmp_path):
    write_data_set(tmp_path, 24, size=(32, 24), test_share=0.25)
    splits = {row["image"]: row["split"] for row in read_rows(tmp_path)}
    assert sorted(splits.values()) == ["test"] * 6 + ["train"] * 18
    tested = {row["class"] for row in read_rows(tmp_path) if row["split"] == "test"}
    assert tested == set(CLASSES)


def test_the_columns_are_those_of_the_photographic_data_sets():
    described = SHARED_DATA / "cub-parts-mini" / "annotations.csv"
    if not described.exists():
        pytest.skip("the photographic data sets are not here")
    with described.open(newline="", encoding="utf-8") as file:
        assert tuple(next(csv.reader(file))[: len(COLUMNS)]) == COLUMNS


def test_fewer_drawings_than_classes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 6 drawings"):
        write_data_set(tmp_path, 5)


def test_all_drawings_of_a_data_set_may_be_of_one_class_and_face_one_way(tmp_path):
    write_data_set(tmp_path, 2, size=(32, 24), class_name="van", facing="left", test_share=0)
    for index in range(2):
        written = cv2.imread(str(tmp_path / "images" / "van" / f"{index:05d}.png"))
        drawn = draw(index, (32, 24), class_name="van", facing="left").image
        np.testing.assert_array_equal(written[..., ::-1], drawn)
