"""One line, without the traceback, where RQ reports that it has lost Redis."""

import logging

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import TimeoutError as NoAnswer


class LostRedisFilter(logging.Filter):
    """Puts the reason into the line: where in RQ Redis was missed helps nobody."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten a record if it is about Redis; let all pass."""
        error = record.exc_info[1] if record.exc_info else None
        if record.name.startswith("rq.") and isinstance(error, LostConnection | NoAnswer):
            record.msg = f"{record.getMessage()}: {str(error).partition(chr(10))[0]}"
            record.args, record.exc_info, record.exc_text = (), None, None
        return True
