"""Text that comes in place of an image: whether it is a web page, and what it says."""

import html
import re
from collections.abc import Iterable

# What may stand before the first element: a byte order mark, blanks, an XML declaration, comments.
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s+|<\?xml[^>]*>|<!--.*?-->)*<(?:!doctype\s+html|html|head|body|script)\b",
    re.IGNORECASE | re.DOTALL,
)
_HIDDEN = re.compile(r"<(script|style)\b.*?</\1>|<!--.*?-->|<\?.*?\?>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
START = 4096  # bytes that are looked at
MOST_CHARACTERS = 160


def is_web_page(content: bytes | bytearray) -> bool:
    """Return whether bytes are HTML, as a browser would find out: by their beginning."""
    start = bytes(content[:START])
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        start = start.decode("utf-16", errors="replace").encode()
    return _PAGE.match(start) is not None


def first_line(content: bytes, secrets: Iterable[str] = ()) -> str:
    """Return the first line of text in an answer, without tags; empty if it has none.

    Args:
        content: beginning of the answer's body.
        secrets: texts to leave out, such as the signature of an address that the server repeats.
    """
    text = content[:START].decode("utf-8", errors="replace")
    if "\ufffd" in text[: MOST_CHARACTERS - 4]:
        return ""
    text = html.unescape(_TAG.sub("\n", _HIDDEN.sub("", text)))
    for secret in filter(None, secrets):
        text = text.replace(secret, "…")
    lines = ("".join(filter(str.isprintable, line)).strip() for line in text.splitlines())
    line = next(filter(None, lines), "")
    return line if len(line) <= MOST_CHARACTERS else f"{line[:MOST_CHARACTERS]}…"
