"""The coarse and the fine map of a few predictions, kept as small pictures for the report."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image
from sqlalchemy import func, select

from backend.database.connection import CHUNK, Database
from backend.suggestions.tables import kept_maps, predictions
from model.keypoint import Detection

MAPS_PER_VERSION = 24  # predictions of each model version whose maps are kept
SIDE = 112  # px


@dataclass(frozen=True, slots=True)
class KeptMap:
    """A map over the searched part of an image.

    Attributes:
        png: a grey picture of `SIDE` × `SIDE` px; black where the map is lowest, white where
            highest.
        caption: which map it is, such as "class activation"; None if unknown.
    """

    png: bytes
    caption: str | None


@dataclass(frozen=True, slots=True)
class KeptMaps:
    """The two maps of one prediction."""

    coarse: KeptMap
    fine: KeptMap


class MapStorage:
    """Storage of the kept maps."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._complete: set[str] = set()  # versions that have enough; no map is ever deleted

    def has_enough(self, model_version: str) -> bool:
        """Return whether as many maps of a model version are kept as there should be."""
        if model_version not in self._complete and self.count(model_version) >= MAPS_PER_VERSION:
            self._complete.add(model_version)
        return model_version in self._complete

    def keep(self, prediction_id: int, maps: KeptMaps) -> None:
        """Keep the maps of a prediction, unless they are kept already."""
        values = {
            "prediction_id": prediction_id,
            "coarse": maps.coarse.png,
            "coarse_caption": maps.coarse.caption,
            "fine": maps.fine.png,
            "fine_caption": maps.fine.caption,
        }
        with self._database.writing() as connection:
            connection.execute(
                self._database.insert(kept_maps).values(values).on_conflict_do_nothing()
            )

    def count(self, model_version: str) -> int:
        """Return how many predictions of a model version have their maps kept."""
        query = (
            select(func.count())
            .select_from(kept_maps.join(predictions))
            .where(predictions.c.model_version == model_version)
        )
        with self._database.reading() as connection:
            return connection.scalar(query) or 0

    def maps_of(self, prediction_ids: Sequence[int]) -> dict[int, KeptMaps]:
        """Return prediction id → its maps, for the predictions whose maps are kept."""
        found: dict[int, KeptMaps] = {}
        with self._database.reading() as connection:
            for start in range(0, len(prediction_ids), CHUNK):
                query = select(kept_maps).where(
                    kept_maps.c.prediction_id.in_(prediction_ids[start : start + CHUNK])
                )
                for row in connection.execute(query):
                    found[row.prediction_id] = KeptMaps(
                        KeptMap(row.coarse, row.coarse_caption), KeptMap(row.fine, row.fine_caption)
                    )
        return found


def keep_first_maps(
    storage: MapStorage, prediction_id: int, model_version: str, detection: Detection
) -> None:
    """Keep the maps of a prediction if it is among the first of its model version."""
    maps, captions = detection.maps, detection.captions
    if "coarse" not in maps or "fine" not in maps:
        return
    if storage.has_enough(model_version):
        return
    coarse = KeptMap(_png(maps["coarse"]), captions.get("coarse"))
    fine = KeptMap(_png(maps["fine"]), captions.get("fine"))
    storage.keep(prediction_id, KeptMaps(coarse, fine))


def _png(values: ArrayLike) -> bytes:
    """Return a map (h, w) as a grey PNG; a flat map is black."""
    array = np.asarray(values, np.float64)
    low, high = float(array.min()), float(array.max())
    share = (array - low) / (high - low) if high > low else np.zeros_like(array)
    picture = Image.fromarray(np.round(share * 255).astype(np.uint8))
    buffer = io.BytesIO()
    picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
