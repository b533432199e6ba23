"""How the report looks in a browser: on a screen, on a phone, and on paper."""

import base64
import io
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from verdict_data import (
    UID,
    VERSION,
    added,
    annotation,
    detection,
    event,
    moved,
    predict,
    relabelled,
)

from backend.agreement.report import render
from backend.database.connection import Database, now
from backend.settings import Settings
from backend.suggestions.holdout import HoldoutStorage
from backend.suggestions.maps import MapStorage, keep_first_maps
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters

LABELS = ("beak", "left wing", "crown of the head", "tail", "a name that is far too long " * 4)
PAPER = 1032  # px, width of A4 landscape between its margins
NO_LABEL_STUDIO = Settings(label_studio_url="http://127.0.0.1:1")


def picture() -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.full((75, 100, 3), 90, np.uint8)).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@pytest.fixture(scope="module")
def page_path(migrated_sqlite: Path, tmp_path_factory) -> Path:
    """The report on a project in which every section has something to show."""
    folder = tmp_path_factory.mktemp("project")
    path = folder / "backend.sqlite3"
    path.write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{path}")
    fill(database, random.Random(1))
    page = folder / "report.html"
    page.write_text(render(NO_LABEL_STUDIO, database, Filters(), nonce="once", served=True))
    database.close()
    return page


def fill(database: Database, draw: random.Random) -> None:
    """Forty tasks over 40 weeks, ten of them withheld; two images in three can be shown."""
    HoldoutStorage(database).withhold(UID, range(31, 41), now())
    for task in range(1, 41):
        places = [(draw.uniform(5, 95), draw.uniform(5, 70)) for _ in LABELS]
        found = detection(*places, width=100, height=75, class_name=draw.choice(("wren", "crow")))
        image = picture() if task % 3 else f"/data/upload/{task}.png"
        regions = predict(database, task, found, image=image, deliver=task <= 30)
        if task % 4 == 0:
            predict(database, task, found, version="resnet50-of-some-long-name-abc", deliver=False)
        maps = {"coarse": np.eye(9), "fine": np.ones((9, 9))}
        captions = {"coarse": "class activation", "fine": "corners"}
        with_maps = replace(found, maps=maps, captions=captions)
        keep_first_maps(MapStorage(database), task, VERSION, with_maps)
        for annotator in (1, 2) if task % 5 == 0 else (1 + task % 2,):
            result = [
                draw.choice([region, moved(region, draw.uniform(1, 9)), relabelled(region, label)])
                for region, label in zip(regions[: len(LABELS)], LABELS, strict=True)
            ][draw.randint(0, 1) :]
            result.append(added(draw.uniform(5, 95), 50, draw.choice(LABELS)))
            body = annotation(
                task,
                result,
                number=1000 * annotator + task,
                annotator=annotator,
                made=7 * 1440 * task,
                parent=7 if task <= 30 else None,
                lead_time=draw.uniform(5, 90),
            )
            event(database, body)
    event(database, {"id": 1, "task": None})
    Recorder(Settings(), database).drain()


@pytest.fixture
def opened(page_path: Path, browser_page: Page) -> Iterator[Page]:
    browser_page.goto(page_path.as_uri())
    yield browser_page
    browser_page.emulate_media(media="screen")
    browser_page.set_viewport_size({"width": 1280, "height": 900})


def test_the_page_starts_with_what_it_says_then_cards_then_details(opened):
    order = opened.evaluate(
        "[...document.querySelectorAll('main > :is(section, .cards)')]"
        ".map(e => e.getAttribute('aria-labelledby') || e.className)"
    )
    assert order[:3] == ["h-summary", "cards", "h-verdicts"]
    assert opened.locator(".summary li").count() == 5


def test_every_sentence_leads_to_its_figures(opened):
    links = opened.locator(".summary a").all()
    assert len(links) == 5
    for link in links:
        anchor = link.get_attribute("href").removeprefix("#")
        assert opened.locator(f"[id='{anchor}']").count() == 1


def test_every_section_has_a_heading_of_its_own(opened):
    ids = opened.evaluate("[...document.querySelectorAll('main [id]')].map(e => e.id)")
    own = [each for each in ids if each.startswith(("h-", "p-", "t-")) or each == "enough"]
    assert len(own) == len(set(own))
    labelled = opened.evaluate(
        "[...document.querySelectorAll('[aria-labelledby]')]"
        ".map(e => e.getAttribute('aria-labelledby'))"
    )
    assert set(labelled) <= set(own)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_as_wide_as_the_window_and_no_wider(opened, width):
    opened.set_viewport_size({"width": width, "height": 900})
    for tab in opened.get_by_role("tab").all():
        tab.click()
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
        if width == 1280:
            assert cut_off(opened) == []


