"""The doctor's checks of work that waits, and of events that were set aside."""

from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from backend.commands.doctor_results import CheckResult, note, problem
from backend.settings import Settings
from backend.suggestions.unfinished_work import UnfinishedWork
from backend.training.registry import existing_database
from backend.verdicts.set_aside_storage import SetAsideStorage


def check_waiting(settings: Settings) -> Iterator[CheckResult]:
    """Name the services that work waits for, and count the events that were set aside."""
    with existing_database(settings) as database:
        if database is None:
            return
        try:
            away, aside = UnfinishedWork(database).away(), SetAsideStorage(database).count()
        except SQLAlchemyError:
            return  # the check of the database has said so
        for outage in away:
            yield problem(
                "Waiting",
                f"work waits for the {outage.service}, away since {outage.since:%Y-%m-%d %H:%M} "
                f"UTC: {outage.reason}",
            )
        if aside:
            yield note(
                "Events",
                f"{aside} cannot be handled by this version and are set aside; "
                "`python -m backend jobs` lists them, and a newer version tries them again",
            )
