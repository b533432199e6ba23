"""Controls that receive the class of a whole image: `Choices`, nested or not, and `Taxonomy`.

Results follow the front end of Label Studio 1.23.2. One of `Choices` holds names. One of a
`Taxonomy`, or of `Choices` with `allowNested`, holds paths: the names from the topmost choice down
to the chosen one. A name is the alias of a choice if it has one, else its value.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from xml.etree.ElementTree import Element

from backend.labelstudio.config_tags import (
    image_of,
    image_path,
    images_by_name,
    is_on,
    list_at,
    list_path,
    listed_in,
    parse,
    text_at,
)
from backend.labelstudio.shapes import Json

# Between the names of a path; Label Studio shows taxonomies so.
SEPARATOR = " / "
KINDS = ("choices", "taxonomy")

ClassPath = tuple[str, ...]


@dataclass(frozen=True)
class Option:
    """A class that annotators can choose.

    Attributes:
        path: as results hold it, from the topmost choice down; a single name if it is not nested.
        shown: the same as annotators see it.
    """

    path: ClassPath
    shown: ClassPath


TOP = Option((), ())  # around the topmost choices


@dataclass(frozen=True)
class ClassControl:
    """A control that receives the class of a whole image.

    Attributes:
        from_name, to_name: names of the control and of the image.
        image_path: where the image's address is in the task's data; see `task_values`.
        kind: type of its results, one of `KINDS`.
        nested: whether its results hold paths.
        options: the classes that the configuration lists.
        options_path: where the task's data lists further classes; None if nowhere.
    """

    from_name: str
    to_name: str
    image_path: str
    kind: str = "choices"
    nested: bool = False
    options: tuple[Option, ...] = ()
    options_path: str | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that the configuration lists, each as one text."""
        return tuple(joined(option.path) for option in self.options)

    def with_data(self, data: Mapping[str, Any]) -> "ClassControl":
        """Return the control as it is in a task with this data."""
        items = list_at(data, self.options_path)
        listed = tuple(_options_in_data(items, TOP, nested=self.nested))
        return replace(self, options=(*self.options, *listed)) if listed else self

    def path(self, class_name: str) -> ClassPath | None:
        """Return the path of a class, as results hold it; None if there is none.

        Args:
            class_name: the path, its names separated by `SEPARATOR`, or its last name where no
                other path ends so. The exact spelling comes first, then another case of letters.
        """
        spellings = [
            (spelling, option.path)
            for option in self.options
            for spelling in (option.path, option.shown)
        ]
        for form in (str, str.casefold):
            whole = [
                path for spelling, path in spellings if form(joined(spelling)) == form(class_name)
            ]
            if whole:
                return whole[0]
            ends = {path for spelling, path in spellings if form(spelling[-1]) == form(class_name)}
            if len(ends) == 1:
                return ends.pop()
        return None

    def value(self, paths: Sequence[ClassPath]) -> Json:
        """Return the value of a result in which these paths are chosen."""
        return {self.kind: [list(path) if self.nested else path[-1] for path in paths]}


def class_controls(label_config: str) -> list[ClassControl]:
    """Return every control for the class of a whole image, in the order of the configuration.

    Raises:
        LabelConfigError: the XML cannot or must not be read.
    """
    root = parse(label_config)
    images = images_by_name(root)
    found = []
    for tag in _class_tags(root):
        image = image_of(tag, images)
        if image is not None:
            found.append(_control(tag, image))
    return found


def class_control_on(root: Element, image: Element) -> ClassControl | None:
    """Return the first control for the class of an image whose classes are known."""
    for tag in _class_tags(root):
        if is_on(tag, image.get("name", "")):
            control = _control(tag, image)
            if control.options or control.options_path:
                return control
    return None


def chosen_paths(value: object) -> list[ClassPath]:
    """Return what was chosen, given the value of a result of either kind; raw JSON.

    A path that only leads to another chosen one is left out.
    """
    if not isinstance(value, Mapping):
        return []
    found: dict[ClassPath, None] = {}
    for kind in KINDS:
        chosen = value.get(kind)
        for each in chosen if isinstance(chosen, list) else []:
            path = tuple(each) if isinstance(each, list) else (each,)
            if path and all(isinstance(name, str) for name in path):
                found[path] = None
    return [path for path in found if not any(_leads_to(path, other) for other in found)]


def _leads_to(path: ClassPath, other: ClassPath) -> bool:
    return len(path) < len(other) and other[: len(path)] == path


def joined(path: ClassPath) -> str:
    """Return a path as one text."""
    return SEPARATOR.join(path)


def text_of_paths(paths: Iterable[ClassPath]) -> str:
    """Return what was chosen as one text, in alphabetical order."""
    return ", ".join(sorted(map(joined, paths)))


def paths_of_text(text: str) -> list[ClassPath]:
    """Inverse of `text_of_paths`, for names without commas and slashes between blanks."""
    return [tuple(each.split(SEPARATOR)) for each in text.split(", ")]


def names_of_paths(paths: Iterable[ClassPath], *, in_full: bool) -> dict[ClassPath, str]:
    """Return the class of each path: its last name, unless two paths end with the same name.

    Args:
        in_full: use the whole path for all.
    """
    paths = set(paths)
    ends: dict[str, int] = {}
    for path in paths:
        ends[path[-1]] = ends.get(path[-1], 0) + 1
    return {path: joined(path) if in_full or ends[path[-1]] > 1 else path[-1] for path in paths}


def _class_tags(root: Element) -> Iterator[Element]:
    """Yield the tags for the class of a whole image, not of a region or of one page."""
    for tag in root.iter():
        kind = tag.tag.lower()
        about_a_part = "true" in (tag.get("perRegion"), tag.get("perItem"), tag.get("labeling"))
        if kind in KINDS and not about_a_part and not tag.get("apiUrl"):
            yield tag


def _control(tag: Element, image: Element) -> ClassControl:
    kind = tag.tag.lower()
    nested = kind == "taxonomy" or tag.get("allowNested") == "true"
    return ClassControl(
        from_name=tag.get("name", ""),
        to_name=image.get("name", ""),
        image_path=image_path(image),
        kind=kind,
        nested=nested,
        options=tuple(dict.fromkeys(_options(tag, TOP, nested=nested))),
        options_path=list_path(tag),
    )


def _options(tag: Element, above: Option, *, nested: bool) -> Iterator[Option]:
    """Yield the choices inside a tag at any depth, given the choice around it."""
    for child in tag:
        value, alias = child.get("value"), child.get("alias")
        if child.tag.lower() != "choice" or not (alias or value):
            yield from _options(child, above, nested=nested)
            continue
        option = _option(above, value, alias, nested=nested)
        yield option
        if nested:  # otherwise Label Studio ignores choices inside of choices
            yield from _options(child, option, nested=nested)


def _options_in_data(items: object, above: Option, *, nested: bool) -> Iterator[Option]:
    """Yield the choices that a task's data lists, given the choice around them."""
    for item in listed_in(items):
        value, alias = text_at(item, "value"), text_at(item, "alias")
        if not (alias or value):
            continue
        option = _option(above, value, alias, nested=nested)
        yield option
        if nested:
            yield from _options_in_data(item.get("children"), option, nested=nested)


def _option(above: Option, value: str | None, alias: str | None, *, nested: bool) -> Option:
    name, shown = alias or value or "", value or alias or ""
    if not nested:
        return Option((name,), (shown,))
    return Option((*above.path, name), (*above.shown, shown))
