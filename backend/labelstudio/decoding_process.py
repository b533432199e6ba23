"""The process that decodes images, and may die of one; its arguments are its limits.

Its standard input is a socket on which `decoders` sends images and reads pixels. The kernel ends
the process when an image takes too long, and refuses it more memory than it may have; neither needs
the decoder's help, which may be stuck in a library written in C. It ends with its parent, because
the socket then does.

An image is sent as `REQUEST` and its bytes. The answer is `ANSWER` and (H, W, 3) bytes of pixels,
or the reason why there are none, in UTF-8.
"""

import resource
import signal
import socket
import struct
import sys
from pathlib import Path

import numpy as np

from model.decoding import UnreadableImage, decode

READY = b"R"
REQUEST = struct.Struct("!QQ")  # length of the image, largest number of pixels
ANSWER = struct.Struct("!cQQ")  # PIXELS, height and width; or REFUSED, length of the reason and 0
PIXELS, REFUSED = b"P", b"E"


def serve(connection: socket.socket, *, seconds: float, memory: int) -> None:
    """Decode images until the other side hangs up.

    Args:
        connection: to the process that has the images.
        seconds: longest processor time for an image; the process is killed after it.
        memory: bytes that may be used for an image; named when there are too few.
    """
    connection.sendall(READY)
    while (request := received(connection, REQUEST.size)) is not None:
        length, max_pixels = REQUEST.unpack(request)
        data = received(connection, length)
        if data is None:
            return
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            pixels = decode(bytes(data), max_pixels=max_pixels)
        except UnreadableImage as error:
            answer, body = _refusal(str(error))
        except MemoryError:
            answer, body = _refusal(
                f"expected an image that can be decoded in {memory / 1e6:.0f} MB, but it needs "
                "more: reduce it"
            )
        else:
            answer = ANSWER.pack(PIXELS, *pixels.shape[:2])
            body = np.ascontiguousarray(pixels).data.cast("B")
        signal.setitimer(signal.ITIMER_PROF, 0)
        connection.sendall(answer)
        connection.sendall(body)
        data = pixels = body = None  # type: ignore[assignment]  # free them before the next one


def received(connection: socket.socket, length: int) -> bytearray | None:
    """Return exactly `length` bytes; None if the other side hangs up before."""
    data = bytearray(length)
    return data if receive_into(connection, memoryview(data)) else None


def receive_into(connection: socket.socket, place: memoryview) -> bool:
    """Fill a buffer of bytes; return False if the other side hangs up before."""
    done = 0
    while done < len(place):
        count = connection.recv_into(place[done:])
        if count == 0:
            return False
        done += count
    return True


def _refusal(reason: str) -> tuple[bytes, memoryview]:
    text = reason.encode("utf-8", "backslashreplace")
    return ANSWER.pack(REFUSED, len(text), 0), memoryview(text)


def _limit(memory: int) -> None:
    """Let this process use so much more memory than now, write no file, and leave no core dump."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _limit(int(sys.argv[2]))
    serve(socket.socket(fileno=0), seconds=float(sys.argv[1]), memory=int(sys.argv[2]))
