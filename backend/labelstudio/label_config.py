"""Read from a project's labelling configuration which control receives the keypoints.

Results follow the front end of Label Studio 1.23.2: they hold the alias of a label or choice if it
has one, else its value, and a `KeyPoint` beside `Labels` makes two results with the same id.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from backend.labelstudio.task_values import path_of

EXAMPLE = (
    '<KeyPointLabels name="keypoints" toName="{image}"><Label value="keypoint"/></KeyPointLabels>'
)


class LabelConfigError(ValueError):
    """A configuration without a usable control for keypoints; the message says why."""


@dataclass(frozen=True)
class ChoicesControl:
    """The control that receives the class of the whole image.

    Attributes:
        from_name, to_name: names of the control and of the image.
        choices: the choices, as results hold them.
        aliases: (shown to annotators, held by results) for each choice where the two differ.
    """

    from_name: str
    to_name: str
    choices: tuple[str, ...]
    aliases: tuple[tuple[str, str], ...] = ()

    def choice(self, class_name: str) -> str | None:
        """Return the choice for a class, as results hold it; None if there is none."""
        return _stored(class_name, self.choices, self.aliases)


@dataclass(frozen=True)
class ClassControl:
    """A control whose choices are classes of whole images.

    Attributes:
        from_name: name of the control.
        image_path: where the image's address is in the task's data; see `task_values`.
    """

    from_name: str
    image_path: str


@dataclass(frozen=True)
class KeypointControl:
    """The control that receives keypoints.

    Attributes:
        from_name, to_name: names of the control and of the image.
        image_path: where the image's address is in the task's data; see `task_values`.
        labels: the labels, as results hold them; empty for a `KeyPoint` without `Labels`.
        choices: the control that receives the class, if any.
        aliases: (shown to annotators, held by results) for each label where the two differ.
        plain: whether the control is a `KeyPoint` rather than a `KeyPointLabels`.
        labels_from_name: name of the `Labels` beside a `KeyPoint`.
        max_usages: (label, largest number of points with it) for each label that has a limit.
    """

    from_name: str
    to_name: str
    image_path: str
    labels: tuple[str, ...]
    choices: ChoicesControl | None
    aliases: tuple[tuple[str, str], ...] = ()
    plain: bool = False
    labels_from_name: str | None = None
    max_usages: tuple[tuple[str, int], ...] = ()

    def label(self, class_name: str, default: str | None) -> str | None:
        """Return the label of a class, else `default`, else the first label; as results hold it."""
        for wanted in (class_name, default):
            found = self.find_label(wanted) if wanted else None
            if found is not None:
                return found
        return self.labels[0] if self.labels else None

    def find_label(self, name: str) -> str | None:
        """Return the label of this value or alias, as results hold it; None if there is none."""
        return _stored(name, self.labels, self.aliases)


def keypoint_control(label_config: str) -> KeypointControl:
    """Return the first `KeyPointLabels` on an `Image`, or else the first `KeyPoint` on one.

    A control with `smartOnly`, which receives prompts alone, is taken only if there is no other.

    Args:
        label_config: the XML of the project's labelling configuration.

    Raises:
        LabelConfigError: there is no such control, or the XML cannot or must not be read.
    """
    root = _parse(label_config)
    images = {tag.get("name", ""): tag for tag in _tags(root, "Image") if tag.get("name")}
    found = [
        (tag, image, kind == "KeyPoint")
        for kind in ("KeyPointLabels", "KeyPoint")
        for tag in _tags(root, kind)
        if (image := _image_of(tag, images)) is not None
    ]
    for tag, image, plain in sorted(found, key=lambda each: each[0].get("smartOnly") == "true"):
        return _control(root, tag, image, plain=plain)
    raise LabelConfigError(_what_is_missing(root, images))


def control_names(label_config: str) -> frozenset[str]:
    """Return the names of all controls; none if the XML cannot or must not be read."""
    try:
        root = _parse(label_config)
    except LabelConfigError:
        return frozenset()
    return frozenset(tag.get("name", "") for tag in root.iter() if tag.get("toName"))


def class_controls(label_config: str) -> list[ClassControl]:
    """Return every `Choices` about a whole image, in the order of the configuration.

    Raises:
        LabelConfigError: the XML cannot or must not be read.
    """
    root = _parse(label_config)
    images = {tag.get("name", ""): tag for tag in _tags(root, "Image") if tag.get("name")}
    found = []
    for tag in _tags(root, "Choices"):
        image = _image_of(tag, images)
        if image is not None and _is_about_whole_image(tag):
            found.append(ClassControl(tag.get("name", ""), _image_path(image)))
    return found


def prompt_only_controls(label_config: str) -> frozenset[str]:
    """Return the names of the controls whose regions are prompts for suggestions and do not stay.

    Raises:
        LabelConfigError: the XML cannot or must not be read.
    """
    return frozenset(
        tag.get("name", "")
        for tag in _parse(label_config).iter()
        if any(key.lower() == "smartonly" and value == "true" for key, value in tag.items())
    )


def _parse(label_config: str) -> Element:
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


def _control(root: Element, tag: Element, image: Element, *, plain: bool) -> KeypointControl:
    to_name = image.get("name", "")
    beside = next((each for each in _tags(root, "Labels") if _is_on(each, to_name)), None)
    labelled_by = beside if plain else tag
    labels, aliases = _names(labelled_by, "Label") if labelled_by is not None else ((), ())
    if not labels and not plain:
        raise LabelConfigError(
            f'expected at least one <Label value="..."/> inside <{tag.tag} '
            f'name="{tag.get("name")}">, got none (labels from the data of a task are not '
            f"supported): {EXAMPLE.format(image=to_name)}"
        )
    return KeypointControl(
        from_name=tag.get("name", ""),
        to_name=to_name,
        image_path=_image_path(image),
        labels=labels,
        choices=_choices(root, to_name),
        aliases=aliases,
        plain=plain,
        labels_from_name=beside.get("name") if plain and labels and beside is not None else None,
        max_usages=_max_usages(labelled_by) if labelled_by is not None else (),
    )


def _max_usages(control: Element) -> tuple[tuple[str, int], ...]:
    """Return the limits of labels: a label's own, else that of the control around it."""
    found = {}
    for tag in _tags(control, "Label"):
        name = tag.get("alias") or tag.get("value")
        limit = tag.get("maxUsages") or control.get("maxUsages") or ""
        if name and limit.isascii() and limit.isdigit() and int(limit):  # 0 is no limit
            found[name] = int(limit)
    return tuple(found.items())


