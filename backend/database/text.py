"""Text that every database takes."""


def is_storable(value: str) -> bool:
    """Whether every database takes a text: PostgreSQL no NUL, and nobody half a character."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def storable(reason: str) -> str:
    """A reason may quote what came from outside, and hold what PostgreSQL does not take."""
    return reason.replace("\0", " ").encode(errors="replace").decode()[:LONGEST_REASON]


LONGEST_REASON = 2000
