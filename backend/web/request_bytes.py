"""Whether the bytes that have come from a client are a whole HTTP/1 request.

Only as much is read of a request as tells where it ends. What is malformed counts as whole, so that
gunicorn gets it and refuses it.
"""

import re

# More than gunicorn's own limits of a request's head allow, bytes.
LARGEST_HEAD = 2**20
# A line with the size of a chunk is shorter, bytes.
LONGEST_CHUNK_LINE = 2**14

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
_CODING = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)


class RequestBytes:
    """The bytes of one request, in the order in which they come.

    Args:
        received: what has come already.
        limit: largest body, bytes; of a larger one the head alone counts as a whole request.

    Attributes:
        received: what has come until now.
        is_whole: whether it is a whole request, or more.
    """

    def __init__(self, received: bytes, *, limit: int) -> None:
        self.received = bytearray()
        self.is_whole = False
        self._limit = limit
        self._searched = 0
        self._ends_at: int | None = None  # where a body of known length ends
        self._next_chunk: int | None = None  # where the next chunk of another one begins
        self.add(received)

    def add(self, part: bytes) -> bool:
        """Add what has come.

        Returns:
            Whether the client waits for `100 Continue` before it sends the body.
        """
        self.received += part
        expects = not self._has_head and self._read_head()
        if self._ends_at is not None:
            self.is_whole = len(self.received) >= self._ends_at
        elif self._next_chunk is not None:
            self.is_whole = self._has_last_chunk() or len(self.received) > self._limit
        else:
            self.is_whole = len(self.received) > LARGEST_HEAD
        return expects and not self.is_whole

    @property
    def _has_head(self) -> bool:
        return self._ends_at is not None or self._next_chunk is not None

    def _read_head(self) -> bool:
        """Look where the body ends, once the head has come; return whether the client waits."""
        end = self.received.find(b"\r\n\r\n", self._searched)
        self._searched = max(0, len(self.received) - 3)
        if end < 0:
            return False
        body = end + 4
        head = bytes(self.received[:body])
        if _CODING.search(head):
            self._next_chunk = body
        else:
            found = _LENGTH.search(head)
            length = int(found[1]) if found else 0
            self._ends_at = body + (length if length <= self._limit else 0)
        expects = _EXPECTS.search(head)
        if expects is None:
            return False
        # It is answered while the body comes, and must not be answered again.
        del self.received[expects.start() : expects.end()]
        cut = expects.end() - expects.start()
        if self._ends_at is not None:
            self._ends_at -= cut
        if self._next_chunk is not None:
            self._next_chunk -= cut
        return True

    def _has_last_chunk(self) -> bool:
        """Go on to the last chunk that has come; return whether it ends the body."""
        assert self._next_chunk is not None
        while self._next_chunk <= len(self.received):
            end = self.received.find(b"\r\n", self._next_chunk)
            if end < 0:
                return len(self.received) - self._next_chunk > LONGEST_CHUNK_LINE
            try:
                size = int(self.received[self._next_chunk : end].partition(b";")[0], 16)
            except ValueError:
                return True
            if size < 0:
                return True
            if size == 0:
                return self.received.find(b"\r\n\r\n", end) >= 0  # behind trailers, if any
            self._next_chunk = end + 2 + size + 2
        return False
