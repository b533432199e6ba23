"""Text that every database accepts."""

LONGEST_REASON = 2000  # characters


def is_storable(value: str) -> bool:
    """False for text with NUL (PostgreSQL rejects it) or lone surrogates (all databases do)."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def storable(reason: str) -> str:
    """Return a reason that every database accepts, shortened; it may quote text from outside."""
    return reason.replace("\0", " ").encode(errors="replace").decode()[:LONGEST_REASON]
