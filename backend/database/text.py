"""Text that every database takes."""


def is_storable(value: str) -> bool:
    """Return False for NUL (PostgreSQL rejects it) and lone surrogates (no database takes them)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def storable(reason: str) -> str:
    """A reason may quote what came from outside, and hold what PostgreSQL does not take."""
    return reason.replace("\0", " ").encode(errors="replace").decode()[:LONGEST_REASON]


LONGEST_REASON = 2000
