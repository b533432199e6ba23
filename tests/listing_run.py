"""Pre-label and pull a very large project, interrupted once, while tasks are added to it.

    python tests/listing_run.py --tasks 1000000

Label Studio is a stand-in over real HTTP that makes up its tasks. No worker runs: every prediction
that was requested is marked as failed, so that only listing, requesting and recording are measured.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click
from label_studio_fake import CONFIG, PROJECT, UID
from loopback_server import Answer, Request, as_json, loopback_server
from serving import PLAIN_ENVIRONMENT, ROOT
from small_weights import save_small_network
from sqlalchemy import text

from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage

ANNOTATED = 10  # every so many tasks have an annotation
ADDED_PER_PAGE = 3
MADE_AT = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(UID.partition(".")[2])))


@dataclass
class MadeUpProject:
    """A project whose tasks are made up when they are listed; a few are added by every page.

    Attributes:
        tasks: their number now.
        grows_until: their number at most.
        pages: the last known task of each listing of tasks.
    """

    tasks: int
    grows_until: int
    pages: list[int] = field(default_factory=list)

    def handle(self, request: Request, _: BaseHTTPRequestHandler) -> Answer:
        place = urlsplit(request.path)
        if place.path == f"/api/projects/{PROJECT}/":
            about = {"id": PROJECT, "title": "Large", "created_at": MADE_AT}
            return as_json(about | {"label_config": CONFIG, "task_number": self.tasks})
        if place.path != "/api/tasks/":
            return as_json({"detail": "Not found."}, 404)
        query = {name: values[0] for name, values in parse_qs(place.query).items()}
        after = json.loads(query["query"])["filters"]["items"][0]["value"]
        self.pages.append(after)
        size = int(query["page_size"])
        found = [_task(n) for n in range(after + 1, min(after + size, self.tasks) + 1)]
        answer = as_json({"tasks": found, "total": self.tasks - after})
        self.tasks = min(self.tasks + ADDED_PER_PAGE, self.grows_until)
        return answer


def _task(number: int) -> dict[str, Any]:
    region = {
        "id": f"r{number}",
        "from_name": "kp",
        "to_name": "image",
        "type": "keypointlabels",
        "original_width": 640,
        "original_height": 480,
        "value": {"x": 50, "y": 50, "width": 0.6, "keypointlabels": ["nose"]},
    }
    annotation = {
        "id": number,
        "created_at": MADE_AT,
        "updated_at": MADE_AT,
        "completed_by": 1,
        "lead_time": 9.5,
        "was_cancelled": False,
        "result": [region],
    }
    data = {"image": f"https://images.example/{number}.jpg"}
    annotations = [] if number % ANNOTATED else [annotation]
    return {"id": number, "data": data, "annotations": annotations, "predictions": []}


@dataclass(frozen=True)
class Listing:
    """What one command did.

    Attributes:
        tasks: of the project in the end.
        rows: that it made, one for each task or annotation.
        expected: so many there should be.
        pages: requests for tasks; of these repeated, those that an interruption cost.
        seconds, megabytes: that it took, and the largest memory of the process.
    """

    command: str
    tasks: int
    rows: int
    expected: int
    pages: int
    repeated: int
    seconds: float
    megabytes: float


class Machine:
    """A database, and the commands that use it."""

    def __init__(self, folder: Path, url: str) -> None:
        weights = save_small_network(folder / "small.safetensors")
        self._variables = {
            **PLAIN_ENVIRONMENT,
            "DATA_DIR": str(folder),
            "LABEL_STUDIO_URL": url,
            "LABEL_STUDIO_API_KEY": "token",
            "MODEL_WEIGHTS": str(weights),
            "REDIS_URL": "redis://127.0.0.1:1/0",  # away: the database holds what is requested
        }
        self.database = Database(f"sqlite:///{folder / 'backend.sqlite3'}")
        self.database.migrate()
        ProjectStorage(self.database).save_label_config(UID, CONFIG)
        self._log = folder / "commands.log"

    def run(self, *arguments: str, stop: threading.Event | None = None) -> tuple[float, float]:
        """Run a command, and kill it when `stop` is set; return its seconds and largest MB."""
        began, largest = time.monotonic(), 0.0
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "backend", *arguments]
            process = subprocess.Popen(
                command, env=self._variables, cwd=ROOT, stdout=log, stderr=log
            )
            while process.poll() is None:
                largest = max(largest, _high_water(process.pid))
                if stop is not None and stop.is_set():
                    process.kill()
                time.sleep(0.05)
        return time.monotonic() - began, largest

    def count(self, query: str) -> int:
        with self.database.reading() as connection:
            return int(connection.execute(text(query)).scalar_one())

    @contextmanager
    def failing_all(self) -> Iterator[None]:
        """Mark every prediction that waits as failed, again and again inside the block."""
        done = threading.Event()
        query = text(
            "UPDATE predictions SET status = 'failed', reason = 'not made', finished_at = :now "
            "WHERE status = 'queued'"
        )

        def run() -> None:
            while not done.wait(0.5):
                with self.database.writing() as connection:
                    connection.execute(query, {"now": now().replace(tzinfo=None)})

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _high_water(pid: int) -> float:
    """Return the largest memory that a process has had, MB; 0 for one that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    sizes = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(sizes[0]) / 1024 if sizes else 0.0


