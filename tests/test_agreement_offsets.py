"""Systematic offsets, and how often their ellipse holds the true one."""

import math

import numpy as np
import pytest
from agreement_table import Made, columns_of, deleted, kept
from scipy.stats import chi2, f

from backend.agreement.offset_panels import MOST_PANELS, draw_offsets, drawn_offsets, panels_size
from backend.agreement.offsets import MeanVector, Offset, Offsets, offsets
from backend.agreement.parameters import AgreementParameters
from backend.agreement.plots import draw_svg


def measured(*made: Made, **parameters: int) -> Offsets:
    return offsets(columns_of(*made), AgreementParameters(**parameters))


def shifted(
    random: np.random.Generator, task: int, annotator: int, by: float, label: str = "beak"
) -> Made:
    points = [kept((50, 50), label, by=max(0.0, random.normal(by, 0.5))) for _ in range(3)]
    return Made(task, points, annotator=annotator)


def holds(found: MeanVector, true: np.ndarray) -> bool:
    """Whether the ellipse holds a point, by its axes."""
    ellipse = found.ellipse()
    angle = math.radians(ellipse.angle)
    along = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return bool((((along @ (true - found.mean)) / (ellipse.major, ellipse.minor)) ** 2).sum() <= 1)


@pytest.mark.parametrize("icc", [0.0, 0.4])
@pytest.mark.parametrize("images", [5, 10, 50])
def test_the_ellipse_holds_the_true_offset_in_95_of_100_projects(images, icc):
    random, true = np.random.default_rng(1), np.array([0.01, -0.02])
    spread = np.array([[0.02, 0.0], [0.015, 0.01]])
    inside = 0
    for _ in range(800):
        counts = random.integers(1, 6, images)
        of = np.repeat(np.arange(images), counts)
        shared = random.normal(size=(images, 2))[of]
        apart = math.sqrt(icc) * shared + math.sqrt(1 - icc) * random.normal(size=(len(of), 2))
        vectors = true + apart @ spread.T
        sums = np.stack([np.bincount(of, vectors[:, axis]) for axis in (0, 1)], axis=1)
        inside += holds(MeanVector.of(sums, counts.astype(float)), true)
    assert 0.925 <= inside / 800 <= 0.975


def test_with_one_point_an_image_it_is_hotellings_own():
    random = np.random.default_rng(2)
    vectors = random.normal(size=(30, 2)) @ [[1.0, 0.5], [0.0, 0.7]] + [0.4, 0.1]
    found = MeanVector.of(vectors, np.ones(30))
    assert found.covariance == pytest.approx(np.cov(vectors.T) / 30)
    squared = 30 * vectors.mean(0) @ np.linalg.inv(np.cov(vectors.T)) @ vectors.mean(0)
    assert found.p() == pytest.approx(f.sf(squared * 28 / (2 * 29), 2, 28))
    # In large samples the area is that of the χ² region.
    many = MeanVector.of(np.tile(vectors, (200, 1)), np.ones(6000))
    area = math.pi * chi2.ppf(0.95, 2) * math.sqrt(np.linalg.det(many.covariance))
    ellipse = many.ellipse()
    assert math.pi * ellipse.major * ellipse.minor == pytest.approx(area, rel=0.01)


def test_an_offset_is_the_mean_of_kept_suggestions_in_px_and_as_a_share():
    made = [
        Made(
            task,
            [
                kept((20, 20), by=4),
                kept((50, 50)),
                kept((70, 70), by=2, final_label="tail"),
                deleted((90, 90)),
            ],
        )
        for task in range(6)
    ]
    [found] = measured(*made).offsets
    assert (found.annotator, found.label, found.points, found.images) == ("1", "beak", 12, 6)
    assert (found.x_px, found.y_px) == (pytest.approx(2), 0)
    assert (found.x, found.y) == (pytest.approx(0.02), 0)
    assert (found.ellipse, found.reason) == (None, "the images do not differ")


def test_with_an_object_the_share_is_of_its_longer_side():
    made = [Made(n, [kept((20, 20), by=n, length=40.0)]) for n in range(1, 7)]
    [found] = measured(*made).offsets
    assert found.x == pytest.approx(3.5 / 40)
    # All moves point to the right: there is no ellipse across.
    assert found.reason == "the images do not differ"


def vectors(random: np.random.Generator, annotator: int, label: str, by: float) -> list[Made]:
    """Points that were moved in both directions."""
    made = []
    for task in range(12):
        point = kept((50, 50), label, by=1.0)
        x, y = random.normal(by, 1.0), random.normal(0, 1.0)
        object.__setattr__(point, "final_x", 50 + x)
        object.__setattr__(point, "final_y", 50 + y)
        made.append(Made(task, [point], annotator=annotator))
    return made


def test_who_shifts_a_label_is_found_after_holm():
    random = np.random.default_rng(3)
    made = vectors(random, 1, "beak", 0.0) + vectors(random, 2, "beak", 3.0)
    made += vectors(random, 1, "tail", 0.0)
    found = measured(*made).offsets
    assert {(each.annotator, each.label) for each in found if each.p_holm < 0.05} == {("2", "beak")}
    smallest = min(found, key=lambda each: each.p)
    assert smallest.p_holm == pytest.approx(3 * smallest.p)
    assert smallest.x == pytest.approx(0.03, abs=0.01)


def test_few_images_have_no_ellipse_and_what_is_left_out_is_counted():
    random = np.random.default_rng(4)
    made = vectors(random, 1, "beak", 0.0) + vectors(random, 1, "tail", 0.0)[:4]
    made += [Made(90, [kept((5, 5))], annotator=None)]
    found = measured(*made)
    assert [each.reason for each in found.offsets] == [None, "4 of at least 5 images"]
    assert [each.p_holm is None for each in found.offsets] == [False, True]
    few = measured(*made, most_groups=1)
    assert (len(few.offsets), few.left_out) == (1, 1)
    assert measured() == Offsets([], 0)


def test_at_most_twelve_panels_are_drawn_and_those_that_differ_are_marked():
    random = np.random.default_rng(5)
    made = [
        each
        for annotator in range(1, 8)
        for label in ("beak", "<tail>")
        for each in vectors(random, annotator, label, 3.0 if annotator == 1 else 0.0)
    ]
    found: list[Offset] = list(measured(*made).offsets)
    drawn = drawn_offsets(found)
    assert (len(found), len(drawn)) == (14, MOST_PANELS)
    svg = draw_svg(draw_offsets, drawn, panels_size(drawn))
    assert "1, beak *" in svg
    assert svg.count('id="axes_') == MOST_PANELS
    assert draw_svg(draw_offsets, drawn[:5], panels_size(drawn[:5])).count('id="axes_') == 5
    assert "2, &lt;tail&gt;<" in svg
