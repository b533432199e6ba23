"""`python -m backend cvat`: suggestions for a task of CVAT, and what annotators did with them."""

import click
from redis import Redis
from tqdm import tqdm

from backend.commands.command_line import refusing
from backend.commands.open_database import open_database
from backend.hosts.cvat_client import SUPPORTED, Cvat, CvatError, cvat_of, is_supported
from backend.hosts.cvat_pull import CvatPull, PullSummary
from backend.hosts.cvat_push import CvatPush, Outcome, PushSummary
from backend.hosts.cvat_task import load_task
from backend.labelstudio.label_config import LabelConfigError
from backend.local.embedded_redis import redis_url
from backend.settings import load_settings
from backend.suggestions.queue import make_queue

OUTCOMES: dict[Outcome, str] = {
    "new": "got suggestions",
    "empty": "get none, because none is worth showing",
    "replaced": "had suggestions that nobody had touched, and got these in their place",
    "same": "have these suggestions already",
    "begun": "left as they are, because someone has begun",
    "done": "left as they are, because their job is finished",
    "withheld": "get none, because of HOLDOUT_SHARE",
    "failed": "failed",
}

task_option = click.option(
    "--task", "task_id", type=int, required=True, metavar="ID", help="Its number in CVAT."
)


@click.group()
def cvat() -> None:
    """Suggest keypoints in tasks of CVAT, and read back what annotators did.

    It needs CVAT_URL and CVAT_ACCESS_TOKEN, and so do the workers.
    """


@cvat.command()
@task_option
@click.option(
    "--labels", default="", metavar="A,B", help="Only these labels of keypoints. Default: all."
)
def push(task_id: int, labels: str) -> int:
    """Put suggestions into a task, made by the workers; replace those that nobody has touched."""
    chosen = [name.strip() for name in labels.split(",") if name.strip()]
    settings = load_settings()
    with refusing(CvatError, LabelConfigError, OSError):
        server = _connected(cvat_of(settings))
        task = load_task(server, task_id, chosen)
        with (
            open_database(settings) as database,
            Redis.from_url(redis_url(settings)) as connection,
            tqdm(total=len(task.frames), desc="Pre-labelling", unit="frame") as bar,
        ):

            def watch(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            summary = CvatPush(settings, database, make_queue(connection), server, watch).run(task)
    print(f"Suggestions of {summary.version} for task {task_id}:\n{_pushed(summary)}")
    return 1 if summary.outcomes["failed"] else 0


@cvat.command()
@task_option
def pull(task_id: int) -> int:
    """Read back what annotators made of the suggestions. Harmless when repeated."""
    settings = load_settings()
    with refusing(CvatError, LabelConfigError, OSError):
        server = _connected(cvat_of(settings))
        task = load_task(server, task_id)
        with open_database(settings) as database:
            summary = CvatPull(settings, database, server).run(task)
    print(_pulled(summary))
    return 0


def _connected(server: Cvat) -> Cvat:
    """Return a server that answers, and say so if it is of another version than was read."""
    version = server.version()
    if not is_supported(version):
        tqdm.write(f"This was written for CVAT {SUPPORTED}; {server.url} is {version}")
    return server


def _pushed(summary: PushSummary) -> str:
    counts = [(summary.outcomes[each], text) for each, text in OUTCOMES.items()]
    lines = [f"  {count} × {text}" for count, text in counts if count]
    lines += [f"    {count} × {reason}" for reason, count in summary.reasons.most_common()]
    return "\n".join(lines) or "  the task has no job"


def _pulled(summary: PullSummary) -> str:
    run = summary.run
    lines = [
        f"Project {run.project_uid}: {run.annotations} frames of {summary.done} finished jobs, "
        f"{run.added} of them new or changed; {run.retracted} were deleted"
    ]
    if summary.done < summary.jobs:
        lines.append(
            f"{summary.jobs - summary.done} of {summary.jobs} jobs are not finished, and not read: "
            "set their state to completed in CVAT (Menu, Finish the job)"
        )
    if summary.tracks:
        lines.append(f"{summary.tracks} frames with tracks were left out: use shapes instead")
    return "\n".join(lines)
