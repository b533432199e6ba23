"""`python -m backend order`: write which tasks to annotate next into a field of the tasks."""

import click

from backend.commands.command_line import refusing
from backend.ordering.ranks import MOST_RANKS
from backend.settings import load_settings


@click.command()
@click.option(
    "--project", type=int, required=True, metavar="ID", help="Its number in Label Studio."
)
@click.option(
    "--field", default="order", show_default=True, help="Field of the tasks' data that it fills."
)
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_RANKS),
    default=200,
    show_default=True,
    metavar="N",
    help="Place the first N tasks; the others have no rank, and are sorted last.",
)
@click.option("--dry-run", is_flag=True, help="Only print the order.")
def order(project: int, field: str, limit: int, dry_run: bool) -> int:
    """Write which tasks to annotate next into a field of the tasks, to sort by."""
    # The detector and the networks take seconds to load, and other commands need neither.
    from backend.commands.order_tasks import REFUSALS, order_project

    with refusing(*REFUSALS):
        return order_project(load_settings(), project, field=field, limit=limit, dry_run=dry_run)
