"""Pictures of a detection, over its box."""

import numpy as np
import pytest

from model import pictures
from model.keypoint import Box, Detection, Keypoint

RAMP = np.linspace(0, 1, 50)[None].repeat(50, 0)


def detection(captions, box):
    keypoint = Keypoint(60.0, 50.0, 1.0, "")
    maps = {"coarse": RAMP, "fine": RAMP[:, ::-1]}
    return Detection("a", 1.0, (keypoint,), 240, 200, box, maps=maps, captions=captions)


def columns_of(panel, width):
    """Input, coarse map, fine map and keypoints."""
    step = (panel.shape[1] - width) // 3
    return [panel[:, at * step : at * step + width] for at in range(4)]


def test_a_panel_shows_input_both_maps_and_keypoints_over_the_box():
    picture = np.full((200, 240, 3), 90, np.uint8)
    panel = pictures.panel(picture, detection({}, Box(10, 20, 200, 150)))
    plain, coarse, fine, marked = columns_of(panel, 200)
    assert panel.shape[0] == 150 and (plain == 90).all()
    assert coarse[:, -20:, 0].mean() > coarse[:, :20, 0].mean()
    assert fine[:, :20, 0].mean() > fine[:, -20:, 0].mean()
    assert tuple(marked[30, 50]) == pictures.RED


@pytest.mark.parametrize("box", [Box(10, 20, 200, 150), Box(0, 0, 8, 8)])
def test_a_panel_writes_each_maps_own_caption_on_it_and_changes_nothing_else(box):
    picture = np.full((200, 240, 3), 90, np.uint8)
    captions = {"coarse": "class activation", "fine": "guided backpropagation"}
    with_captions = columns_of(pictures.panel(picture, detection(captions, box)), int(box.width))
    without = columns_of(pictures.panel(picture, detection({}, box)), int(box.width))
    changed = [
        (one != other).any(axis=2) for one, other in zip(with_captions, without, strict=True)
    ]
    assert [part.any() for part in changed] == [False, True, True, False]
    if box.height > 100:
        assert all(part[-25:].any() and not part[:-25].any() for part in changed[1:3])
        assert changed[2].sum() > changed[1].sum()  # the longer text


def test_captions_and_maps_do_not_make_two_detections_differ():
    box = Box(0, 0, 240, 200)
    assert detection({"coarse": "occlusion", "fine": "corners"}, box) == detection({}, box)
