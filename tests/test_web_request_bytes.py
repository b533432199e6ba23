"""Where a request ends, compared with gunicorn's own parser."""

import io

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from hypothesis import given
from hypothesis import strategies as st

from backend.web.request_bytes import LARGEST_HEAD, LONGEST_CHUNK_LINE, RequestBytes

HEAD = b"POST /webhook HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
REQUESTS = [
    b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    HEAD + b"content-length:  12  \r\n\r\n\r\n\r\n01234567",
    HEAD + b"Content-Length: 0\r\n\r\n",
    CHUNKED + b"5\r\nhel\r\n\r\n0\r\n\r\n",
    CHUNKED + b"3;name=value\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
    CHUNKED + b"2\r\n\r\n\r\n0\r\nX: x\r\nY: y\r\n\r\n",
    CHUNKED + b"0\r\n\r\n",
]


def rest_for_gunicorn(received: bytes) -> bytes:
    """What is left after gunicorn has read the first request."""
    parser = RequestParser(Config(), iter([received]), ("127.0.0.1", 1))
    next(parser).body.read()
    rest: bytes = parser.unreader.take_buffered()
    return rest


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_is_whole_with_the_last_byte_that_gunicorn_reads_of_it(request_: bytes) -> None:
    assert rest_for_gunicorn(request_ + b"behind") == b"behind"
    for end in range(len(request_) + 1):
        found = RequestBytes(request_[:end], limit=1000)
        assert found.is_whole == (end == len(request_)), request_[:end]


@given(st.sampled_from(REQUESTS), st.lists(st.integers(1, 20), max_size=30), st.binary(max_size=9))
def test_it_does_not_matter_in_which_pieces_it_comes(
    request_: bytes, sizes: list[int], behind: bytes
) -> None:
    source, found = io.BytesIO(request_), RequestBytes(b"", limit=1000)
    for size in sizes:
        assert found.is_whole == (source.tell() == len(request_))
        found.add(source.read(size))
    found.add(source.read() + behind)
    assert found.is_whole
    assert found.received == request_ + behind


@pytest.mark.parametrize(
    "received",
    [
        CHUNKED + b"-5\r\nhello",
        CHUNKED + b"zz\r\nhello",
        CHUNKED + b"5\r\nhello" + b"6" * (LONGEST_CHUNK_LINE + 10),
        CHUNKED + b"5" * (LONGEST_CHUNK_LINE + 10),
        CHUNKED + b"fff\r\n" + b"x" * 1001,
        HEAD + b"Content-Length: -5\r\n\r\n",
        HEAD + b"Content-Length: 1001\r\n\r\n",
        HEAD + b"X: " + b"x" * LARGEST_HEAD,
    ],
)
def test_what_is_malformed_or_too_large_is_left_to_gunicorn(received: bytes) -> None:
    assert RequestBytes(received, limit=1000).is_whole


@pytest.mark.parametrize("kind", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_client_that_waits_before_it_sends_the_body_is_told_to_go_on_once(kind: bytes) -> None:
    found = RequestBytes(b"", limit=1000)
    waits = [found.add(part) for part in (HEAD, b"EXPECT: 100-Continue\r\n" + kind, b"\r\n")]
    assert waits == [False, False, True]
    body = b"hello" if kind.startswith(b"Content") else b"0\r\n\r\n"
    assert not found.add(body[:3])
    assert not found.is_whole
    assert not found.add(body[3:])
    assert found.is_whole
    assert found.received == HEAD + kind + b"\r\n" + body


def test_a_client_that_sends_the_body_at_once_is_not_told_to_go_on() -> None:
    found = RequestBytes(b"", limit=1000)
    assert not found.add(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}")
    assert found.is_whole
