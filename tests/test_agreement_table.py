"""The table of all that figures need."""

from datetime import UTC, datetime

from agreement_table import Made, added, kept, table_of

from backend.agreement.figures import agreement_report
from backend.agreement.group_figures import ChoiceCounts
from backend.agreement.parameters import AgreementParameters


def test_annotations_are_divided_into_shown_and_withheld():
    table = table_of(Made(1, [kept((10, 10))]), Made(2, [added((10, 10))], shown=False), Made(3))
    assert [each.task_id for each in table.shown.annotations] == [1, 3]
    assert [each.task_id for each in table.withheld.annotations] == [2]
    assert (len(table.shown.verdict), len(table.withheld.verdict)) == (1, 1)


def test_a_table_made_by_hand_has_every_figure():
    """No database takes part."""
    table = table_of(
        Made(1, [kept((10, 10))], choices={"accepted": 2, "deleted": 1}),
        Made(2, [added((10, 10))], shown=False, choices={"added": 5}),
    )
    parameters, moment = AgreementParameters(level=0.9), datetime(2026, 11, 22, tzinfo=UTC)
    report = agreement_report(table, parameters, made_at=moment)
    # Classes of withheld tasks are not counted.
    assert report.overall.choices == ChoiceCounts(3, 2, 0, 1, 0)
    found = report.as_json()
    assert (found["made_at"], found["method"]["level"]) == ("2026-11-22T00:00:00+00:00", 0.9)
    assert found["overall"]["points"]["suggested"] == 1
    assert found["anchoring"]["withheld"]["annotations"] == 1
    assert found["events"] == {"by_event": 2, "lost": 0, "recovered": 0}
