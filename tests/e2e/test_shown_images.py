"""Annotators see images in a browser; detections must be turned as it turns them."""

import base64
import json

from oriented_images import SHOWN, cases
from playwright.sync_api import Page

SHOW = """async ([mime, data]) => {
  const image = new Image();
  image.src = `data:${mime};base64,${data}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixel = (x, y) => {
    const [r, g, b] = context.getImageData(x, y, 1, 1).data.map((v) => v > 127);
    return r && g && b ? "W" : r ? "R" : g ? "G" : "B";
  };
  const [w, h] = [canvas.width, canvas.height];
  const corners = [pixel(3, 3), pixel(w - 4, 3), pixel(3, h - 4), pixel(w - 4, h - 4)];
  return `${w}x${h} ${corners.join("")}`;
}"""


def test_chromium_shows_images_as_they_are_decoded(page: Page):
    """`tests/test_orientation.py` holds `decode` to the same table."""
    page.goto("about:blank")
    shown = {
        case.name: page.evaluate(SHOW, [case.mime, base64.b64encode(case.data).decode()])
        for case in cases()
    }
    expected = {case.name: SHOWN[case.orientation] for case in cases()}
    assert shown == expected, json.dumps(
        {name: found for name, found in shown.items() if found != expected[name]}
    )
