"""The doctor's check of the tokens that `/setup` has brought."""

from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from backend.commands.doctor_results import CheckResult, note, problem
from backend.labelstudio.errors import LabelStudioError
from backend.labelstudio.projects import LabelStudios, Project, ProjectStorage, project_id_of
from backend.settings import Settings
from backend.training.registry import existing_database

# Enough for all users who make projects; each is a request to Label Studio.
MOST_TRIED = 20
MOST_SHOWN = 20


def check_tokens(settings: Settings) -> Iterator[CheckResult]:
    """Check that no token is stored that is of no use, and that Label Studio accepts the others."""
    with existing_database(settings) as database:
        if database is None:
            return
        try:
            known = ProjectStorage(database).projects()
        except SQLAlchemyError:
            return  # the check of the database has said so
    stored = [each for each in known if each.access_token is not None]
    if stored and not settings.uses_tokens_of_setup:
        yield note(
            "Stored tokens",
            f"the database holds those that Label Studio sent for {_numbers(stored)}, which these "
            "settings leave no use for: restart the web process, which deletes them as it starts",
        )
    elif stored:
        yield from _refused(settings, stored)


def _refused(settings: Settings, stored: list[Project]) -> Iterator[CheckResult]:
    """Report the tokens that Label Studio does not accept; each is tried once."""
    alike: dict[tuple[str | None, str | None], list[Project]] = defaultdict(list)
    for each in stored:
        place = settings.label_studio_url or each.hostname
        alike[place, each.access_token].append(each)
    studios = LabelStudios(settings)
    for group in list(alike.values())[:MOST_TRIED]:
        try:
            studios.of(group[0]).get("/api/current-user/whoami")
        except LabelStudioError as error:
            if error.status == 401:
                yield problem(
                    "Stored tokens",
                    f"Label Studio refuses the token that it sent for {_numbers(group)}, perhaps "
                    "because it was renewed: set LABEL_STUDIO_API_KEY, or have Label Studio send "
                    "the new one, by saving the model again under Settings > Model > Edit",
                )
            elif error.status is None:
                return  # no answer; the check of Label Studio has said so


def _numbers(projects: list[Project]) -> str:
    shown = [str(project_id_of(each.uid) or each.uid) for each in projects[:MOST_SHOWN]]
    more = f" and {len(projects) - MOST_SHOWN} more" if len(projects) > MOST_SHOWN else ""
    return f"{'project' if len(projects) == 1 else 'projects'} {', '.join(shown)}{more}"
