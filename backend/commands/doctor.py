"""`python -m backend doctor`: check a deployment, and say what to set.

It changes nothing, neither here nor in Label Studio. Run it where the web process runs.
"""

import json
from collections.abc import Callable, Iterator

import click

from backend.commands.doctor_cvat import check_cvat
from backend.commands.doctor_database import check_database
from backend.commands.doctor_files import check_data_folder
from backend.commands.doctor_label_studio import check_label_studio
from backend.commands.doctor_model import check_model
from backend.commands.doctor_projects import check_projects
from backend.commands.doctor_redis import check_redis
from backend.commands.doctor_results import CheckResult, problem
from backend.commands.doctor_tokens import check_tokens
from backend.commands.doctor_waiting import check_waiting
from backend.commands.doctor_web import check_web
from backend.commands.doctor_webhooks import check_events
from backend.commands.doctor_workers import check_workers
from backend.settings import Settings, load_settings

Check = Callable[[Settings], Iterator[CheckResult]]

CHECKS: tuple[Check, ...] = (
    check_data_folder,
    check_model,
    check_database,
    check_redis,
    check_workers,
    check_web,
    check_projects,
    check_label_studio,
    check_tokens,
    check_cvat,
    check_events,
    check_waiting,
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> int:
    """Check a deployment and say what to set."""
    return check_all(load_settings(), as_json=as_json)


def check_all(settings: Settings, *, as_json: bool = False) -> int:
    """Run every check and print the results.

    Returns:
        0 if there is no problem, else 1.
    """
    found = []
    for result in results(settings):
        found.append(result)
        if not as_json:
            print(result, flush=True)
    problems = sum(result.is_problem for result in found)
    if as_json:
        shown = [{"kind": one.kind, "subject": one.subject, "text": one.text} for one in found]
        print(json.dumps({"problems": problems, "results": shown}, indent=2))
    else:
        count = "1 problem" if problems == 1 else f"{problems or 'No'} problems"
        print(f"{count} found.")
    return 1 if problems else 0


def results(settings: Settings) -> Iterator[CheckResult]:
    """Yield the results of every check; one that fails itself does not end the others."""
    for check in CHECKS:
        try:
            yield from check(settings)
        except Exception as error:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            yield problem(
                "Doctor",
                f"the check of the {name} ended with {type(error).__name__}: {error}; please "
                "report these words to the developers of the backend",
            )
