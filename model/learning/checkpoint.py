"""Save the state of a training after each epoch, so that an interrupted one can resume."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state: tensors, numbers, strings, and lists and dicts of these.

    Raises:
        OSError: the disk is full or the folder is not writable; an existing file stays intact.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            torch.save(dict(state), file)
        partial.replace(path)
    except RuntimeError as error:  # torch raises it for a failure of the disk, its context
        raise OSError(
            f"could not write {path}, the old file is intact: {error.__context__}"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path, device: torch.device) -> dict[str, Any] | None:
    """Read a state, with its tensors on a device; None if there is no file.

    Raises:
        ValueError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError) as error:
        raise ValueError(
            f"expected the checkpoint of a training in {path}, found a damaged file: "
            f"delete it to start over"
        ) from error
    return state
