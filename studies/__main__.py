"""`python -m studies COMMAND`: how good, how exact and how fast the detector is."""

import sys
from collections.abc import Sequence

import click

from model.commands import command_line
from studies.agreement_benchmark import agreement_benchmark
from studies.agreement_coverage import agreement_coverage
from studies.annotation_order import annotation_order
from studies.benchmark import benchmark
from studies.evaluate import evaluate
from studies.figure import figure
from studies.learning_times import learning_times
from studies.score_expectation import score_expectation
from studies.work_saved import work_saved


@click.group()
def commands() -> None:
    """Measure how good, how exact and how fast the detector is."""


commands.add_command(evaluate)
commands.add_command(benchmark)
commands.add_command(figure)
commands.add_command(agreement_benchmark)
commands.add_command(agreement_coverage)
commands.add_command(work_saved)
commands.add_command(learning_times)
commands.add_command(annotation_order)
commands.add_command(score_expectation)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    return command_line.run(commands, "python -m studies", arguments)


if __name__ == "__main__":
    sys.exit(main())
