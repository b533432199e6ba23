"""What suggestions learnt from corrections save, measured."""

import csv

import cv2
import numpy as np
import pytest
from naming_scene import BIRD, example
from sklearn.metrics import roc_auc_score
from small_weights import save_small_network

from model.keypoint import Box, Keypoint
from model.naming.learner import NamedPoint
from model.naming.worth import COST_MODELS, STANDARD
from studies.__main__ import main
from studies.data_options import parse_counts
from studies.evaluation.datasets import COLUMNS, Annotated
from studies.naming.accuracy import PER_CLASS, POOLED, Row, draws, measure, share
from studies.naming.calibration import calibration_error, ranking
from studies.naming.cases import Case
from studies.naming.controls import detected_points, mean_position, nearest_layout
from studies.naming.learners import is_step, named
from studies.naming.sequence import (
    Suggested,
    Work,
    change,
    from_scratch,
    simulate,
    with_names,
    with_unnamed_points,
)


def case(seed, *, group="bird", mirrored=False):
    made = example(seed, group=group, mirrored=mirrored)
    nothing = np.zeros((0, 2))
    annotated = Annotated(None, made.name, group, Box(10, 10, 80, 80), (), nothing)
    return Case(made, 80.0, annotated, lambda _box: made.features)


def suggested(points, unnamed=(), position=1):
    return Suggested(0, position, case(0), points, unnamed)


def right(label, *, off=0.0, score=1.0):
    x, y = example(0).points[label]
    return NamedPoint(label, x + off, y, score, score)


def test_work_from_scratch_places_what_is_visible_and_decides_the_rest():
    """Three points at 3.4 s, one absent label at 0.6 s."""
    assert from_scratch(suggested([]), STANDARD) == Work(pytest.approx(3 * 3.4 + 0.6), 4)


def test_work_with_names_counts_every_kind_of_correction():
    """One right, one moved, one of a hidden label deleted, one placed by hand."""
    points = [
        right("beak"),
        right("tail", off=8.0),  # 0.1 of the box
        NamedPoint("right eye", 50.0, 50.0, 1.0, 1.0),
    ]
    found = with_names(suggested(points), STANDARD, everything=True)
    assert found.seconds == pytest.approx(3 * 0.8 + 2.2 + 1.3 + 3.4)
    assert (found.actions, found.shown, found.right) == (3, 3, 1)


def test_a_point_that_was_given_the_other_sides_name_is_renamed():
    """The left eye was suggested as the right one: a look and a new name; two are placed."""
    x, y = example(0).points["left eye"]
    points = [NamedPoint("right eye", x + 1, y, 1.0, 1.0)]
    found = with_names(suggested(points), STANDARD, everything=True)
    assert found.seconds == pytest.approx(0.8 + 2.0 + 2 * 3.4)
    assert (found.actions, found.right) == (3, 0)


def test_a_suggestion_that_is_not_worth_showing_costs_as_much_as_none():
    hidden = NamedPoint("right eye", 50.0, 50.0, 0.01, 0.02)
    none = with_names(suggested([]), STANDARD, everything=False)
    assert with_names(suggested([hidden]), STANDARD, everything=False) == none


def test_work_with_unnamed_points_gives_names_and_deletes_the_others():
    """One point on the beak is renamed, two are deleted, two landmarks are placed by hand."""
    x, y = example(0).points["beak"]
    points = [Keypoint(x, y, 1, "bird"), Keypoint(x + 1, y, 1, "bird"), Keypoint(99, 1, 1, "bird")]
    found = with_unnamed_points(suggested([], points), STANDARD)
    assert found.seconds == pytest.approx(3 * 0.8 + 2.0 + 2 * 1.3 + 2 * 3.4 + 0.6)


def test_all_right_saves_the_same_in_every_cost_model_as_worked_out_by_hand():
    points = [right(label) for label in BIRD]
    for costs in COST_MODELS.values():
        done = with_names(suggested(points), costs, everything=True).seconds
        assert done == pytest.approx(3 * costs.verify + costs.absent)


