import re
from collections.abc import Iterator
from typing import Any

import pytest
from agreement_table import MOMENT, Made, table_of
from agreement_table import added as added_point
from verdict_data import added, annotation, detection, event, moved, predict

from backend.agreement.exports.statistics_table import STATISTICS_COLUMNS, statistics_rows
from backend.agreement.figures import DEFAULTS, agreement_report, measure_agreement
from backend.settings import Settings
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters

NUMBER = re.compile(r"\d+(?:\.\d+)?")


@pytest.fixture
def figures(database) -> dict[str, Any]:
    """Every figure of a few tasks, with two annotators and two model versions."""
    for task in range(1, 9):
        regions = predict(database, task, detection((10, 10), (30, 30)))
        predict(database, task, detection((50, 50)), version="b", deliver=False)
        for annotator in (1, 2):
            result = [moved(regions[0], annotator), regions[1], added(5, 5), regions[2]]
            number = 100 * annotator + task
            event(database, annotation(task, result, number=number, annotator=annotator))
    Recorder(Settings(), database).drain()
    return measure_agreement(database, Filters()).as_json()


def numbers(value: Any) -> Iterator[float]:
    """Yield every number of nested figures; flags are none."""
    if isinstance(value, dict):
        for each in value.values():
            yield from numbers(each)
    elif isinstance(value, list):
        for each in value:
            yield from numbers(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def test_no_figure_of_the_report_is_missing(figures):
    rows = list(statistics_rows(figures))
    assert all(len(row) == len(STATISTICS_COLUMNS) for row in rows)
    in_table = {each for row in rows for each in row[3:7]}
    # Numbers that name a group: a task, an annotator, an alpha.
    in_table |= {float(each) for row in rows for each in NUMBER.findall(f"{row[1]} {row[2]}")}
    sections = {name: each for name, each in figures.items() if name not in ("method", "filters")}
    assert set(numbers(sections)) <= in_table


def test_every_section_of_the_report_has_rows(figures):
    rows = list(statistics_rows(figures))
    found = {(row[0], row[1], row[2]): row for row in rows}
    assert {row[0] for row in rows} >= {
        "overall",
        "label",
        "annotator",
        "people",
        "model_versions",
        "anchoring",
        "landmark",
        "reliability",
        "events",
    }
    assert found["overall", "", "points.suggested"][3] == 16
    assert found["overall", "", "points.judged"][3] == 32
    first, second = sorted(["small-abc", "b"])
    assert ("model_versions", f"{first} / {second}", "neither.difference") in found
    assert found["people", "", "reason"][7] == "both saw the suggestions: no ceiling"


def test_rows_have_different_names(figures):
    names = [tuple(row[:3]) for row in statistics_rows(figures)]
    assert len(names) == len(set(names))


def test_an_estimate_keeps_what_stands_beside_its_interval():
    estimate = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10, "deff": 1.5, "method": "Wilson"}
    figures = {"overall": {"precision": estimate, "ceiling": "both saw them", "drift": True}}
    assert list(statistics_rows(figures)) == [
        ["overall", "", "precision", 0.5, 0.4, 0.6, 10, None],
        ["overall", "", "precision.deff", 1.5, None, None, None, None],
        ["overall", "", "precision.method", None, None, None, None, "Wilson"],
        ["overall", "", "ceiling", None, None, None, None, "both saw them"],
        ["overall", "", "drift", 1.0, None, None, None, None],
    ]


def test_members_of_a_list_that_nothing_tells_apart_have_their_place_as_name():
    figures = {"reliability": [{"score": 0.5}, {"score": 0.9}], "ends": {"at": [1, 2]}}
    assert [row[:4] for row in statistics_rows(figures)] == [
        ["reliability", "0", "score", 0.5],
        ["reliability", "1", "score", 0.9],
        ["ends", "", "at[0]", 1.0],
        ["ends", "", "at[1]", 2.0],
    ]


def test_agreement_in_labels_is_a_figure_and_no_name():
    """Of annotators whose suggestions were withheld; the α of PCK names a row."""
    made = [
        Made(task, [added_point((10, 10), label)], annotator=annotator, shown=False)
        for task in range(12)
        for annotator, label in ((1, "beak"), (2, "tail" if task % 3 == 0 else "beak"))
    ]
    table = table_of(*made)
    report = agreement_report(table, DEFAULTS, made_at=MOMENT).as_json()
    rows = [dict(zip(STATISTICS_COLUMNS, row, strict=True)) for row in statistics_rows(report)]
    alphas = [row for row in rows if row["dimension"] == "pairs" and "alpha" in row["figure"]]
    assert any(row["value"] is not None for row in alphas)
