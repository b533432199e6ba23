"""`python -m model COMMAND`: the detector without any service around it."""

import argparse
import sys
from collections.abc import Sequence

from model.commands import detect, train
from model.networks import Refused, WeightsError
from studies import benchmark, evaluate, figure

COMMANDS = {
    "detect": (detect, "find keypoints on image files"),
    "train": (train, "train a classifier on class labels alone"),
    "evaluate": (evaluate, "measure keypoints against annotated landmarks"),
    "benchmark": (benchmark, "measure how fast and how exact the occlusion map is"),
    "figure": (figure, "draw the figures of the poster for annotated images"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; a mistake of the caller is said in one line."""
    parser = argparse.ArgumentParser(prog="python -m model", description=__doc__)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, purpose) in COMMANDS.items():
        module.add_arguments(subparsers.add_parser(name, help=purpose, description=purpose))
    arguments = parser.parse_args(argv)
    try:
        status: int = COMMANDS[arguments.command][0].run(arguments)
        return status
    except (Refused, WeightsError, ValueError, OSError) as error:
        print(f"{parser.prog} {arguments.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
