"""The part of a Markdown file that a command writes, between two marks that enclose it."""

from pathlib import Path


def around(path: Path, what: str) -> tuple[str, str]:
    """Split a Markdown file at the two marks that enclose what was measured.

    Returns:
        The text up to and with the first mark; the text from the second mark on.

    Raises:
        ValueError: the file has no such marks.
    """
    first, last = f"<!-- measured {what} -->", f"<!-- end of what was measured {what} -->"
    before, begin, rest = path.read_text().partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"expected the lines {first} and {last} in {path}, to write between them")
    return before + begin, end + after


def put_into(path: Path, text: str, what: str) -> None:
    """Replace the text between two marks of a Markdown file."""
    before, after = around(path, what)
    path.write_text(f"{before}\n{text}\n{after}")
