"""The status of an answer, with a sentence that is the one part of a refusal Label Studio shows."""


def status_line(status: int, reason: str) -> str:
    """Return a status and a sentence, in printable ASCII and on one line."""
    return f"{status} {''.join(char if ' ' <= char <= '~' else '?' for char in reason)}"
