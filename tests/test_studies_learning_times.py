"""What the backend takes to learn and to name, on a few drawings."""

from pathlib import Path

import pytest
from small_weights import save_small_network
from test_studies_work_saved import drawn_data_set

from studies.__main__ import main
from studies.learning_times import SECTION

pytestmark = pytest.mark.usefixtures("one_thread")
PAGE = (
    f"before\n<!-- measured {SECTION} -->\nold\n<!-- end of what was measured {SECTION} -->\nafter"
)


def test_the_command_puts_its_table_into_the_page(tmp_path: Path) -> None:
    data = tmp_path / "drawings"
    drawn_data_set(data)
    weights = save_small_network(tmp_path / "small.safetensors", input_size=64)
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    arguments = ["--data", str(data), "--weights", str(weights), "--images", "4", "--images", "9"]
    assert main(["learning-times", *arguments, "--report", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("before") and text.endswith("after") and "old" not in text
    rows = [line.split("|")[1:4] for line in text.splitlines() if line.startswith("| ")]
    values = {what.strip(): [first.strip(), second.strip()] for what, first, second in rows}
    assert values[""] == ["4 images", "9 images"]
    assert all(float(each.removesuffix(" s")) > 0 for each in values["learn an image"])
    # Half precision of two looks takes more than a tenth of it, and no more than all.
    assert 50 < float(values["stored of an image"][0].removesuffix(" kB")) < 1300


def test_a_page_without_the_markers_is_refused_before_anything_is_timed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    assert main(["learning-times", "--data", str(tmp_path), "--report", str(page)]) != 0
    assert "expected the lines" in capsys.readouterr().err
