"""α and κ of labels against other programs, and how often their intervals hold the true value."""

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from backend.agreement.clustered import Estimate
from backend.agreement.label_agreement import (
    NEARLY_ONE_LABEL,
    NOT_LABELLED_TWICE,
    ONE_LABEL,
    alpha,
    alpha_by_label,
    kappa,
)
from backend.agreement.meetings import Meeting
from backend.agreement.parameters import AgreementParameters
from backend.agreement.points import Points

PARAMETERS = AgreementParameters()


def meeting(task: int, first: list[str], second: list[str]) -> Meeting:
    def points(labels: list[str]) -> Points:
        return Points(np.zeros((len(labels), 2)), np.full(len(labels), 100.0), labels)

    pairs = np.repeat(np.arange(len(first))[:, None], 2, axis=1)
    return Meeting(task, task, ("1", "2"), points(first), points(second), pairs)


def world(
    random: np.random.Generator, tasks: int, icc: float, error: float, labels: str = "abc"
) -> list[Meeting]:
    """Labels with a share of errors; labels and errors of one task resemble each other."""
    chances = np.array([0.5, 0.3, 0.2])
    met = []
    for task in range(tasks):
        points = random.integers(1, 9)
        size = (1 - icc) / icc if icc else None
        own = random.dirichlet(chances * size) if size else chances
        wrong = random.beta(error * size, (1 - error) * size) if size else error
        true = random.choice(3, points, p=own)
        both = [
            np.where(random.random(points) < wrong, random.choice(3, points, p=chances), true)
            for _ in range(2)
        ]
        met.append(meeting(task, *([labels[code] for code in each] for each in both)))
    return met


def given(met: list[Meeting]) -> np.ndarray:
    return np.array([both for each in met for both in each.labels]).T


def test_alpha_is_that_of_krippendorffs_package_and_kappa_that_of_scikit_learn():
    met = world(np.random.default_rng(1), 60, 0.2, 0.3)
    found, by_label = alpha(met, PARAMETERS), alpha_by_label(met, PARAMETERS).by_label
    labels = given(met)
    expected = krippendorff.alpha(labels, level_of_measurement="nominal")
    assert found.value == pytest.approx(expected)
    assert [each.label for each in by_label] == ["a", "b", "c"]
    for each in by_label:
        of_label = krippendorff.alpha(
            (labels == each.label).astype(int), level_of_measurement="nominal"
        )
        assert each.alpha.value == pytest.approx(of_label)
        assert each.alpha.n == (labels == each.label).sum()
    assert kappa(met, PARAMETERS).value == pytest.approx(cohen_kappa_score(*labels))
    assert (found.n, found.images) == (labels.shape[1], 60)


def test_alpha_is_that_of_krippendorffs_own_example_and_of_cases_worked_by_hand():
    """Computing Krippendorff's Alpha-Reliability, 2011, example B: two observers, 0.692."""
    example = [meeting(1, list("aabbdcccedda"), list("babbbccceddd"))]
    assert alpha(example, PARAMETERS).value == pytest.approx(0.692, abs=0.0005)
    assert alpha([meeting(1, ["beak", "tail"], ["beak", "tail"])], PARAMETERS).value == 1.0
    # All four pairable values disagree within units: 1 - 1 / (2 · 2 · 2 / (4 · 3)) = -1/2.
    split = [meeting(1, ["beak", "tail"], ["tail", "beak"])]
    assert alpha(split, PARAMETERS).value == pytest.approx(-0.5)


def test_the_interval_rests_on_the_figure_without_each_task():
    met = world(np.random.default_rng(2), 30, 0.2, 0.3)
    found = alpha(met, PARAMETERS)
    left = np.array(
        [
            1 - krippendorff.alpha(given(met[:n] + met[n + 1 :]), level_of_measurement="nominal")
            for n in range(30)
        ]
    )
    error = np.sqrt(29 / 30 * ((left - left.mean()) ** 2).sum()) / (1 - found.value)
    # Student's t of at most 29 degrees of freedom, or fewer where few tasks carry the spread.
    width = np.log((1 - found.low) / (1 - found.high)) / 2 / error
    assert 2.045 <= width <= 2.3
    assert np.log((1 - found.low) / (1 - found.value)) == pytest.approx(width * error)


@pytest.mark.parametrize(("icc", "error"), [(0.0, 0.15), (0.3, 0.15), (0.0, 0.4)])
@pytest.mark.parametrize("tasks", [10, 50])
def test_intervals_hold_the_true_figure_in_95_of_100_projects(tasks, icc, error):
    many = world(np.random.default_rng(9), 4000, icc, error)
    true = [alpha(many, PARAMETERS).value, kappa(many, PARAMETERS).value]
    random, held, made = np.random.default_rng(3), np.zeros(2), np.zeros(2)
    for _ in range(200):
        met = world(random, tasks, icc, error)
        found = [alpha(met, PARAMETERS), kappa(met, PARAMETERS)]
        for place, each in enumerate(found):
            if each.low is not None:
                made[place] += 1
                held[place] += each.low <= true[place] <= each.high
    assert (made > 190).all()
    assert (held / made > 0.91).all()
    assert (held / made < 0.99).all()


def reason(estimate: Estimate) -> tuple[object, str | None]:
    return estimate.value, estimate.reason


def test_there_is_no_figure_of_one_label_alone_or_of_nothing():
    same = [meeting(task, ["a", "a"], ["a", "a"]) for task in range(20)]
    assert reason(alpha(same, PARAMETERS)) == (None, ONE_LABEL)
    assert reason(kappa(same, PARAMETERS)) == (None, ONE_LABEL)
    assert reason(alpha([], PARAMETERS)) == (None, NOT_LABELLED_TWICE)
    empty = [meeting(1, [], [])]
    assert reason(kappa(empty, PARAMETERS)) == (None, NOT_LABELLED_TWICE)


def test_there_is_no_interval_from_few_tasks_or_where_one_task_alone_differs():
    few = [meeting(task, ["a", "b"], ["a", "b"]) for task in range(9)]
    assert reason(alpha(few, PARAMETERS)) == (1.0, "9 of at least 10 tasks")
    # Only tasks in which a label occurs tell of it.
    rare = [meeting(task, ["a", "c"], ["b", "c"]) for task in range(3)]
    rare += [meeting(task, ["a", "b"], ["a", "b"]) for task in range(3, 15)]
    [of_a, of_b, of_c] = [each.alpha for each in alpha_by_label(rare, PARAMETERS).by_label]
    assert of_c.reason == "3 of at least 10 tasks"
    assert of_a.low is not None and of_b.low is not None
    assert [each.images for each in (of_a, of_b, of_c)] == [15, 15, 3]
    one = [meeting(task, ["a"], ["b" if task == 3 else "a"]) for task in range(12)]
    found = alpha(one, PARAMETERS)
    assert (found.low, found.reason) == (None, NEARLY_ONE_LABEL)
    perfect = [meeting(task, ["a", "b"], ["a", "b"]) for task in range(12)]
    assert reason(alpha(perfect, PARAMETERS)) == (
        1.0,
        "the images do not differ",
    )


def test_the_labels_given_most_are_listed_and_the_others_counted():
    met = [meeting(task, ["a", "b", str(task)], ["a", "b", str(task)]) for task in range(12)]
    found = alpha_by_label(met, AgreementParameters(most_groups=2))
    assert [each.label for each in found.by_label] == ["a", "b"]
    assert found.left_out == 12
