"""`python -m backend web`: the web process alone."""

import click

from backend.settings import load_settings
from backend.web.server import run


@click.command()
def web() -> int:
    """Run the web process alone; requires REDIS_URL."""
    return run(load_settings())
