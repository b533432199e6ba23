"""What Label Studio's own COCO and YOLO exports need of a configuration for keypoints.

Those of Label Studio 1.23.2 (label-studio-sdk 2.1.2, `converter/keypoints.py`) are offered where
`RectangleLabels` stands beside `KeyPointLabels`. They take the place of a keypoint from the whole
number in `model_index` of its `Label`. YOLO takes its object from `parentID`, which suggestions
have. COCO puts all keypoints of an image into one object.
"""

from backend.labelstudio.config_tags import LabelConfigError, is_on, parse, tags
from backend.labelstudio.label_config import keypoint_control


def export_advice(label_config: str) -> str | None:
    """Return what to add so that Label Studio exports every keypoint; None if nothing is needed.

    Nothing is needed either where Label Studio offers these exports not at all.
    """
    try:
        control, root = keypoint_control(label_config), parse(label_config)
    except LabelConfigError:
        return None
    boxes = any(is_on(tag, control.to_name) for tag in tags(root, "RectangleLabels"))
    if control.plain or not boxes:
        return None
    labels = [
        label
        for tag in tags(root, "KeyPointLabels")
        if tag.get("name") == control.from_name
        for label in tags(tag, "Label")
        if label.get("alias") or label.get("value")
    ]
    used: set[int] = set()
    left_out = []
    for label in labels:
        index = _whole_number(label.get("model_index"))
        if index is None or index in used:
            left_out.append(label.get("value") or label.get("alias") or "")
        else:
            used.add(index)
    if not left_out:
        return None
    outcome = "leave out" if used else "cannot place"
    return (
        f"Label Studio's own COCO and YOLO exports {outcome} the keypoints "
        f"{', '.join(left_out)}: give each <Label> of <KeyPointLabels "
        f'name="{control.from_name}"> a model_index of its own, counting from 0'
    )


def _whole_number(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None
