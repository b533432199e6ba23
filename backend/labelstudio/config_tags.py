"""Read the XML of a labelling configuration: its tags, which image they are on, what they list."""

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from backend.labelstudio.task_values import path_of, value_at


class LabelConfigError(ValueError):
    """A configuration without a usable control for keypoints; the message says why."""


MOST_REPEATED = 30  # images of a `Repeater`: each takes the network's time


def parse_repeated(label_config: str) -> Element:
    """Return a tag around a configuration, each `Repeater` replaced by what it stands for.

    Label Studio repeats what is inside for each item of a list in the task's data. Here it is
    repeated for the first `MOST_REPEATED` items: an image that a task does not have has no address.
    A `Repeater` inside of another one is left out.

    Raises:
        LabelConfigError: as `parse`.
    """
    around = Element("View")
    around.extend(_repeated(parse(label_config)))
    return around


def _repeated(tag: Element, flag: str | None = None, number: int = 0) -> list[Element]:
    """Return what a tag stands for.

    Args:
        flag: what the number of the item is put in place of; None outside of a `Repeater`.
    """
    if tag.tag.lower() == "repeater":
        places = range(MOST_REPEATED) if flag is None else ()
        flag = tag.get("indexFlag") or "{{idx}}"
        return [copy for place in places for child in tag for copy in _repeated(child, flag, place)]
    attributes = dict(tag.items())
    if flag is not None:
        attributes = {name: text.replace(flag, str(number)) for name, text in attributes.items()}
    copy = Element(tag.tag, attributes)
    copy.extend([each for child in tag for each in _repeated(child, flag, number)])
    return [copy]


def parse(label_config: str) -> Element:
    """Return the topmost tag of a configuration.

    Raises:
        LabelConfigError: the XML cannot or must not be read.
    """
    try:
        root: Element = fromstring(label_config, forbid_dtd=True)
    except DefusedXmlException:
        raise LabelConfigError(
            "expected a labelling configuration without a document type or entities, got one with: "
            "remove <!DOCTYPE ...> and <!ENTITY ...>"
        ) from None
    except (ParseError, ValueError) as error:
        raise LabelConfigError(
            f"expected a labelling configuration in XML, got something that is not: {error}; "
            "open Settings > Labeling Interface > Code in Label Studio and save it again"
        ) from None
    return root


def tags(root: Element, kind: str) -> Iterator[Element]:
    """Return the tags of a kind in document order; Label Studio ignores the case of tags."""
    return (tag for tag in root.iter() if tag.tag.lower() == kind.lower())


def images_by_name(root: Element) -> dict[str, Element]:
    """Return the images that have a name."""
    return {tag.get("name", ""): tag for tag in tags(root, "Image") if tag.get("name")}


def image_of(tag: Element, images: Mapping[str, Element]) -> Element | None:
    """Return the first image that a control is on."""
    return next((images[name] for name in _targets(tag) if name in images), None)


def is_on(tag: Element, to_name: str) -> bool:
    """Return whether a control is on the image of this name."""
    return to_name in _targets(tag)


def _targets(tag: Element) -> list[str]:
    """Return the names in `toName`, which may list several, separated by commas."""
    return [name.strip() for name in tag.get("toName", "").split(",")]


def image_path(image: Element) -> str:
    """Return the path in the task's data that `value="$path"` names.

    Raises:
        LabelConfigError: there is none, or it names several pictures.
    """
    name, value = image.get("name"), image.get("value", "")
    if image.get("valueList"):
        raise LabelConfigError(
            f'expected one picture a task, got <Image name="{name}" '
            f'valueList="{image.get("valueList")}">: use value="$image", one task a picture, or a '
            "<Repeater> around the image and its controls"
        )
    path = path_of(value)
    if path is None:
        raise LabelConfigError(
            f'expected <Image name="{name}" value="$FIELD"/> with a field of the task\'s data, '
            f'such as "$image", "$images[0]" or "$meta.image", got value="{value}"'
        )
    return path


def names(control: Element, kind: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return the labels or choices inside a control at any depth, and their aliases."""
    return _names((tag.get("value"), tag.get("alias")) for tag in tags(control, kind))


def names_in_data(items: object) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return the labels that a task's data lists for a control, and their aliases.

    Args:
        items: [{"value": ..., "alias": ...}, ...], raw.
    """
    return _names((text_at(each, "value"), text_at(each, "alias")) for each in listed_in(items))


def _names(
    listed: Iterator[tuple[str | None, str | None]],
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    stored: dict[str, None] = {}
    aliases = {}
    for value, alias in listed:
        name = alias or value
        if name:
            stored[name] = None
        if alias and value and alias != value:
            aliases[value] = alias
    return tuple(stored), tuple(aliases.items())


def listed_in(items: object) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a list in a task's data; nothing if it is no list."""
    return (each for each in (items if isinstance(items, list) else []) if isinstance(each, dict))


def text_at(item: Mapping[str, Any], name: str) -> str | None:
    """Return a text of an object in a task's data; None if it has none."""
    value = item.get(name)
    return value if isinstance(value, str) and value else None


def list_path(control: Element) -> str | None:
    """Return where the task's data lists what belongs to a control, as in `value="$labels"`."""
    return path_of(control.get("value", ""))


def list_at(data: Mapping[str, Any], path: str | None) -> object:
    """Return what the task's data lists at a path; None if it lists nothing."""
    return None if path is None else value_at(data, path)


def stored_name(
    wanted: str, stored: tuple[str, ...], aliases: tuple[tuple[str, str], ...]
) -> str | None:
    """Return a name as results hold it: the exact one, else one that differs only in case."""
    known = [*((name, name) for name in stored), *aliases]
    for form in (str, str.casefold):
        for spelling, name in known:
            if form(spelling) == form(wanted):
                return name
    return None
