"""Label Studio's editor as a person sees and uses it."""

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

# Where the dots are on the screen; the editor draws them with Konva, on a canvas.
_DOTS = """() => {
  const stage = window.Konva && Konva.stages[0];
  if (!stage) return [];
  const place = stage.container().getBoundingClientRect();
  const scale = circle => circle.getAbsoluteScale().x;
  return stage.find("Circle").filter(circle => circle.isVisible()).map(circle => {
    const at = circle.getAbsolutePosition();
    return {x: place.x + at.x, y: place.y + at.y, radius: circle.radius() * scale(circle)};
  });
}"""

# Where the image is on the screen, and its own size, as the browser turned it upright.
_IMAGE = """() => {
  const image = document.querySelector("img[alt=image]");
  const place = image.getBoundingClientRect();
  return {x: place.x, y: place.y, width: place.width, height: place.height,
          naturalWidth: image.naturalWidth, naturalHeight: image.naturalHeight};
}"""

# Nothing moved for so long: the layout stands.
STILL = 500  # ms

# Name and score of each region, as the list beside the image shows them.
_LISTED = """() => [...document.querySelectorAll(".lsf-outliner-item__content")].map(row => [
  row.querySelector(".lsf-outliner-item__title").innerText.trim(),
  row.querySelector(".lsf-outliner-item__controls").innerText.trim(),
])"""

# The id of the open task, once its annotation is open as well.
_TASK = """() => window.Htx && Htx.task && Htx.annotationStore.selected
  ? Number(Htx.task.id) : null"""
_REGIONS = "() => Htx.annotationStore.selected.serializeAnnotation()"


@dataclass(frozen=True)
class Dot:
    """A keypoint on the screen, px."""

    x: float
    y: float
    radius: float


class Editor:
    """The page of one task, in the label stream or opened from the table."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def wait_for_dots(self, count: int | None = None) -> list[Dot]:
        """The dots, once as many are drawn and the page, whose panels come one by one, is still.

        Without a count, once there is any.
        """
        enough = "> 0" if count is None else f"== {count}"
        self.page.wait_for_function(f"({_DOTS})().length {enough}")
        before, now = None, (self.dots(), self.image())
        while now != before:
            self.page.wait_for_timeout(STILL)
            before, now = now, (self.dots(), self.image())
        return now[0]

    def task(self) -> int:
        """The id of the task that is open."""
        found: int = self.page.evaluate(_TASK)
        return found

    def wait_for_task(self, task: int) -> None:
        """Wait until a task is open and the page is still."""
        self.page.wait_for_function(f"({_TASK})() === {task}")
        self.page.wait_for_selector("img[alt=image]")
        self.page.wait_for_timeout(STILL)

    def wait_for_other_task(self, task: int) -> None:
        """Wait until another task is open."""
        self.page.wait_for_function(f"![null, {task}].includes(({_TASK})())")

    def dots(self) -> list[Dot]:
        """Every keypoint that is drawn."""
        return [Dot(**dot) for dot in self.page.evaluate(_DOTS)]

    def image(self) -> dict[str, float]:
        """Place and own size of the image."""
        found: dict[str, float] = self.page.evaluate(_IMAGE)
        return found

    def regions(self) -> list[dict[str, Any]]:
        """What would be submitted now."""
        found: list[dict[str, Any]] = self.page.evaluate(_REGIONS)
        return found

    def listed(self) -> list[tuple[str, str]]:
        """Name and score of each region, as the list beside the image shows them."""
        return [(name, score) for name, score in self.page.evaluate(_LISTED)]

    def drag(self, dot: Dot, right: float, down: float) -> None:
        """Drag a dot with the mouse."""
        self.page.mouse.move(dot.x, dot.y)
        self.page.mouse.down()
        self.page.mouse.move(dot.x + right, dot.y + down, steps=8)
        self.page.mouse.up()

    def submit(self) -> None:
        """Press Submit and wait until Label Studio has taken the annotation."""
        with self.page.expect_response(
            lambda response: "/annotations" in response.url and response.request.method == "POST"
        ) as answer:
            self.page.get_by_test_id("bottombar-submit-button").click()
        assert answer.value.ok, answer.value.text()


def log_in(page: Page, address: str, user: str, password: str) -> None:
    """Log in to Label Studio, unless the browser has done so."""
    page.goto(f"{address}/user/login")
    if page.locator("input[name=email]").count():
        page.fill("input[name=email]", user)
        page.fill("input[name=password]", password)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "/user/login" not in url)


def open_label_stream(page: Page, address: str) -> Editor:
    """Open the next task of a project, given the address of its table."""
    page.goto(address)
    page.get_by_role("button", name="Label All Tasks").click()
    return Editor(page)
