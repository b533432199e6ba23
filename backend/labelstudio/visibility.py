"""Which control says whether a keypoint is visible or occluded, and the results that it makes.

A `Choices` with `perRegion="true"` on the image, such as

    <Choices name="visibility" toName="image" perRegion="true">
      <Choice value="visible"/><Choice value="occluded"/>
    </Choices>

Its results have the id, position and image size of the point's region, as the front end of Label
Studio 1.23.2 writes them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from xml.etree.ElementTree import Element

from backend.labelstudio.config_tags import LabelConfigError, is_on, parse, tags
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import Project
from backend.labelstudio.shapes import Json
from model.keypoint import Visibility

# What a choice may be called, in lower case, with blanks for "_" and "-".
WORDS: dict[str, Visibility] = {
    "hidden": "occluded",
    "invisible": "occluded",
    "not visible": "occluded",
    "occluded": "occluded",
    "visible": "visible",
}


@dataclass(frozen=True)
class VisibilityControl:
    """A control that receives the visibility of single points.

    Attributes:
        from_name, to_name: names of the control and of the image.
        choices: each choice that means a visibility, as results hold it.
        only_for: labels of the points that have this choice in the editor; None for all.
    """

    from_name: str
    to_name: str
    choices: tuple[tuple[str, Visibility], ...]
    only_for: frozenset[str] | None = None

    def meaning(self, region: Mapping[str, Any]) -> Visibility | None:
        """Return what a result, raw, says about its point; None if it says nothing about that."""
        if region.get("from_name") != self.from_name or region.get("type") != "choices":
            return None
        value = region.get("value")
        chosen = value.get("choices") if isinstance(value, Mapping) else None
        known = dict(self.choices)
        named = chosen if isinstance(chosen, list) else []
        found = (known.get(each) for each in named if isinstance(each, str))
        return next((each for each in found if each), None)

    def result(self, point: Json, label: str | None, visibility: Visibility) -> Json | None:
        """Return the result that chooses a visibility for a point.

        Args:
            point: region of the point.

        Returns:
            None if the control has no such choice, or not for this label.
        """
        choice = next((name for name, meaning in self.choices if meaning == visibility), None)
        if choice is None or (self.only_for is not None and label not in self.only_for):
            return None
        place = {name: point["value"][name] for name in ("x", "y", "width")}
        own = {"from_name": self.from_name, "to_name": self.to_name, "type": "choices"}
        kept = {name: value for name, value in point.items() if name != "score"}
        return kept | own | {"value": place | {"choices": [choice]}}


def visibility_control(
    label_config: str, own: Mapping[str, Visibility] | None = None, to_name: str | None = None
) -> VisibilityControl | None:
    """Return the first control on an image of keypoints with a choice for occluded points.

    Args:
        label_config: the XML of the project's labelling configuration.
        own: choices, as value or alias, that the project's settings explain.
        to_name: name of the image; None for the first that has a control for keypoints.

    Returns:
        None if there is none, or the configuration cannot be read.
    """
    return _control(label_config, frozenset((own or {}).items()), to_name)


@lru_cache(maxsize=64)
def _control(
    label_config: str, own: frozenset[tuple[str, Visibility]], image: str | None
) -> VisibilityControl | None:
    try:
        control, root = keypoint_control(label_config).on(image), parse(label_config)
    except LabelConfigError:
        return None
    if control is None or control.skeleton is not None:
        return None  # a choice is about a whole object there
    to_name = control.to_name
    for tag in tags(root, "Choices"):
        if tag.get("perRegion") == "true" and is_on(tag, to_name):
            choices = tuple(_meanings(tag, dict(own)))
            if any(meaning == "occluded" for _, meaning in choices):
                return VisibilityControl(tag.get("name", ""), to_name, choices, _only_for(tag))
    return None


def visibility_control_of(
    project: Project | None, to_name: str | None = None
) -> VisibilityControl | None:
    """Return the control of a project, by its configuration and its own settings.

    Args:
        to_name: as of `visibility_control`.
    """
    if project is None:
        return None
    return visibility_control(project.label_config or "", project.settings.visibility, to_name)


def choices_about_regions(label_config: str) -> frozenset[str]:
    """Return the values and aliases of all choices about single regions.

    Raises:
        LabelConfigError: the XML cannot or must not be read.
    """
    return frozenset(
        name
        for tag in tags(parse(label_config), "Choices")
        if tag.get("perRegion") == "true"
        for choice in tags(tag, "Choice")
        for name in _names(choice)
    )


def _meanings(tag: Element, own: Mapping[str, Visibility]) -> Iterator[tuple[str, Visibility]]:
    """Yield each choice of a control that means a visibility, as results hold it."""
    for choice in tags(tag, "Choice"):
        names = _names(choice)
        explained = (own[name] for name in names if name in own)
        usual = (WORDS[word] for name in names if (word := _word(name)) in WORDS)
        meaning = next(explained, None) or next(usual, None)
        if meaning is not None:
            yield names[0], meaning


def _names(choice: Element) -> list[str]:
    """Return alias and value of a choice, as far as it has them; results hold the first."""
    return [name for name in (choice.get("alias"), choice.get("value")) if name]


def _word(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").split()).casefold()


def _only_for(tag: Element) -> frozenset[str] | None:
    """Return the labels in `whenLabelValue`, which may have a comma in a label's own name."""
    named = tag.get("whenLabelValue")
    return None if named is None else frozenset({named, *named.split(",")})
