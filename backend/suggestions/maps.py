"""The two maps of a few predictions, kept small for the report."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy import func, select

from backend.database.connection import CHUNK, Database
from backend.suggestions.tables import kept_maps, predictions

MOST = 24  # of a model version
SIDE = 112  # px


class MapStorage:
    """The maps of a few predictions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep_maps(self, prediction_id: int, coarse: bytes, fine: bytes) -> None:
        """Keep the two maps of a prediction, as PNG."""
        values = {"prediction_id": prediction_id, "coarse": coarse, "fine": fine}
        with self._database.writing() as connection:
            connection.execute(
                self._database.insert(kept_maps).values(values).on_conflict_do_nothing()
            )

    def wants_maps(self, model_version: str, most: int) -> bool:
        """Whether fewer than `most` predictions of a model version have their maps kept."""
        asked = (
            select(func.count())
            .select_from(kept_maps.join(predictions))
            .where(predictions.c.model_version == model_version)
        )
        with self._database.reading() as connection:
            return bool((connection.scalar(asked) or 0) < most)

    def maps_of(self, prediction_ids: Sequence[int]) -> dict[int, tuple[bytes, bytes]]:
        """Prediction → its coarse and its fine map, as PNG, of those that are kept."""
        found: dict[int, tuple[bytes, bytes]] = {}
        with self._database.reading() as connection:
            for start in range(0, len(prediction_ids), CHUNK):
                asked = select(kept_maps).where(
                    kept_maps.c.prediction_id.in_(prediction_ids[start : start + CHUNK])
                )
                for row in connection.execute(asked):
                    found[row.prediction_id] = (row.coarse, row.fine)
        return found


def keep_some_maps(
    maps_kept: MapStorage, prediction_id: int, model_version: str, maps: Mapping[str, Any]
) -> None:
    """Keep the coarse and the fine map of the first predictions of a model version."""
    if "coarse" in maps and "fine" in maps and maps_kept.wants_maps(model_version, MOST):
        maps_kept.keep_maps(prediction_id, _png(maps["coarse"]), _png(maps["fine"]))


def _png(values: Any) -> bytes:
    """A map (h, w) as a grey picture: black where it is lowest, white where highest."""
    array = np.asarray(values, np.float64)
    low, high = float(array.min()), float(array.max())
    share = (array - low) / (high - low) if high > low else np.zeros_like(array)
    picture = Image.fromarray(np.round(share * 255).astype(np.uint8))
    buffer = io.BytesIO()
    picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
