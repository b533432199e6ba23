"""Text that every database accepts."""

LONGEST_REASON = 2000  # characters


def is_storable(value: str) -> bool:
    """Return False for NUL (PostgreSQL rejects it) and lone surrogates (no database takes them)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def storable(reason: str) -> str:
    """Shorten a reason, which may quote text from outside, to text that every database accepts."""
    return reason.replace("\0", " ").encode(errors="replace").decode()[:LONGEST_REASON]
