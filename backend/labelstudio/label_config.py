"""Read from a project's labelling configuration which control receives the keypoints.

Results follow the front end of Label Studio 1.23.2: they hold the alias of a label or choice if it
has one, else its value, and a `KeyPoint` beside `Labels` makes two results with the same id.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from xml.etree.ElementTree import Element

from backend.labelstudio.class_controls import ClassControl, class_control_on
from backend.labelstudio.config_tags import LabelConfigError as LabelConfigError
from backend.labelstudio.config_tags import (
    image_of,
    image_path,
    images_by_name,
    is_on,
    list_at,
    list_path,
    names,
    names_in_data,
    parse_repeated,
    stored_name,
    tags,
)
from backend.labelstudio.skeletons import Skeleton, skeleton_on_image

MOST_READ = 100  # configurations that are kept as they were read
EXAMPLE = (
    '<KeyPointLabels name="keypoints" toName="{image}"><Label value="keypoint"/></KeyPointLabels>'
)


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
        labels_path: where the task's data lists further labels; None if nowhere.
        listed_usages: the largest number of points with each of those; None without a limit.
        further: the controls on further images, one for each image that has one.
        skeleton: how the points of an object make one region; None where each is a region.
    """

    from_name: str
    to_name: str
    image_path: str
    labels: tuple[str, ...]
    choices: ClassControl | None
    aliases: tuple[tuple[str, str], ...] = ()
    plain: bool = False
    labels_from_name: str | None = None
    max_usages: tuple[tuple[str, int], ...] = ()
    labels_path: str | None = None
    listed_usages: int | None = None
    skeleton: Skeleton | None = None
    further: tuple["KeypointControl", ...] = ()

    @property
    def of_images(self) -> tuple["KeypointControl", ...]:
        """The control of each image: this one, then those on further images."""
        return (self, *self.further)

    def on(self, to_name: str | None) -> "KeypointControl | None":
        """Return the control on an image; this one for None, and None if there is none."""
        if to_name is None:
            return self
        return next((each for each in self.of_images if each.to_name == to_name), None)

    @property
    def data_paths(self) -> tuple[str, ...]:
        """Where the task's data lists labels and choices."""
        paths = [
            path
            for each in self.of_images
            for path in (each.labels_path, each.choices.options_path if each.choices else None)
        ]
        return tuple(dict.fromkeys(path for path in paths if path is not None))

    def with_data(self, data: Mapping[str, Any]) -> "KeypointControl":
        """Return the control as it is in a task with this data: with the labels that it lists."""
        labels, aliases = names_in_data(list_at(data, self.labels_path))
        listed = [label for label in labels if label not in self.labels]
        limits = [(label, self.listed_usages) for label in listed if self.listed_usages]
        return replace(
            self,
            labels=(*self.labels, *listed),
            aliases=(*self.aliases, *aliases),
            max_usages=(*self.max_usages, *limits),
            choices=self.choices and self.choices.with_data(data),
            further=tuple(each.with_data(data) for each in self.further),
        )

    def label(self, class_name: str, default: str | None) -> str | None:
        """Return the label of a class, else `default`, else the first label; as results hold it."""
        for wanted in (class_name, default):
            found = self.find_label(wanted) if wanted else None
            if found is not None:
                return found
        return self.labels[0] if self.labels else None

    def find_label(self, name: str) -> str | None:
        """Return the label of this value or alias, as results hold it; None if there is none."""
        return stored_name(name, self.labels, self.aliases)


@lru_cache(maxsize=MOST_READ)
def keypoint_control(label_config: str) -> KeypointControl:
    """Return the first `KeyPointLabels` on an `Image`, or else the first `KeyPoint` on one.

    Without either, the first `VectorLabels` for skeletons. A control with `smartOnly`, which
    receives prompts alone, is taken only if there is no other. Where several images have controls,
    the same choice is made for each; see `further`.

    Args:
        label_config: the XML of the project's labelling configuration.

    Raises:
        LabelConfigError: there is no such control, or the XML cannot or must not be read.
    """
    return _read(label_config)[0]


def unserved_images(label_config: str) -> list[str]:
    """Return why images that have a control for keypoints get no suggestions, one text for each.

    Raises:
        LabelConfigError: as `keypoint_control`; then no image gets any.
    """
    return [
        f"the image {name!r} gets no suggestions: {error}"
        for name, error in _read(label_config)[1].items()
    ]


