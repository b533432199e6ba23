"""`python -m backend report`: agreement of annotators and detector as one page."""

from pathlib import Path

import click

from backend.agreement.report import render
from backend.commands.filter_options import filter_options
from backend.commands.open_database import open_database
from backend.commands.output_file import output_file
from backend.settings import Settings, load_settings
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="HTML file to write.",
)
@filter_options
def report(out: Path, filters: Filters) -> int:
    """Write a page that shows how far annotators and detector agree."""
    write_report(load_settings(), out, filters)
    print(f"Written: {out}")
    return 0


def write_report(settings: Settings, out: Path, filters: Filters) -> None:
    """Write the page to a file.

    Raises:
        DatabaseUnusable, OutputNotWritable: the database or the file cannot be used.
    """
    with open_database(settings) as database:
        Recorder(settings, database).drain()
        page = render(settings, database, filters)
    with output_file(out) as file:
        file.write(page.encode())
