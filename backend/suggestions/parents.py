"""Which region is the parent of each landmark, and the rectangles that a prediction repeats."""

from collections.abc import Sequence

from backend.labelstudio.label_config import control_names
from backend.labelstudio.rectangles import repeated
from backend.labelstudio.shapes import Json
from backend.suggestions.records import Prediction


class Parents:
    """The rectangles of a prediction's task, as regions of the annotation that it becomes.

    Args:
        label_config: rectangles of controls that it no longer has are not repeated.
    """

    def __init__(self, row: Prediction, label_config: str) -> None:
        rectangles = [each.rectangle for each in row.objects]
        known = control_names(label_config) if rectangles else frozenset()
        self._results, ids = repeated(rectangles, row.key)
        self._ids: list[str | None] = []
        for rectangle, own_id in zip(rectangles, ids, strict=True):
            usable = all(each.get("from_name") in known for each in rectangle.regions)
            self._ids.append(own_id if usable else None)

    def id_of(self, number: int | None) -> str | None:
        """Return the id of an object's region; None for no object, and if it is no region."""
        return None if number is None else self._ids[number]

    def repeated_for(self, points: Sequence[Json]) -> list[Json]:
        """Return the results that repeat the rectangles that are the parent of a point."""
        parents = {point.get("parentID") for point in points}
        return [each for each in self._results if each["id"] in parents]