def test_the_change_is_that_of_the_sums():
    found = change([Work(1.0, 1), Work(2.0, 1)], [Work(2.0, 1), Work(4.0, 1)], ["a", "b"])
    assert (found.mean, found.low, found.high) == pytest.approx((-50.0, -50.0, -50.0))


def test_the_interval_of_a_change_holds_the_truth_as_often_as_it_says():
    """Simulated: 400 sequences of 60 images whose true change is -30 %."""
    random = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        scratch = random.gamma(20, 2, 60)
        saved = scratch * random.beta(7, 3, 60)
        names = [str(image) for image in range(60)]
        found = change([Work(s, 1) for s in saved], [Work(s, 1) for s in scratch], names)
        held += found.low <= -30 <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_scores_that_tell_the_truth_have_no_calibration_error():
    random = np.random.default_rng(0)
    score = random.uniform(size=50_000)
    assert calibration_error(score, random.uniform(size=50_000) < score) < 0.01
    assert calibration_error(score, np.ones(50_000, bool)) == pytest.approx(0.5, abs=0.01)


def test_the_area_under_the_curve_equals_scikit_learns():
    random = np.random.default_rng(0)
    score = random.integers(0, 5, 200) / 5  # with ties
    truth = random.uniform(size=200) < score
    assert ranking(score, truth) == pytest.approx(roc_auc_score(truth, score))
    assert np.isnan(ranking(score, np.ones(200, bool)))


def test_a_draw_per_class_corrects_and_asks_one_class():
    train = [case(seed, group="ab"[seed % 2]) for seed in range(8)]
    test = [case(20 + seed, group="ab"[seed % 2]) for seed in range(4)]
    for _, chosen, asked in draws(train, test, PER_CLASS, 3, 2):
        assert len(chosen) == 3
        assert len({each.example.group for each in [*chosen, *asked]}) == 1
    pooled = list(draws(train, test, POOLED, 5, 2))
    assert [len(asked) for _, _, asked in pooled] == [4, 4]
    assert not list(draws(train, test, POOLED, 9, 2))


def test_the_method_beats_its_controls_on_planted_features():
    train = [case(seed, mirrored=seed % 2 == 1) for seed in range(8)]
    test = [case(20 + seed, mirrored=seed % 2 == 1) for seed in range(6)]
    methods = {"named": named, "mean": mean_position, "nearest": nearest_layout}
    rows = list(measure(train, test, methods, POOLED, 6, 2))
    shares = {
        name: share([row for row in rows if row.method == name], 0.05).mean for name in methods
    }
    assert shares["named"] > 90
    assert shares["named"] > max(shares["mean"], shares["nearest"])


def test_detected_points_are_named_by_the_most_similar_landmark():
    asked = case(9)
    points = [Keypoint(x, y, 1.0, "bird") for x, y in asked.example.points.values()]
    suggest = detected_points({asked.example.name: points})([case(seed) for seed in range(3)])
    found = {point.label: (point.x, point.y) for point in suggest(asked)}
    for label, place in asked.example.points.items():
        np.testing.assert_allclose(found[label], place, atol=1e-6)


def test_a_share_has_the_standard_error_over_draws():
    rows = [
        Row("m", POOLED, 3, draw, "a", str(image), {0.05: hits, 0.1: 4}, 4, 0.0, 4)
        for draw, image, hits in [(0, 0, 1), (0, 1, 3), (1, 0, 4), (1, 1, 4)]
    ]
    found = share(rows, 0.05)
    assert (found.mean, found.error) == pytest.approx((75.0, 25.0))
    assert (share(rows, 0.1).mean, share(rows, 0.1).error) == (100.0, 0.0)