COMMANDS = {
    "prelabel": "SELECT count(*) FROM predictions",
    "sync": "SELECT count(DISTINCT annotation_id) FROM annotation_states",
}


def run_listing(folder: Path, command: str, tasks: int) -> Listing:
    """Run a command on a project of so many tasks, kill it halfway, and run it again."""
    project = MadeUpProject(tasks, tasks + tasks // 100)
    halfway = threading.Event()

    def handle(request: Request, handler: BaseHTTPRequestHandler) -> Answer:
        answer = project.handle(request, handler)
        if len(project.pages) > tasks / 200:
            halfway.set()
        return answer

    with loopback_server(handle) as server:
        machine = Machine(folder, server.url)
        with machine.failing_all():
            first = machine.run(command, "--project", str(PROJECT), stop=halfway)
            second = machine.run(command, "--project", str(PROJECT))
        rows = machine.count(COMMANDS[command])
        machine.database.close()
    last = project.tasks
    return Listing(
        command,
        last,
        rows,
        last if command == "prelabel" else last // ANNOTATED,
        len(project.pages),
        len(project.pages) - len(set(project.pages)),
        first[0] + second[0],
        max(first[1], second[1]),
    )


def as_table(found: Sequence[Listing]) -> str:
    """Return listings as a table in Markdown."""
    lines = [
        "| command | tasks | rows made, of | pages, of these twice | seconds | most memory, MB |",
        "|---|---|---|---|---|---|",
    ]
    for each in found:
        lines.append(
            f"| `{each.command}` | {each.tasks:,} | {each.rows:,} of {each.expected:,} "
            f"| {each.pages:,}, {each.repeated} | {each.seconds:,.0f} | {each.megabytes:.0f} |"
        )
    return "\n".join(lines)


@click.command()
@click.option("--tasks", multiple=True, type=int, default=(10_000, 100_000), show_default=True)
@click.option("--report", type=click.Path(path_type=Path), help="Write the table into this file.")
def main(tasks: tuple[int, ...], report: Path | None) -> None:
    """List, request and pull large projects, and print how that went."""
    found = []
    for size in tasks:
        for command in COMMANDS:
            with tempfile.TemporaryDirectory() as folder:
                found.append(run_listing(Path(folder), command, size))
            print(found[-1], flush=True)
    table = as_table(found)
    if report is not None:
        begins, ends = "<!-- measured listings -->", "<!-- end of what was measured listings -->"
        before, _, rest = report.read_text().partition(begins)
        report.write_text(f"{before}{begins}\n{table}\n{ends}{rest.partition(ends)[2]}")
    print(table)
    sys.exit(any(each.rows != each.expected for each in found))


if __name__ == "__main__":
    main()
