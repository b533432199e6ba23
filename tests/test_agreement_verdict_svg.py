import re
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from PIL import Image

from backend.agreement.verdict_svg import MARK_COLOURS, drawing, point_mark, verdict_marks

SVG = "{http://www.w3.org/2000/svg}"


def verdict(name: str, suggested: tuple | None, final: tuple | None, **more: object):
    """A row of the verdict table."""
    (x, y), (u, v) = suggested or (None, None), final or (None, None)
    values = {"suggested_x": x, "suggested_y": y, "final_x": u, "final_y": v}
    labels = {"suggested_label": "eye" if suggested else None, "final_label": "<b>"}
    distance = {"displacement": abs(u - x) if suggested and final else None}
    return SimpleNamespace(verdict=name, **values, **labels, **distance, **more)


def parsed(marks: list) -> ElementTree.Element:
    """A drawing of 200 × 100 px at twice its size."""
    svg = str(drawing(200, 100, None, marks, 400))
    return ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '))


def test_the_centre_of_the_first_pixel_lies_half_a_pixel_from_the_corner():
    [circle] = parsed([point_mark(0, 3, "#123456")]).findall(f"{SVG}circle")
    assert (circle.get("cx"), circle.get("cy"), circle.get("fill")) == ("0.50", "3.50", "#123456")


def test_a_drawing_has_the_shape_of_the_image_and_the_marks_the_size_of_the_page():
    root = parsed([point_mark(0, 0, "#123456")])
    assert root.get("viewBox") == "0 0 200 100"
    assert (root.get("width"), root.get("height")) == ("400", "200")
    assert float(root.find(f"{SVG}circle").get("r")) * 2 == 6  # px of the page


def test_an_image_is_embedded():
    svg = drawing(20, 10, Image.new("RGB", (4, 2)), [], 40)
    assert re.search(r'<image href="data:image/jpeg;base64,\S+" width="20" height="10"', svg)


@pytest.mark.parametrize(
    ("row", "drawn"),
    [
        (verdict("accepted", (5, 5), (5, 5)), [("circle", "final")]),
        (verdict("added", None, (5, 5)), [("circle", "added")]),
        (verdict("deleted", (5, 5), None), [("path", "suggested")]),
        (
            verdict("moved", (5, 5), (9, 5)),
            [("line", "move"), ("circle", "suggested"), ("circle", "final")],
        ),
    ],
    ids=["accepted", "added", "deleted", "moved"],
)
def test_each_verdict_has_its_mark(row, drawn):
    root = parsed(verdict_marks([row]))
    found = [
        (element.tag.removeprefix(SVG), colour)
        for element in root.iter()
        for colour, code in MARK_COLOURS.items()
        if code in (element.get("stroke"), element.get("fill"))
    ]
    assert found == drawn


def test_lines_lie_below_the_dots_of_all_verdicts():
    rows = [verdict("accepted", (5, 5), (5, 5)), verdict("moved", (5, 5), (9, 5))]
    tags = [element.tag.removeprefix(SVG) for element in parsed(verdict_marks(rows))]
    assert tags == ["rect", "line", "g", "g"]


def test_a_mark_says_what_happened_and_to_which_label():
    rows = [verdict("moved_and_relabelled", (5, 5), (9, 5))]
    assert (
        parsed(verdict_marks(rows)).find(f".//{SVG}title").text == "moved and relabelled: eye → <b>"
    )
