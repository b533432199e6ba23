"""The reason phrase of an answer's status, the one part of a refusal that Label Studio shows."""

from flask import Response

from backend.labelstudio.status_line import status_line


def with_reason(answer: Response, reason: str) -> Response:
    """Put a sentence beside the status of an answer; see `status_line`."""
    answer.status = status_line(answer.status_code, reason)
    return answer