def _image_path(image: Element) -> str:
    """Return the path in the task's data that `value="$path"` names."""
    name, value = image.get("name"), image.get("value", "")
    if image.get("valueList"):
        raise LabelConfigError(
            f'expected one picture a task, got <Image name="{name}" '
            f'valueList="{image.get("valueList")}">: use value="$image", one task a picture'
        )
    path = path_of(value)
    if path is None:
        raise LabelConfigError(
            f'expected <Image name="{name}" value="$FIELD"/> with a field of the task\'s data, '
            f'such as "$image", "$images[0]" or "$meta.image", got value="{value}"'
        )
    return path


def _choices(root: Element, to_name: str) -> ChoicesControl | None:
    """Return the first `Choices` about the whole image that lists its choices."""
    for tag in _tags(root, "Choices"):
        choices, aliases = _names(tag, "Choice")
        if _is_on(tag, to_name) and choices and _is_about_whole_image(tag):
            return ChoicesControl(tag.get("name", ""), to_name, choices, aliases)
    return None


def _is_about_whole_image(choices: Element) -> bool:
    """Return whether the choices name the class of a whole image."""
    about_a_part = "true" in (choices.get("perRegion"), choices.get("perItem"))
    # Label Studio stores nested choices as paths from the topmost choice, not as names.
    return not about_a_part and choices.get("allowNested") != "true"


def _what_is_missing(root: Element, images: dict[str, Element]) -> str:
    found = ", ".join(sorted({f"<{tag.tag}>" for tag in root.iter() if tag.get("toName")}))
    start = f"expected a control for keypoints on an image, got {found or 'no control at all'}"
    if not images:
        return (
            f"{start} and no <Image>: add, inside <View>, "
            f'<Image name="image" value="$image"/>{EXAMPLE.format(image="image")}'
        )
    return f"{start}: add, inside <View>, {EXAMPLE.format(image=next(iter(images)))}"


def _tags(root: Element, kind: str) -> Iterator[Element]:
    """Return the tags of a kind in document order; Label Studio ignores the case of tags."""
    return (tag for tag in root.iter() if tag.tag.lower() == kind.lower())


def _image_of(tag: Element, images: dict[str, Element]) -> Element | None:
    return next((images[name] for name in _targets(tag) if name in images), None)


def _is_on(tag: Element, to_name: str) -> bool:
    return to_name in _targets(tag)


def _targets(tag: Element) -> list[str]:
    """Return the names in `toName`, which may list several, separated by commas."""
    return [name.strip() for name in tag.get("toName", "").split(",")]


def _names(control: Element, kind: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return the labels or choices inside a control at any depth, and their aliases."""
    stored: dict[str, None] = {}
    aliases = {}
    for tag in _tags(control, kind):
        value, alias = tag.get("value"), tag.get("alias")
        name = alias or value
        if name:
            stored[name] = None
        if alias and value and alias != value:
            aliases[value] = alias
    return tuple(stored), tuple(aliases.items())


def _stored(
    wanted: str, stored: tuple[str, ...], aliases: tuple[tuple[str, str], ...]
) -> str | None:
    """Return a name as results hold it: the exact one, else one that differs only in case."""
    known = [*((name, name) for name in stored), *aliases]
    for form in (str, str.casefold):
        for spelling, name in known:
            if form(spelling) == form(wanted):
                return name
    return None
