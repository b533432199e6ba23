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
    add("worker", _worker)
    demo = add("demo", _demo)
    demo.add_argument("--images", type=Path, metavar="DIR", help="your own; else drawn vehicles")
    demo.add_argument(
        "--check", action="store_true", help="verify that every task got a suggestion, then end"
    )
    return root


def _serve(settings: Settings, _: argparse.Namespace) -> int:
    """web process, workers and, unless REDIS_URL is set, a Redis, in the foreground"""
    from backend.serve import serve

    return serve(settings)


def _web(settings: Settings, _: argparse.Namespace) -> int:
    """the web process alone; it needs REDIS_URL"""
    from backend.web import run

    _expect_redis(settings)
    return run(settings)


def _worker(settings: Settings, _: argparse.Namespace) -> int:
    """one worker alone; it needs REDIS_URL"""
    from backend.worker import run_worker

    _expect_redis(settings)
    run_worker(settings)
    return 0


def _expect_redis(settings: Settings) -> None:
    if settings.redis_url is None:
        raise RuntimeError(
            "REDIS_URL: expected the address of the Redis that web and workers share, such as "
            "redis://localhost:6379/0; got nothing (`serve` brings a Redis of its own)"
        )


def _demo(settings: Settings, arguments: argparse.Namespace) -> int:
    """the backend, a real Label Studio and a project with suggestions, on this machine"""
    from backend.demo import demo

    return demo(settings, images=arguments.images, check=arguments.check)


if __name__ == "__main__":
    sys.exit(main())