def _read(label_config: str) -> tuple[KeypointControl, Mapping[str, LabelConfigError]]:
    """Return the control of each image, and image → why its control cannot be used."""
    root = parse_repeated(label_config)
    images = images_by_name(root)
    found = [
        (tag, image, kind == "KeyPoint")
        for kind in ("KeyPointLabels", "KeyPoint")
        for tag in tags(root, kind)
        if (image := image_of(tag, images)) is not None
    ]
    if not found:
        return _skeleton_or_refuse(root, images), {}
    first, *others = sorted(found, key=lambda each: _is_prompt_only(each[0]))
    control = _control(root, *first)
    further: dict[str, KeypointControl] = {}
    errors: dict[str, LabelConfigError] = {}
    for tag, image, plain in others:
        name = image.get("name", "")
        if name == control.to_name or name in further or _is_prompt_only(tag):
            continue
        try:
            further[name] = _control(root, tag, image, plain)
        except LabelConfigError as error:
            errors.setdefault(name, error)
    unserved = {name: error for name, error in errors.items() if name not in further}
    return replace(control, further=tuple(further.values())), unserved


def _is_prompt_only(tag: Element) -> bool:
    return tag.get("smartOnly") == "true"


def _skeleton_or_refuse(root: Element, images: dict[str, Element]) -> KeypointControl:
    vectors = skeleton_on_image(root, images)
    if vectors is None:
        raise LabelConfigError(_what_is_missing(root, images))
    return _skeleton_control(root, *vectors)


def skeleton_of(label_config: str) -> Skeleton | None:
    """Return how points make one region, if they do; None also if the XML cannot be read."""
    try:
        return keypoint_control(label_config).skeleton
    except LabelConfigError:
        return None


def control_names(label_config: str) -> frozenset[str]:
    """Return the names of all controls; none if the XML cannot or must not be read."""
    try:
        root = parse_repeated(label_config)
    except LabelConfigError:
        return frozenset()
    return frozenset(tag.get("name", "") for tag in root.iter() if tag.get("toName"))


def prompt_only_controls(label_config: str) -> frozenset[str]:
    """Return the names of the controls whose regions are prompts for suggestions and do not stay.

    Raises:
        LabelConfigError: the XML cannot or must not be read.
    """
    return frozenset(
        tag.get("name", "")
        for tag in parse_repeated(label_config).iter()
        if any(key.lower() == "smartonly" and value == "true" for key, value in tag.items())
    )


def _control(root: Element, tag: Element, image: Element, plain: bool) -> KeypointControl:
    to_name = image.get("name", "")
    beside = next((each for each in tags(root, "Labels") if is_on(each, to_name)), None)
    labelled_by = beside if plain else tag
    labels, aliases = names(labelled_by, "Label") if labelled_by is not None else ((), ())
    labels_path = list_path(labelled_by) if labelled_by is not None else None
    if not labels and not plain and labels_path is None:
        raise LabelConfigError(
            f'expected at least one <Label value="..."/> inside <{tag.tag} '
            f'name="{tag.get("name")}">, or value="$FIELD" with a field of the task\'s data that '
            f"lists them, got neither: {EXAMPLE.format(image=to_name)}"
        )
    has_labels = bool(labels) or labels_path is not None
    return KeypointControl(
        from_name=tag.get("name", ""),
        to_name=to_name,
        image_path=image_path(image),
        labels=labels,
        choices=class_control_on(root, image),
        aliases=aliases,
        plain=plain,
        labels_from_name=beside.get("name")
        if plain and has_labels and beside is not None
        else None,
        max_usages=_max_usages(labelled_by) if labelled_by is not None else (),
        labels_path=labels_path,
        listed_usages=None if labelled_by is None else _limit(labelled_by.get("maxUsages")),
    )


def _skeleton_control(
    root: Element, tag: Element, image: Element, skeleton: Skeleton
) -> KeypointControl:
    return KeypointControl(
        from_name=tag.get("name", ""),
        to_name=image.get("name", ""),
        image_path=image_path(image),
        labels=skeleton.names,
        choices=class_control_on(root, image),
        skeleton=skeleton,
    )


def _max_usages(control: Element) -> tuple[tuple[str, int], ...]:
    """Return the limits of labels: a label's own, else that of the control around it."""
    found = {}
    for tag in tags(control, "Label"):
        name = tag.get("alias") or tag.get("value")
        limit = _limit(tag.get("maxUsages") or control.get("maxUsages"))
        if name and limit:
            found[name] = limit
    return tuple(found.items())


def _limit(text: str | None) -> int | None:
    """Return the number in a `maxUsages`; None if there is none, or 0, which is no limit."""
    return int(text) or None if text and text.isascii() and text.isdigit() else None


def _what_is_missing(root: Element, images: dict[str, Element]) -> str:
    found = ", ".join(sorted({f"<{tag.tag}>" for tag in root.iter() if tag.get("toName")}))
    start = f"expected a control for keypoints on an image, got {found or 'no control at all'}"
    if not images:
        return (
            f"{start} and no <Image>: add, inside <View>, "
            f'<Image name="image" value="$image"/>{EXAMPLE.format(image="image")}'
        )
    return f"{start}: add, inside <View>, {EXAMPLE.format(image=next(iter(images)))}"
