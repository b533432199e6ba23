"""All figures of agreement in one report.

They cover annotations that began as the suggestions. Annotations from which these were withheld are
compared in `anchoring`, and count as final points in `model_versions`; `groups` counts all others.
Acceptance, times and work rest on the annotator's first submission, everything else on the newest
state.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from backend.agreement.anchoring import Anchoring, anchoring
from backend.agreement.annotators import Annotators, annotators, without_times
from backend.agreement.as_json import to_json
from backend.agreement.costs import UNDER_LABEL, Costs, default_costs, measure_costs
from backend.agreement.drift import Drift, drift
from backend.agreement.enough import (
    Enough,
    EnoughTimed,
    enough,
    enough_withheld,
    enough_withheld_time,
)
from backend.agreement.filter_reach import not_reached
from backend.agreement.follow_ups import FollowUps, follow_ups
from backend.agreement.group_figures import ChoiceCounts, OverallFigures
from backend.agreement.group_tests import GroupTests, group_tests
from backend.agreement.groups import AnnotationTotals, GroupTables, group_tables
from backend.agreement.landmarks import LandmarkFigures, landmarks, without_lift
from backend.agreement.loading.queries import load_table
from backend.agreement.meetings import meetings
from backend.agreement.next_steps import Step, next_steps
from backend.agreement.offsets import Offsets, offsets
from backend.agreement.pairs import Pairs, pairs
from backend.agreement.parameters import AgreementParameters
from backend.agreement.people import People, people
from backend.agreement.records import AnnotationGroups, Arrivals, UnusedCount
from backend.agreement.rubber_stamping import RubberStamping, rubber_stamping
from backend.agreement.scores import ConfusionCell, ReliabilityBin, confusion, reliability
from backend.agreement.submissions import Submissions
from backend.agreement.summary import Sentence, summarise
from backend.agreement.table import VerdictTable
from backend.agreement.versions import VersionPair, model_versions
from backend.agreement.work_saved import WorkSaved, work_saved
from backend.agreement.worst_tasks import WorstTask, worst_tasks
from backend.database.connection import Database
from backend.verdicts.records import Filters

DEFAULTS = AgreementParameters()


@dataclass(frozen=True, slots=True)
class AgreementReport:
    """Every figure, with the filters and parameters behind it.

    Attributes:
        groups: numbers of annotations that began as the suggestions, and of all others.
        labels: suggested and final labels, counted together.
        reliability: how often suggestions were left untouched, by score.
        events: how annotations reached the backend.
    """

    made_at: datetime
    filters: Filters
    parameters: AgreementParameters
    work_saved: WorkSaved
    costs: Costs
    enough: Enough
    enough_withheld: Enough
    enough_withheld_time: Sequence[EnoughTimed]
    overall: OverallFigures
    by: GroupTables
    labels: Sequence[ConfusionCell]
    reliability: Sequence[ReliabilityBin]
    differences: GroupTests
    rubber_stamping: RubberStamping
    annotators: Annotators
    drift: Drift
    offsets: Offsets
    people: People
    pairs: Pairs
    model_versions: Sequence[VersionPair]
    anchoring: Anchoring
    follow_ups: FollowUps
    landmarks: Sequence[LandmarkFigures]
    worst_tasks: Sequence[WorstTask]
    groups: AnnotationGroups
    not_used: Sequence[UnusedCount]
    events: Arrivals

    def summary(self) -> list[Sentence]:
        """Return five sentences that say what the figures carry."""
        return summarise(
            self.overall.figures,
            self.work_saved,
            self.anchoring,
            self._steps(),
            of_one_label=self.filters.label is not None,
        )

    def _steps(self) -> list[Step]:
        # Under a filter by label the times are those of other points too.
        annotators = self.rubber_stamping.annotators if self.filters.label is None else ()
        return next_steps(
            self.overall.figures.agreement.acceptance.untouched,
            self.overall.figures.annotations,
            self.enough,
            annotators,
            self.differences.label,
            self.by.label,
        )

    def as_json(self) -> dict[str, Any]:
        """Return what `GET /agreement` answers."""
        filters = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(self.filters).items()
        }
        return {
            "made_at": self.made_at.isoformat(timespec="seconds"),
            "summary": to_json(self.summary()),
            "filters": filters,
            "not_reached_by_filters": to_json(not_reached(self.filters)),
            "method": self.parameters.as_method(),
            "work_saved": to_json(self.work_saved),
            "costs": to_json(self.costs),
            "enough": to_json(self.enough),
            "enough_withheld": to_json(self.enough_withheld),
            "enough_withheld_time": to_json(self.enough_withheld_time),
            "overall": to_json(self.overall),
            "by": to_json(self.by),
            "groups_left_out": dict(self.by.left_out),
            "labels": to_json(self.labels),
            "reliability": to_json(self.reliability),
            "differences": to_json(self.differences),
            "rubber_stamping": to_json(self.rubber_stamping),
            "annotators": to_json(self.annotators),
            "drift": to_json(self.drift),
            "offsets": to_json(self.offsets),
            "people": to_json(self.people),
            "pairs": to_json(self.pairs),
            "model_versions": to_json(self.model_versions),
            "anchoring": to_json(self.anchoring),
            "follow_ups": to_json(self.follow_ups),
            "landmarks": to_json(self.landmarks),
            "worst_tasks": to_json(self.worst_tasks),
            "groups": to_json(self.groups),
            "not_used": to_json(self.not_used),
            "events": to_json(self.events),
        }


def measure_agreement(
    database: Database, filters: Filters, parameters: AgreementParameters = DEFAULTS
) -> AgreementReport:
    """Load the verdicts that pass the filters and compute every figure of them."""
    table = load_table(database, filters, parameters)
    return agreement_report(table, parameters, made_at=datetime.now(UTC))


def agreement_report(
    table: VerdictTable, parameters: AgreementParameters, *, made_at: datetime
) -> AgreementReport:
    """Compute every figure of a table.

    Args:
        parameters: those that the table was loaded with.
    """
    shown = table.shown
    totals = AnnotationTotals(shown, parameters)
    overall = totals.overall()
    submitted, met = Submissions.of(shown, parameters), meetings(table, parameters)
    stamping = rubber_stamping(shown, parameters, totals, submitted)
    of_each = annotators(shown, table.withheld, met.among, stamping, parameters, submitted)
    found = landmarks(shown, table.withheld, parameters)
    by_label = table.filters.label is not None
    costs = (
        default_costs(UNDER_LABEL, parameters)
        if by_label
        else measure_costs(shown, table.withheld, parameters)
    )
    compared = anchoring(shown, table.withheld, parameters, totals)
    return AgreementReport(
        made_at=made_at,
        filters=table.filters,
        parameters=parameters,
        work_saved=work_saved(shown, costs, compared.seconds, parameters),
        costs=costs,
        enough=enough(overall.agreement.acceptance.untouched, parameters),
        enough_withheld=enough_withheld(shown, table.withheld, parameters),
        enough_withheld_time=enough_withheld_time(shown, table.withheld, parameters),
        overall=OverallFigures(overall, _count_choices(table), table.skipped),
        by=group_tables(shown, totals, parameters),
        labels=confusion(shown, parameters),
        reliability=reliability(shown, parameters),
        differences=group_tests(shown, parameters),
        rubber_stamping=stamping,
        annotators=of_each if table.filters.label is None else without_times(of_each),
        drift=drift(shown, parameters, submitted),
        offsets=offsets(shown, parameters),
        people=people(table, parameters, met),
        pairs=pairs(met, parameters),
        model_versions=model_versions(table, parameters),
        anchoring=compared,
        follow_ups=follow_ups(table.follow_ups, parameters),
        landmarks=without_lift(found) if by_label else found,
        worst_tasks=worst_tasks(shown, parameters),
        groups=table.groups,
        not_used=table.unused,
        events=table.arrivals,
    )


def _count_choices(table: VerdictTable) -> ChoiceCounts:
    """Count the verdicts about classes of annotations whose annotators saw the suggestions."""
    shown = {each.id for each in table.shown.annotations}
    counts = dict.fromkeys(("accepted", "relabelled", "deleted", "added"), 0)
    for each in table.choices:
        if each.state_id in shown:
            counts[each.verdict] += each.count
    return ChoiceCounts(suggested=sum(counts.values()) - counts["added"], **counts)
