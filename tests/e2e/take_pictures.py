"""The pictures of the README: the demonstration in a real browser. `make pictures` runs this.

It starts `make demo` with data of its own, opens the sixth drawing, corrects as many drawings as
asked for as an annotator would, and takes the report's first card and the status page.
"""

import io
import math
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from chromium_flags import CHROMIUM_FLAGS
from editor import Dot, Editor, log_in, open_label_stream
from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright
from playwright.sync_api import TimeoutError as WaitedTooLong
from serving import LABEL_STUDIO, PLAIN_ENVIRONMENT, ROOT, eventually

from backend.commands.demo_corrections import CORRECTED
from backend.commands.demo_drawings import TrueLandmarks, true_landmarks
from backend.labelstudio.regions import to_keypoint
from backend.local.processes import end, spawn
from model.keypoint import centre_to_edge

SIZE = ViewportSize(width=1280, height=900)
MARGIN = 10  # px below the last part
QUALITY = 85  # of WebP; a picture stays below 100 kB

ATTEMPTS = 5

# An annotator sees that a point is off, and drags it, from this share of the car's length on.
SEEN = 0.02


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "docs", show_default=True)
@click.option(
    "--corrected",
    type=click.IntRange(min=1, max=19),
    default=10,
    show_default=True,
    help="Number of drawings to open and correct before the report is shown.",
)
def take_pictures(out: Path, corrected: int) -> None:
    """Take the pictures of the README.

    Each of the corrected drawings is opened in the label stream; points that are off are dragged to
    their true landmarks, and the drawing is submitted.
    """
    with tempfile.TemporaryDirectory() as name, demonstration(Path(name)) as told, page() as shown:
        log_in(shown, told["Open"].partition("/projects")[0], told["User"], told["Password"])
        editor = open_label_stream(shown, told["Open"])
        wait_for_suggestion(editor)
        save(shown, out / "demo-named-points.webp")
        landmarks = list(true_landmarks(Path(name) / "cars").values())
        for true in landmarks[CORRECTED : CORRECTED + corrected]:
            correct(editor, true)
        shown.goto(told["Report"])
        save(shown, out / "demo-report.webp", last="#h-work-saved")
        shown.goto(told["Status"])
        save(shown, out / "demo-status.webp", last="main")


@contextmanager
def demonstration(folder: Path) -> Iterator[dict[str, str]]:
    """Run `python -m backend demo` inside the block; yield what it says: first → second word."""
    log = folder / "demo.log"
    command = [sys.executable, "-m", "backend", "demo", "--label-studio", str(LABEL_STUDIO)]
    environment = PLAIN_ENVIRONMENT | {"DATA_DIR": str(folder)}
    with log.open("wb") as output:
        demo = spawn(command, env=environment, output=output, cwd=ROOT)
    try:
        ready = eventually(lambda: "Ctrl-C stops" in log.read_text() or demo.poll(), 900)
        told = log.read_text()
        if not ready or demo.poll() is not None:
            raise RuntimeError(f"expected the demonstration to start, but it said:\n{told}")
        lines = [line.split() for line in told.splitlines()]
        yield {words[0]: words[1] for words in lines if len(words) == 2}
    finally:
        end(demo, grace=60)


@contextmanager
def page() -> Iterator[Page]:
    """Open a browser inside the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(CHROMIUM_FLAGS)
        )
        shown = browser.new_page(viewport=SIZE)
        shown.set_default_timeout(60_000)
        yield shown
        browser.close()


def correct(editor: Editor, true: TrueLandmarks) -> None:
    """Drag the points of the open drawing that are off to their landmarks, and submit it."""
    wait_for_suggestion(editor)
    place, task = editor.image(), editor.task()
    scale = place["width"] / true.size[0]
    for region in editor.regions():
        point = to_keypoint(region)
        x, y = true.points[point.label]
        right, down = x - point.x, y - point.y
        if math.hypot(right, down) > SEEN * true.length:
            dot = Dot(
                place["x"] + scale * centre_to_edge(point.x),
                place["y"] + scale * centre_to_edge(point.y),
                radius=0,
            )
            editor.drag(dot, scale * right, scale * down)
    editor.submit()
    editor.wait_for_other_task(task)


def wait_for_suggestion(editor: Editor) -> None:
    """Wait until points are shown; open the drawing again if its suggestion came too late.

    Right after something was learnt, a busy machine may need longer than Label Studio waits.
    """
    for _ in range(ATTEMPTS):
        try:
            editor.wait_for_dots()
            return
        except WaitedTooLong:
            editor.page.reload()
    raise RuntimeError(f"expected points on task {editor.task()}, got none: see the backend's log")


def save(shown: Page, path: Path, last: str | None = None) -> None:
    """Save a page as WebP, which stays small where it holds a photo.

    Args:
        last: selector of the last part to show; None for all that the window shows.
    """
    picture = Image.open(io.BytesIO(shown.screenshot(full_page=last is not None))).convert("RGB")
    if last is not None:
        box = shown.locator(last).bounding_box()
        assert box is not None, f"expected {last} on the page"
        picture = picture.crop((0, 0, picture.width, round(box["y"] + box["height"] + MARGIN)))
    picture.save(path, quality=QUALITY, method=6)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    take_pictures()
