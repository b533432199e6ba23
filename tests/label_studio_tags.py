"""Every tag that can stand beside keypoints, and what the backend does with it.

`test_label_studio_tags` tries each row; run this file to write them into docs/label-studio.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.labelstudio.label_config import KeypointControl
from studies.marked_section import put_into

DOCUMENT = Path(__file__).parents[1] / "docs" / "label-studio.md"
WHAT = "of configurations"

IMAGE = '<Image name="image" value="$image"/>'
LABELS = '<Label value="nose"/><Label value="tail"/>'
POINTS = f'<KeyPointLabels name="kp" toName="image">{LABELS}</KeyPointLabels>'

Check = Callable[[KeypointControl], bool]


@dataclass(frozen=True)
class Row:
    """A tag or an attribute of one.

    Attributes:
        tag: as the table shows it.
        does: what the backend does with it.
        config: inside of <View>.
        check: whether the control for keypoints shows it; None where the configuration is refused,
            and `does` says why.
        refusal: part of the answer of /setup where it is refused.
    """

    tag: str
    does: str
    config: str
    check: Check | None
    refusal: str = ""


def _plain(control: KeypointControl) -> bool:
    """Return whether the control is that of `POINTS`, as if nothing stood beside it."""
    named = (control.from_name, control.to_name, control.image_path)
    return (*named, control.labels) == ("kp", "image", "image", ("nose", "tail"))


def _alone(control: KeypointControl) -> bool:
    return _plain(control) and control.choices is None and not control.further


def _classes(*names: str) -> Check:
    return lambda control: control.choices is not None and control.choices.classes == names


def _listed(data: dict[str, Any], *labels: str) -> Check:
    return lambda control: control.with_data(data).labels == labels


def _points(attributes: str, inside: str = LABELS) -> str:
    return f'{IMAGE}<KeyPointLabels name="kp" toName="image" {attributes}>{inside}</KeyPointLabels>'


def _image(attributes: str) -> str:
    return f'<Image name="image" {attributes}/>{POINTS}'


def _skeleton(attributes: str) -> str:
    label = '<Label value="bird"/>'
    tag = f'<VectorLabels name="v" toName="image" skeleton="true" {attributes}>'
    return f"{IMAGE}{tag}{label}</VectorLabels>"


def _beside(tag: str) -> str:
    return f"{IMAGE}{POINTS}{tag}"


OTHER_REGIONS = (
    "Bitmask",
    "BitmaskLabels",
    "Brush",
    "BrushLabels",
    "Ellipse",
    "EllipseLabels",
    "MagicWand",
    "Polygon",
    "PolygonLabels",
    "Vector",
    "VectorLabels",
)
ABOUT_THE_TASK = ("DateTime", "Number", "Rating", "TextArea")
ARRANGEMENT = ("Collapse", "Dialog", "Filter", "Header", "Markdown", "PagedView", "Style", "View")
OTHER_DATA = (
    "Audio",
    "Chat",
    "HyperText",
    "Paragraphs",
    "Pdf",
    "Table",
    "Text",
    "TimeSeries",
    "Video",
)

ROWS = (
    Row(
        "`KeyPointLabels`", "receives the points; the first on an image counts", _beside(""), _alone
    ),
    Row(
        "`KeyPoint`",
        "receives points without labels, where there is no `KeyPointLabels`",
        f'{IMAGE}<KeyPoint name="kp" toName="image"/>',
        lambda control: control.plain and not control.labels,
    ),
    Row(
        "`KeyPoint` beside `Labels`",
        "receives points, and `Labels` their labels",
        f'{IMAGE}<KeyPoint name="kp" toName="image"/>'
        f'<Labels name="l" toName="image">{LABELS}</Labels>',
        lambda control: control.plain and control.labels_from_name == "l",
    ),
    Row(
        "`KeyPointLabels`: `maxUsages`",
        "of each label at most so many points, the best; also on a `Label`",
        _points('maxUsages="2"'),
        lambda control: dict(control.max_usages) == {"nose": 2, "tail": 2},
    ),
    Row(
        "`KeyPointLabels`: `smart`",
        "placing a point brings the others; an ordinary control otherwise",
        _points('smart="true"'),
        _alone,
    ),
    Row(
        "`KeyPointLabels`: `smartOnly`",
        "receives no suggestions where there is another control",
        IMAGE + '<KeyPointLabels name="prompt" toName="image" smart="true" smartOnly="true">'
        f"{LABELS}</KeyPointLabels>{POINTS}",
        _alone,
    ),
    Row(
        '`KeyPointLabels`: `value="$labels"`',
        "the labels that the data of each task lists follow those of the configuration; the same "
        "for `Labels`",
        _points('value="$labels"'),
        _listed({"labels": [{"value": "ear"}]}, "nose", "tail", "ear"),
    ),
    Row(
        "`KeyPointLabels`: `choice`, `opacity`, `strokeWidth`, `showInline`, `snap`",
        "left to the editor",
        _points('choice="multiple" opacity="0.5" strokeWidth="2" showInline="false" snap="pixel"'),
        _alone,
    ),
    Row(
        "`Label`: `alias`",
        "what results hold; a class, a threshold or a correction may name either",
        _points("", '<Label value="nose" alias="n"/>'),
        lambda control: control.find_label("nose") == "n",
    ),
    Row(
        "`Label`: `background`, `hotkey`, `hint`, `html`, `selected`, `granularity`",
        "left to the editor",
        _points(
            "", LABELS.replace("/>", ' background="red" hotkey="1" hint="h" selected="true"/>')
        ),
        _alone,
    ),
    Row(
        "`Label`: `model_index`",
        "the place of a keypoint in Label Studio's own COCO and YOLO exports; the answer of /setup "
        "and `doctor` say where it is missing beside `RectangleLabels`",
        _points("", '<Label value="nose" model_index="1"/><Label value="tail" model_index="0"/>'),
        _alone,
    ),
    Row(
        '`Image`: `value="$path"`',
        "the address in the task's data",
        _image('value="$image"'),
        _alone,
    ),
    Row(
        '`Image`: `value="$images[0]"`, `"$meta.image"`',
        "a path in the task's data",
        _image('value="$images[0].url"'),
        lambda control: control.image_path == "images[0].url",
    ),
    Row(
        "`Image`: `valueList`",
        "refused: the pages of one task need a task each",
        _image('valueList="$images"'),
        None,
        "one picture a task",
    ),
    Row(
        "`Image`: `value` without `$`",
        "refused: every task would show the same picture",
        _image('value="https://example.org/a.png"'),
        None,
        "a field of the task's data",
    ),
    Row(
        "`Image`: `zoom`, `rotateControl`, `brightnessControl`, `crosshair`, ...",
        "left to the editor; turning the image does not move points",
        _image('value="$image" zoom="true" rotateControl="true" crosshair="true"'),
        _alone,
    ),
    Row(
        "a further `Image` with a control for keypoints",
        "its own suggestions and verdicts; one prediction of the task holds those of all images",
        f'{IMAGE}<Image name="other" value="$other"/>{POINTS}'
        f'<KeyPointLabels name="kp2" toName="other">{LABELS}</KeyPointLabels>',
        lambda control: [each.to_name for each in control.of_images] == ["image", "other"],
    ),
    Row(
        "a further `Image` without one",
        "left alone",
        f'{IMAGE}<Image name="other" value="$other"/>{POINTS}',
        _alone,
    ),
    Row(
        "`Choices`",
        "receives the class of the image, if the network knows it; the classes for training",
        _beside(
            '<Choices name="c" toName="image"><Choice value="car"/><Choice value="bus"/></Choices>'
        ),
        _classes("car", "bus"),
    ),
    Row(
        "`Choices`: `allowNested`",
        "the same; a class is the last name of its path, or the path by `NESTED_CLASSES`",
        _beside(
            '<Choices name="c" toName="image" allowNested="true">'
            '<Choice value="bird"><Choice value="duck"/></Choice></Choices>'
        ),
        _classes("bird", "bird / duck"),
    ),
    Row(
        '`Choices`, `Taxonomy`: `value="$classes"`',
        "the classes that the data of each task lists follow those of the configuration",
        _beside('<Choices name="c" toName="image" value="$classes"/>'),
        lambda control: (
            control.with_data({"classes": [{"value": "duck"}]}).choices != control.choices
        ),
    ),
    Row(
        "`Choices`: `perRegion`",
        "about a point: `visible` or `occluded` (`hidden`, ...) is suggested where learnt, kept "
        "with the verdicts, and leaves in COCO as v = 2 or 1; no class",
        _beside(
            '<Choices name="c" toName="image" perRegion="true"><Choice value="occluded"/></Choices>'
        ),
        _alone,
    ),
    Row(
        "`Choices`: `perRegion` with other choices",
        "left alone, unless `visibility` among the extra params says what they mean",
        _beside(
            '<Choices name="c" toName="image" perRegion="true"><Choice value="male"/></Choices>'
        ),
        _alone,
    ),
    Row(
        "`Choices`: `perItem`",
        "left alone",
        _beside('<Choices name="c" toName="image" perItem="true"><Choice value="a"/></Choices>'),
        _alone,
    ),
    Row(
        "`Taxonomy`",
        "receives the class of the image as a path; the classes for training",
        _beside('<Taxonomy name="t" toName="image"><Choice value="bird"/></Taxonomy>'),
        _classes("bird"),
    ),
    Row(
        "`Taxonomy`: `perRegion`, `labeling`, `apiUrl`",
        "left alone",
        _beside('<Taxonomy name="t" toName="image" apiUrl="https://example.org"/>'),
        _alone,
    ),
    Row(
        "`Rectangle`, `RectangleLabels`",
        "around an object: where to look, a set of points for each, whose parent it is "
        "(`parentID`), and what distances refer to",
        _beside(f'<RectangleLabels name="box" toName="image">{LABELS}</RectangleLabels>'),
        _alone,
    ),
    Row(
        '`VectorLabels`: `skeleton="true"` with `landmarks`',
        "receives a skeleton for each object, where there is no control for keypoints",
        _skeleton('landmarks="nose, tail, ear:nose"'),
        lambda control: control.skeleton is not None and control.labels == ("nose", "tail", "ear"),
    ),
    Row(
        '`VectorLabels`: `skeleton="true"` alone',
        "refused, where there is no control for keypoints: nothing names its vertices",
        _skeleton(""),
        None,
        'landmarks="',
    ),
    *(
        Row(
            f"`{tag}`",
            "left alone; its regions are counted in the report as those of another tool",
            _beside(f'<{tag} name="other" toName="image">{LABELS}</{tag}>'),
            _alone,
        )
        for tag in OTHER_REGIONS
    ),
    *(
        Row(f"`{tag}`", "left alone", _beside(f'<{tag} name="other" toName="image"/>'), _alone)
        for tag in ABOUT_THE_TASK
    ),
    Row(
        "`Relations`",
        "left alone; a relation is no verdict",
        _beside('<Relations><Relation value="part of"/></Relations>'),
        _alone,
    ),
    Row(
        "`Ranker`, `Pairwise`, `List`",
        "left alone",
        _beside('<List name="list" value="$items"/><Ranker name="r" toName="list"/>'),
        _alone,
    ),
    Row(
        "`Repeater`",
        "each of the first 30 images gets suggestions of its own, as further images do",
        '<Repeater on="$images" indexFlag="{{i}}"><Image name="image_{{i}}" '
        'value="$images[{{i}}].url"/><KeyPointLabels name="kp_{{i}}" toName="image_{{i}}">'
        f"{LABELS}</KeyPointLabels></Repeater>",
        lambda control: (
            [(each.from_name, each.image_path) for each in control.of_images[:2]]
            == [("kp_0", "images[0].url"), ("kp_1", "images[1].url")]
        ),
    ),
    *(
        Row(
            f"`{tag}`",
            "arranges the page; tags inside of it are read",
            f'<{tag} value="a">{IMAGE}{POINTS}</{tag}>',
            _alone,
        )
        for tag in ARRANGEMENT
    ),
    *(
        Row(f"`{tag}` as an object", "left alone", _beside(f'<{tag} name="o" value="$o"/>'), _alone)
        for tag in OTHER_DATA
    ),
    Row(
        "`AudioPlus`, `Channel`, `MultiChannel`, `HyperTextLabels`, `ParagraphLabels`, "
        "`TimelineLabels`, `TimeSeriesLabels`, `VideoRectangle`, `Bucket`, `Panel`, "
        "`CustomInterface`",
        "left alone",
        _beside(
            '<HyperText name="h" value="$h"/>'
            f'<HyperTextLabels name="hl" toName="h">{LABELS}</HyperTextLabels>'
            '<Video name="v" value="$v"/><VideoRectangle name="vr" toName="v"/>'
        ),
        _alone,
    ),
    Row("`Shortcut`", "left to the editor", _beside('<Shortcut value="a" hotkey="1"/>'), _alone),
    Row(
        "no control for keypoints",
        "refused, with the tag to add",
        IMAGE + f'<PolygonLabels name="p" toName="image">{LABELS}</PolygonLabels>',
        None,
        "add, inside <View>",
    ),
)


def table() -> str:
    """Return the rows as a table in Markdown."""
    lines = ["| Tag or attribute | What the backend does with it |", "|---|---|"]
    return "\n".join(lines + [f"| {row.tag} | {row.does} |" for row in ROWS])


if __name__ == "__main__":
    put_into(DOCUMENT, table(), WHAT)