def test_the_first_image_of_a_sequence_gets_no_suggestion_and_the_others_do():
    found = simulate([case(seed) for seed in range(4)], 4, 2, {})
    assert [bool(each.points) for each in found] == [False, True, True, True] * 2
    assert [each.position for each in found] == [0, 1, 2, 3] * 2
    first, second = (
        [each.case.example.name for each in found if each.sequence == number] for number in (0, 1)
    )
    assert sorted(first) == sorted(second)


def test_steps_become_rarer():
    assert [count for count in range(75) if is_step(count)][-9:] == [
        20,
        25,
        30,
        35,
        40,
        45,
        50,
        60,
        70,
    ]


@pytest.mark.parametrize("text", ["1,x", "0", "1,-2"])
def test_counts_have_to_be_numbers_of_images(text):
    with pytest.raises(ValueError, match="expected numbers of images"):
        parse_counts(text)


def drawn_data_set(folder):
    """Write six images for each split: a bright square whose corners are the landmarks."""
    folder.mkdir()
    random = np.random.RandomState(0)
    names = ["a", "b", "c", "d", "e"]
    with (folder / "annotations.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number in range(8):
            split = "train" if number < 5 else "test"
            image = random.randint(0, 60, (64, 64, 3)).astype(np.uint8)
            left, top = random.randint(8, 20, 2)
            image[top : top + 30, left : left + 30] = (200, 80, 40)
            cv2.imwrite(str(folder / f"{number}.png"), image)
            corners = [(0, 0), (30, 0), (0, 30), (30, 30), (15, 15)]
            for name, (x, y) in zip(names, corners, strict=True):
                writer.writerow(
                    [f"{number}.png", "thing", split, left, top, 30, 30, name, left + x, top + y, 1]
                )


NAMES = ("drawn", "drawn, one placed")


def test_the_command_fills_its_sections_of_the_page(tmp_path, capsys):
    drawn_data_set(tmp_path / "drawn")
    weights = save_small_network(tmp_path / "net.safetensors")
    page = tmp_path / "learning.md"
    sections = (f"<!-- begin of {name} -->\nold\n<!-- end of {name} -->\n\n" for name in NAMES)
    page.write_text(f"# Learning\n\n{''.join(sections)}End.\n")
    status = main(
        [
            *("work-saved", "--data", str(tmp_path / "drawn"), "--weights", str(weights)),
            *("--cache", str(tmp_path / "cache"), "--per-class", "1,3", "--pooled", "4"),
            *("--draws", "2", "--length", "4", "--sequences", "2", "--report", str(page)),
            *("--csv", str(tmp_path / "rows.csv"), "--one-placed", "3"),
        ]
    )
    assert status == 0, capsys.readouterr().err
    text = page.read_text()
    assert text.startswith("# Learning")
    assert text.endswith("End.\n")
    assert "\nold\n" not in text
    for words in (
        "others right at once",
        "pooled, 4",
        "random features",
        "slow and careful",
        "ECE",
        "unnamed points",
    ):
        assert words in text
    for plot in ("accuracy", "savings"):
        assert (tmp_path / f"learning-drawn-{plot}.png").stat().st_size > 1000
    with (tmp_path / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 3 * 2 * 3  # methods, settings, draws, test images
    assert {row["visible"] for row in rows} == {"5"}


def test_a_page_without_the_markers_is_an_error_that_says_what_to_add(tmp_path, capsys):
    drawn_data_set(tmp_path / "drawn")
    weights = save_small_network(tmp_path / "net.safetensors")
    page = tmp_path / "learning.md"
    page.write_text("# Learning\n")
    status = main(
        [
            *("work-saved", "--data", str(tmp_path / "drawn"), "--weights", str(weights)),
            *("--cache", str(tmp_path / "cache"), "--per-class", "1", "--pooled", ""),
            *("--draws", "1", "--length", "0", "--no-controls", "--report", str(page)),
        ]
    )
    assert status != 0
    assert "<!-- begin of drawn -->" in capsys.readouterr().err
