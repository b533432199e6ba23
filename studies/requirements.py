"""The error for a missing library that only the studies need."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def development_requirements() -> Iterator[None]:
    """Inside the block, a module that is missing raises ValueError that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ValueError(
            f"expected the module {error.name}, found none: run pip install -r requirements-dev.txt"
        ) from error
