"""The id of each request: in every log line about it, in its answer, and stored with its tasks."""

import logging
import time

from flask import Flask, Response, g, request

from backend.logs import begin_request

logger = logging.getLogger(__name__)

HEADER = "X-Request-ID"
# Logged in any case; the others only at level DEBUG, because monitoring asks all the time.
LOGGED = ("label_studio.predict",)


def identify_requests(app: Flask) -> None:
    """Give every request an id, that of the client if it is harmless, and log how it ended."""

    @app.before_request
    def begin() -> None:
        g.request_id = begin_request(request.headers.get(HEADER))
        g.began = time.perf_counter()

    @app.after_request
    def end(answer: Response) -> Response:
        answer.headers[HEADER] = g.request_id
        logger.log(
            logging.INFO if request.endpoint in LOGGED else logging.DEBUG,
            "%s %s: %d after %.0f ms",
            request.method,
            request.path,
            answer.status_code,
            1000 * (time.perf_counter() - g.began),
        )
        return answer
