"""The doctor's check of events that did not come."""

from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from backend.commands.doctor_results import CheckResult, problem
from backend.labelstudio.projects import project_id_of
from backend.settings import Settings
from backend.training.registry import existing_database
from backend.verdicts.webhook_storage import WebhookStates


def check_events(settings: Settings) -> Iterator[CheckResult]:
    """Check that annotations come with events, and not with pulls alone."""
    with existing_database(settings) as database:
        if database is None:
            return
        try:
            states = WebhookStates(database).states()
        except SQLAlchemyError:
            return  # the check of the database has said so
    for state in states:
        if state.pulled:
            number = project_id_of(state.project_uid)
            yield problem(f"Events of project {number or state.project_uid}", state.loss())
