"""`python -m backend jobs`: list the work that waits, failed or was given up, and try it again."""

import json
from dataclasses import asdict

import click

from backend.commands.command_line import refusing
from backend.commands.open_database import open_database
from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage, UnknownProject, project_id_of
from backend.outages.records import JobFilter, WaitCount
from backend.settings import Settings, load_settings
from backend.suggestions.unfinished_work import UnfinishedWork
from backend.verdicts.set_aside_storage import SetAsideStorage


@click.group(invoke_without_command=True)
@click.option("--project", type=int, metavar="ID", help="Only of this project in Label Studio.")
@click.option("--reason", metavar="TEXT", help="Only with this text in the reason.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def jobs(context: click.Context, project: int | None, reason: str | None, as_json: bool) -> int:
    """List work that is not done, by reason: queued, waiting, failed or given up."""
    if context.invoked_subcommand is not None:
        return 0
    with refusing(UnknownProject):
        return list_jobs(load_settings(), project, reason, as_json=as_json)


@jobs.command()
@click.option("--project", type=int, metavar="ID", help="Only of this project in Label Studio.")
@click.option("--reason", metavar="TEXT", help="Only with this text in the reason.")
def retry(project: int | None, reason: str | None) -> int:
    """Try again now what waits, failed or was given up; workers begin within half a minute."""
    with refusing(UnknownProject):
        return retry_jobs(load_settings(), project, reason)


def list_jobs(
    settings: Settings, project: int | None, reason: str | None, *, as_json: bool = False
) -> int:
    """Print the work that is not done, the services that are away and the events set aside.

    Returns:
        1 if anything failed, was given up or is set aside, else 0.

    Raises:
        UnknownProject, DatabaseUnusable: the project or the database cannot be used.
    """
    with open_database(settings) as database:
        work = UnfinishedWork(database)
        counts = work.counts(_filter(database, project, reason))
        away, aside = work.away(), SetAsideStorage(database).events()
    if as_json:
        found = {
            "jobs": [asdict(each) for each in counts],
            "services_away": [asdict(each) for each in away],
            "events_set_aside": [asdict(each) for each in aside],
        }
        print(json.dumps(found, default=str, indent=2))
    else:
        for outage in away:
            print(f"away since {outage.since:%Y-%m-%d %H:%M} UTC: {outage.service}")
        for each in counts:
            print(_line(each))
        for event in aside:
            print(f"event {event.event_id} ({event.action}) set aside: {event.reason}")
        if not counts and not aside:
            print("Everything is done.")
    bad = any(each.state in ("failed", "given up") for each in counts)
    return 1 if bad or aside else 0


def retry_jobs(settings: Settings, project: int | None, reason: str | None) -> int:
    """Try work again, and print how much.

    Returns:
        0.

    Raises:
        UnknownProject, DatabaseUnusable: the project or the database cannot be used.
    """
    with open_database(settings) as database:
        count = UnfinishedWork(database).retry(_filter(database, project, reason))
    print(f"{count} tried again: workers begin within half a minute.")
    return 0


def _filter(database: Database, project: int | None, reason: str | None) -> JobFilter:
    uid = None if project is None else ProjectStorage(database).find_uid(project)
    return JobFilter(uid, reason)


def _line(count: WaitCount) -> str:
    number = project_id_of(count.project_uid)
    name = count.project_uid if number is None else number
    reason = f": {count.reason}" if count.reason else ""
    since = f", since {count.oldest:%Y-%m-%d %H:%M} UTC"
    return f"project {name}, {count.kind}: {count.count} {count.state}{since}{reason}"
