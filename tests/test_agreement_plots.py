"""Plots of reports made by hand."""

from datetime import UTC, datetime, timedelta

import pytest
from agreement_table import MOMENT, Made, added, deleted, kept, table_of

from backend.agreement.clustered import WILSON, Estimate
from backend.agreement.figures import AgreementReport, agreement_report
from backend.agreement.parameters import AgreementParameters
from backend.agreement.plots import LONGEST_NAME, _bar_lengths, largest, plots, short


def report_of(*made: Made) -> AgreementReport:
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    return agreement_report(table_of(*made), AgreementParameters(), made_at=moment)


def test_a_report_of_nothing_has_no_plot():
    assert plots(report_of()) == {}


def test_there_is_a_plot_for_everything_that_there_are_figures_for():
    points = [
        kept((10, 10), score=0.9),
        kept((20, 20), "tail", score=0.2, by=9, length=50.0),
        deleted((30, 30), score=0.1),
        added((40, 40), "wing"),
    ]
    made = [
        Made(task, points, updated_at=MOMENT + timedelta(days=task), class_name=name)
        for task, name in enumerate(("wren", "crow", "wren"))
    ]
    found = plots(report_of(*made))
    names = ["pck", "time", "reliability", "labels", "confusion"]
    assert list(found) == [*names, "landmarks crow", "landmarks wren"]
    assert all(svg.startswith("<svg") for svg in found.values())
    assert "beak (2)" in found["landmarks wren"]
    assert "α × longer side of the object" in found["pck"]


@pytest.mark.parametrize("tasks", [7, 8, 13, 15, 17, 19, 20, 33])
@pytest.mark.parametrize("hit", [True, False])
def test_shares_of_all_and_of_none_are_drawn(tasks, hit):
    """Rounding must not put an end of the interval beyond the share: no bar is that short."""
    report = report_of(*[Made(task, [kept((10, 10), hit=hit)]) for task in range(tasks)])
    [landmark] = report.landmarks
    found = landmark.shown.found
    assert found.value == float(hit)
    if tasks < 20:
        assert found.reason == f"near 0 or 1: {tasks} of at least 20 images"
    else:
        assert (found.high == 1) if hit else (found.low == 0)
    assert "landmarks wren" in plots(report)
    assert min(_bar_lengths([found])[0] + _bar_lengths([found])[1]) == 0.0


def test_without_final_points_there_is_no_plot_of_how_close_suggestions_are():
    assert "pck" not in plots(report_of(Made(1, [deleted((10, 10))])))


def test_a_figure_without_an_interval_has_no_error_bar():
    assert _bar_lengths([Estimate(0.5, None, None, 3, 1, WILSON)]) == ([0.0], [0.0])


def test_the_score_is_not_set_against_a_diagonal():
    """It orders suggestions, and is no probability."""
    points = [kept((10, 10), score=n / 50) for n in range(50)]
    reliability = plots(report_of(Made(1, points)))["reliability"]
    assert "score = share accepted" not in reliability
    assert reliability.count("stroke-dasharray") == 0


def test_the_names_of_many_weeks_do_not_overlap():
    made = [
        Made(task, [kept((10, 10))], updated_at=MOMENT + timedelta(days=7 * task))
        for task in range(13)
    ]
    assert plots(report_of(*made))["time"].count("-W") <= 4


def test_the_largest_labels_are_drawn_not_the_first_of_the_alphabet():
    points = [kept((10, 10), f"label {n:02}") for n in range(20) for _ in range(1 + n)]
    report = report_of(Made(1, points))
    assert [each.name for each in largest(report.by.label)] == [
        f"label {n:02}" for n in range(4, 20)
    ]
    assert "label 19" in plots(report)["labels"]
    assert "label 03" not in plots(report)["labels"]


def test_long_names_are_cut_and_empty_ones_are_marked():
    assert short("a  name\nof lines") == "a name of lines"
    assert len(short("x" * 99)) == LONGEST_NAME
    assert short(" ") == "(no label)"


def test_the_table_of_labels_has_rows_for_those_that_were_suggested_alone():
    points = [kept((10, 10), "car", final_label="wheel"), added((40, 40), "door"), deleted((9, 9))]
    confusion = plots(report_of(Made(1, points)))["confusion"]
    assert confusion.count(">car<") == 1
    assert confusion.count(">wheel<") == 1
    assert not any(label in confusion for label in (">door<", ">beak<"))
    assert "confusion" not in plots(report_of(Made(1, points[1:])))


def test_the_classes_and_landmarks_that_are_annotated_most_are_drawn():
    made = [
        Made(task, [kept((10, 10), f"label {n:02}") for n in range(20 - task)], class_name=name)
        for task, name in enumerate("abcdefghij")
    ]
    made += [Made(20 + task, [kept((9, 9), "label 19")] * 30, class_name="j") for task in range(12)]
    found = plots(report_of(*made))
    drawn = [name for name in found if name.startswith("landmarks ")]
    assert drawn == [f"landmarks {name}" for name in "abcdej"]
    assert "label 19 (12)" in found["landmarks j"]
    assert "label 15" in found["landmarks a"]
    assert "label 16" not in found["landmarks a"]


def test_shares_of_a_suggested_label_count_final_labels_that_have_no_column():
    points = [kept((9, 9), "car", final_label=f"part {n:02}") for n in range(20)]
    confusion = plots(report_of(Made(1, points)))["confusion"]
    assert confusion.count("5%") == 12
    assert "part 12" not in confusion


def test_without_suggestions_there_is_no_plot_over_time():
    made = [
        Made(task, [added((9, 9))], updated_at=MOMENT + timedelta(days=task)) for task in range(3)
    ]
    assert "time" not in plots(report_of(*made))
