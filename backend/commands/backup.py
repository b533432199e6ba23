"""`python -m backend backup`: write database and trained models into one file."""

import os
from pathlib import Path

import click

from backend.commands.command_line import refusing
from backend.commands.open_database import open_database
from backend.commands.output_file import OutputNotWritable, output_file
from backend.settings import Settings, load_settings
from backend.upkeep.backup import write_backup


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> int:
    """Write database and trained models to a file, while the backend runs."""
    with refusing(OutputNotWritable):
        return back_up(load_settings(), file)


def back_up(settings: Settings, file: Path) -> int:
    """Write a backup that only its owner can read, because it holds tokens.

    Returns:
        0, or 1 if weights of a model are missing.

    Raises:
        DatabaseUnusable, OutputNotWritable: the database or the file cannot be used.
    """
    with open_database(settings) as database, output_file(file) as output:
        os.fchmod(output.fileno(), 0o600)
        summary = write_backup(
            database,
            settings.models_folder,
            output,
            with_tokens=not settings.has_label_studio_token,
        )
    file.chmod(0o600)
    files = sum(name.endswith(".safetensors") for name in summary.digests)
    print(
        f"{file}: {sum(summary.rows.values())} rows and {files} models. It holds what annotators "
        "did and tokens of Label Studio: keep it where only you can read it."
    )
    for name in summary.missing:
        print(f"missing: {name} is not in {settings.models_folder}; set MODELS_DIR")
    return 1 if summary.missing else 0
