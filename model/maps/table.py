"""The maps that a detector can combine, one row each.

A new map is a file in `model/maps/` with a factory (see `model.maps.interface`) and a row here.

Standard library only: settings are read by processes that must not load torch.
"""

from dataclasses import dataclass
from typing import Literal

Scale = Literal["coarse", "fine"]


@dataclass(frozen=True, slots=True)
class MapRow:
    """One map.

    Attributes:
        name: value of the setting `coarse` or `fine` that selects the map; unique within a scale.
        scale: the setting that it belongs to.
        caption: text under a picture of the map.
        factory: "module:function" of its `model.maps.interface.MapFactory`, imported only when a
            detector is built.
        version: to be raised when a change to the map's code changes its result; this changes only
            the model versions that use the map.
    """

    name: str
    scale: Scale
    caption: str
    factory: str
    version: int = 1


MAPS: tuple[MapRow, ...] = (
    MapRow("occlusion", "coarse", "occlusion", "model.maps.occlusion:OcclusionMap"),
    MapRow("activation", "coarse", "class activation", "model.maps.class_activation:ActivationMap"),
    MapRow("guided", "fine", "guided backpropagation", "model.maps.guided_backprop:prepare"),
    MapRow("corners", "fine", "corners", "model.maps.corners:prepare"),
)


def names(scale: Scale) -> tuple[str, ...]:
    """Return the names of the maps of a scale, in the order of the table."""
    return tuple(row.name for row in MAPS if row.scale == scale)


def find(scale: Scale, name: str) -> MapRow:
    """Return the row of a map.

    Raises:
        ValueError: the scale has no map of that name.
    """
    for row in MAPS:
        if (row.scale, row.name) == (scale, name):
            return row
    raise ValueError(f"expected {scale} to be one of {', '.join(names(scale))}, got {name!r}")
