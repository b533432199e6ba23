"""The reason phrase of an answer's status, the one part of a refusal that Label Studio shows."""

from flask import Response


def with_reason(answer: Response, reason: str) -> Response:
    """Put a sentence beside the status of an answer, in printable ASCII and on one line."""
    phrase = "".join(char if " " <= char <= "~" else "?" for char in reason)
    answer.status = f"{answer.status_code} {phrase}"
    return answer
