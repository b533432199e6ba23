"""The two maps of a few predictions, kept small for the report."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from backend.verdicts.storage import VerdictStorage

MOST = 24  # of a model version
SIDE = 112  # px


def keep_some_maps(
    log: VerdictStorage, prediction_id: int, model_version: str, maps: Mapping[str, Any]
) -> None:
    """Keep the coarse and the fine map of the first predictions of a model version."""
    if "coarse" in maps and "fine" in maps and log.wants_maps(model_version, MOST):
        log.keep_maps(prediction_id, _png(maps["coarse"]), _png(maps["fine"]))


def _png(values: Any) -> bytes:
    """A map (h, w) as a grey picture: black where it is lowest, white where highest."""
    array = np.asarray(values, np.float64)
    low, high = float(array.min()), float(array.max())
    share = (array - low) / (high - low) if high > low else np.zeros_like(array)
    picture = Image.fromarray(np.round(share * 255).astype(np.uint8))
    buffer = io.BytesIO()
    picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