def cut_off(page: Page) -> list[str]:
    """Return the text of every box that holds more than it shows."""
    return page.evaluate(
        "[...document.querySelectorAll('.scroll, .stages, figure')]"
        ".filter(e => e.scrollWidth > e.clientWidth).map(e => e.innerText.slice(0, 60))"
    )


def test_on_paper_every_table_is_whole_and_everything_is_open(opened):
    opened.set_viewport_size({"width": PAPER, "height": 730})
    opened.emulate_media(media="print")
    assert opened.locator("[role=tabpanel]").count() == 6
    assert all(each.is_visible() for each in opened.locator("[role=tabpanel]").all())
    expect(opened.locator("#parameters")).to_be_visible()
    assert not opened.locator("form").is_visible()
    assert opened.evaluate("document.documentElement.scrollWidth") <= PAPER
    assert cut_off(opened) == []
    colours = opened.locator(".bar i").first
    assert colours.evaluate("e => getComputedStyle(e).printColorAdjust") == "exact"
    opened.emulate_media(media="screen")
    expect(opened.locator("#parameters")).to_be_hidden()


def test_the_report_can_be_printed_to_a_file(opened):
    content = opened.pdf(prefer_css_page_size=True)
    assert content.startswith(b"%PDF")
    # A4 landscape, in points.
    assert b"/MediaBox [0 0 841.91998 594.95996]" in content


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("axis", ["xtick", "ytick"])
def test_names_along_the_axes_of_plots_do_not_overlap(opened, axis, width):
    opened.set_viewport_size({"width": width, "height": 900})
    plots = opened.evaluate(
        """axis => [...document.querySelectorAll("figure svg")].map(svg =>
          [...svg.querySelectorAll(`g[id^=${axis}] text`)]
            .filter(text => !/rotate\\(-?45/.test(text.getAttribute("transform")))
            .map(text => {
              const box = text.getBoundingClientRect();
              return [box.left, box.top, box.right, box.bottom];
            }))""",
        axis,
    )
    boxes = [each for each in plots if each]
    assert len(boxes) >= 5
    for of_plot in boxes:
        for place, (left, top, right, bottom) in enumerate(of_plot):
            for other in of_plot[place + 1 :]:
                apart = right <= other[0] or other[2] <= left or bottom <= other[1]
                assert apart or other[3] <= top


def test_missing_images_are_explained_once(opened):
    note = opened.locator("section:has(#h-worst) .note")
    assert note.count() == 1
    missing = opened.locator(".tasks article", has_text="no image").count()
    assert 1 < missing < 10
    assert note.inner_text().startswith(
        f"{missing} of 10 images are missing, for example that of task "
    )
    assert "The image cannot be fetched: " in note.inner_text()
    assert opened.locator(".tasks svg image").count() == 10 - missing
    # The third task is the only one of those with maps whose image is missing.
    stages = opened.locator("section:has(#h-stages)")
    assert stages.locator(".stages").count() == 4
    assert stages.locator(".note").count() == 1
    assert "1 of 4 images is missing, for example that of task 3." in stages.inner_text()
    assert stages.locator(".stages").nth(2).locator("svg circle").count() > 0


# Text on every background that the page has; 4.5 is WCAG's level AA.
CONTRASTS = """() => {
  const channels = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) =>
    0.2126 * light(r / 255) + 0.7152 * light(g / 255) + 0.0722 * light(b / 255);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = channels(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("script, title, .cell")) continue;
    const style = getComputedStyle(element);
    const ink = channels(element.closest("svg") ? style.fill : style.color);
    const [a, b] = [luminance(ink), luminance(behind(element))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), walker.currentNode.data.trim()]);
  }
  return found;
}"""


def test_all_text_stands_out_from_what_is_behind_it(opened):
    shares = {f"{number}%" for number in range(101)}  # in the cells of the confusion table
    found = [(ratio, text) for ratio, text in opened.evaluate(CONTRASTS) if text not in shares]
    assert len(found) > 300
    assert min(found) >= (4.5, "")
