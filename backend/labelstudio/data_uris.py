"""Images that stand in the task's data itself, as `data:` addresses."""

import base64
import binascii
from urllib.parse import unquote_to_bytes


def content_of(uri: str, max_bytes: int) -> bytes:
    """Return the bytes in a `data:` address.

    Raises:
        ValueError: there are none, or too many.
    """
    kind, comma, body = uri.partition(",")
    if not comma:
        raise ValueError(
            f"expected data:image/png;base64,... in the task's data, got {kind[:40]!r}"
        )
    # Base64 needs 4 characters for 3 bytes; an escape needs 3 for one.
    if len(body) > 4 * max_bytes:
        raise ValueError(too_large("the data: address", max_bytes))
    content = unquote_to_bytes(body)
    if kind.lower().endswith(";base64"):
        try:
            content = base64.b64decode(b"".join(content.split()), validate=True)
        except binascii.Error as error:
            raise ValueError(
                f"expected base64 in the task's data: address, got something else: {error}"
            ) from None
    if len(content) > max_bytes:
        raise ValueError(too_large("the data: address", max_bytes))
    return content


def too_large(what: str, max_bytes: int) -> str:
    """Return what to do about an image of more bytes than are allowed."""
    return (
        f"expected at most {max_bytes} bytes from {what}, got more: "
        "make the image smaller or MAX_IMAGE_BYTES larger"
    )
