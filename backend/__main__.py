"""`python -m backend COMMAND`: the Label Studio side. Settings come from the environment."""

# Commands are imported when they are run: only the worker loads torch.

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from backend.settings import Settings, SettingsError, load_settings

Command = Callable[[Settings, argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; what went wrong is said in one line.

    The status of a refusal is `EX_CONFIG`: `serve` does not start such a process again.
    """
    arguments = parser().parse_args(argv)
    try:
        status: int = arguments.run(load_settings(), arguments)
        return status
    except (SettingsError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return os.EX_CONFIG
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """Commands and their options."""
    root = argparse.ArgumentParser(prog="python -m backend", description=__doc__)
    commands = root.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Command) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
        command.set_defaults(run=run)
        return command

    add("serve", _serve)
    add("web", _web)
    worker = add("worker", _worker)
    worker.add_argument(
        "--check", action="store_true", help="only say whether one lives on this machine"
    )
    trainer = add("trainer", _trainer)
    trainer.add_argument(
        "--check", action="store_true", help="only say whether one lives on this machine"
    )
    demo = add("demo", _demo)
    demo.add_argument("--images", type=Path, metavar="DIR", help="your own; else drawn vehicles")
    demo.add_argument(
        "--check", action="store_true", help="verify that every task got a suggestion, then end"
    )
    demo.add_argument(
        "--label-studio",
        type=Path,
        default=Path(".venv-label-studio/bin/label-studio"),
        metavar="PROGRAM",
        help="in a Python environment of its own (default %(default)s)",
    )
    add("doctor", _doctor)
    prelabel = add("prelabel", _prelabel)
    prelabel.add_argument(
        "--project", type=int, required=True, metavar="ID", help="its number in Label Studio"
    )
    train = add("train", _train)
    train.add_argument(
        "--project", type=int, required=True, metavar="ID", help="its number in Label Studio"
    )
    train.add_argument(
        "--control",
        metavar="NAME",
        help="the Choices that name the classes; default: the first with enough annotations",
    )
    train.add_argument("--arch", help="default: that of the model that answers now")
    train.add_argument(
        "--init",
        metavar="WEIGHTS",
        help="start from IMAGENET1K_V1, a weights file, or nothing; default: the model that "
        "answers now",
    )
    train.add_argument("--epochs", type=int, help="passes over the images, at most")
    train.add_argument("--seed", type=int, default=0, help="default %(default)s")
    train.add_argument(
        "--flip",
        action=argparse.BooleanOptionalAction,
        help="mirrored images keep their class; default: unless one is called left or right",
    )
    models = add("models", _models)
    actions = models.add_subparsers(metavar="ACTION", dest="action")
    use = actions.add_parser("use", help="let another model answer")
    use.add_argument("version", metavar="VERSION")
    actions.add_parser("back", help="let the model answer that did before")
    sync = add("sync", _sync)
    sync.add_argument("--project", metavar="ID", help="one alone, by its number in Label Studio")
    report = add("report", _report)
    report.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page")
    _add_filters(report)
    export = add("export", _export)
    export.add_argument("--format", required=True, choices=["csv", "json", "parquet", "coco"])
    export.add_argument(
        "--what", choices=["verdicts", "statistics"], help="of csv, json, parquet (verdicts)"
    )
    export.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    _add_filters(export)
    return root


def _add_filters(command: argparse.ArgumentParser) -> None:
    from backend.agreement.filters import NAMES

    for name in NAMES:
        command.add_argument(f"--{name.replace('_', '-')}", help="only these annotations")


def _serve(settings: Settings, _: argparse.Namespace) -> int:
    """web process, workers and, unless REDIS_URL is set, a Redis, in the foreground"""
    from backend.commands.serve import serve

    return serve(settings)


def _web(settings: Settings, _: argparse.Namespace) -> int:
    """the web process alone; it needs REDIS_URL"""
    from backend.web.server import run

    return run(settings)


def _worker(settings: Settings, arguments: argparse.Namespace) -> int:
    """one worker alone; it needs REDIS_URL"""
    if arguments.check:
        from backend.workers.health import run

        return run(settings)
    from backend.database.prepare import DatabaseUnusable
    from backend.workers.detection_worker import run_worker

    try:
        run_worker(settings)
    except DatabaseUnusable as error:
        print(error, file=sys.stderr)
        return os.EX_UNAVAILABLE  # unlike a refusal: it may be there when a worker starts again
    return 0


def _trainer(settings: Settings, arguments: argparse.Namespace) -> int:
    """one worker for trainings alone; it needs REDIS_URL"""
    if arguments.check:
        from backend.training.queue import NAME
        from backend.workers.health import run

        return run(settings, NAME)
    from backend.database.prepare import DatabaseUnusable
    from backend.workers.training_worker import run_trainer

    try:
        run_trainer(settings)
    except DatabaseUnusable as error:
        print(error, file=sys.stderr)
        return os.EX_UNAVAILABLE  # as of a worker
    return 0


def _train(settings: Settings, arguments: argparse.Namespace) -> int:
    """train on the choices of a project's submitted annotations, and wait for it"""
    from backend.commands.train import run

    return run(settings, arguments)


def _models(settings: Settings, arguments: argparse.Namespace) -> int:
    """list trained models; let one of them answer, or the one before"""
    from backend.commands.models import run

    return run(settings, arguments)


def _demo(settings: Settings, arguments: argparse.Namespace) -> int:
    """the backend, a real Label Studio and a project with suggestions, on this machine"""
    from backend.commands.demo import demo

    return demo(
        settings,
        label_studio=arguments.label_studio,
        images=arguments.images,
        check=arguments.check,
    )


def _doctor(settings: Settings, _: argparse.Namespace) -> int:
    """check a deployment and say what to set"""
    from backend.commands.doctor import run

    return run(settings)


def _prelabel(settings: Settings, arguments: argparse.Namespace) -> int:
    """ask for suggestions for every task of a project, and wait for them"""
    from backend.commands.prelabel import run

    return run(settings, arguments.project)


def _sync(settings: Settings, arguments: argparse.Namespace) -> int:
    """pull annotations from Label Studio and fill in what its events did not bring"""
    from backend.commands.agreement import pull

    return pull(settings, arguments.project)


def _report(settings: Settings, arguments: argparse.Namespace) -> int:
    """write how annotators and detector agree, as one page"""
    from backend.commands.agreement import write_report

    return write_report(settings, arguments)


def _export(settings: Settings, arguments: argparse.Namespace) -> int:
    """write verdicts, statistics or final annotations (coco) for other tools"""
    from backend.commands.agreement import write_export

    return write_export(settings, arguments)


if __name__ == "__main__":
    sys.exit(main())
