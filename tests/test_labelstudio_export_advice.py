"""Label Studio's own exports need an index of each keypoint; what is said where it lacks."""

import pytest

from backend.labelstudio.export_advice import export_advice

BOXES = '<RectangleLabels name="box" toName="image"><Label value="bird"/></RectangleLabels>'


def config(*labels: str, beside: str = BOXES) -> str:
    return (
        '<View><Image name="image" value="$image"/><KeyPointLabels name="kp" toName="image">'
        f"{''.join(labels)}</KeyPointLabels>{beside}</View>"
    )


NOSE, TAIL = '<Label value="nose" model_index="0"/>', '<Label value="tail" model_index="1"/>'


@pytest.mark.parametrize(
    "text",
    [
        config(NOSE, TAIL),
        config('<Label value="nose"/>', beside=""),  # then these exports are not offered
        config('<Label value="nose"/>', beside=BOXES.replace("image", "other")),
        '<View><Image name="image" value="$image"/><KeyPoint name="kp" toName="image"/></View>',
        "<View/>",
    ],
)
def test_nothing_is_said_where_nothing_is_lacking(text: str) -> None:
    assert export_advice(text) is None


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ((NOSE, '<Label value="tail"/>'), "leave out the keypoints tail:"),
        ((NOSE, TAIL.replace("1", "0")), "leave out the keypoints tail:"),
        ((NOSE, TAIL.replace("1", "one")), "leave out the keypoints tail:"),
        (('<Label value="nose"/>', '<Label value="tail"/>'), "cannot place the keypoints nose, "),
    ],
)
def test_labels_without_an_index_of_their_own_are_named(
    labels: tuple[str, ...], expected: str
) -> None:
    found = export_advice(config(*labels))
    assert found is not None and expected in found
    assert '<KeyPointLabels name="kp">' in found and "model_index" in found
