"""Decode images of strangers in processes that may be killed, so that no image harms this one.

A decoding process (`decoding_process`) lives until an image kills it or this process ends.
"""

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.labelstudio.decoding_process import (
    ANSWER,
    PIXELS,
    READY,
    REQUEST,
    receive_into,
    received,
)
from model.decoding import UnreadableImage

AT_ONCE = 2  # images that one process has decoded at the same time, each in a process of its own
# What a pixel may need while it is decoded (JPEG needs 15 to 21, WebP and PNG up to 25, HEIC and
# JPEG XL more), and a reserve for the file and for what does not depend on the number of pixels.
BYTES_A_PIXEL = 32
RESERVE = 256 * 2**20
# Processor time is what is limited. A process that gets none, or is stopped, is killed after so
# many times the limit.
PATIENCE = 30

# The C library keeps what an image took for the next one, unless a piece or all of it is larger:
# new pages from the system take longer than a small image to decode.
KEPT_PIECE = 16 * 2**20
KEPT_MEMORY = 64 * 2**20

PROGRAM = "backend.labelstudio.decoding_process"
ROOT = Path(__file__).parents[2]
# All that a decoding process gets of the environment: no token and no password.
VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")
# How an image may end a process: a decoder that reads or writes elsewhere, or gives itself up.
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)


@dataclass(frozen=True, slots=True)
class DecodingLimits:
    """What decoding one image may take.

    Attributes:
        seconds: of processor time.
        pixels: of the image.
    """

    seconds: float
    pixels: int

    @property
    def memory(self) -> int:
        """Bytes that decoding may take besides those that the process has at its start."""
        return RESERVE + BYTES_A_PIXEL * self.pixels


@cache
def decoders(limits: DecodingLimits) -> "Decoders":
    """Return this process's decoders with these limits."""
    found = Decoders(limits)
    atexit.register(found.close)
    return found


class Decoders:
    """A few decoding processes, each started when it is first needed; for several threads."""

    def __init__(self, limits: DecodingLimits) -> None:
        self._limits = limits
        self._idle: list[_Process] = []
        self._slots = threading.BoundedSemaphore(AT_ONCE)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Decode an image file; see `model.decoding.decode`.

        Returns:
            (H, W, 3) uint8, RGB.

        Raises:
            UnreadableImage: the bytes are no usable image, or take too long or too much memory.
            MemoryError: the process was killed from outside, as by a machine without memory.
            OSError: no process can be started now.
        """
        with self._slots:
            process = self._idle.pop() if self._idle else _Process(self._limits)
            try:
                pixels = process.decode(data)
            except UnreadableImage:
                self._keep(process)
                raise
            except BaseException:  # also an interruption, which leaves half an answer behind
                process.kill()
                raise
            self._keep(process)
            return pixels

    def _keep(self, process: "_Process") -> None:
        if process.alive:
            self._idle.append(process)

    def close(self) -> None:
        """End the processes that are idle."""
        while self._idle:
            self._idle.pop().kill()


class _Process:
    """A decoding process and the socket to it."""

    def __init__(self, limits: DecodingLimits) -> None:
        self._limits = limits
        self._socket, other = socket.socketpair()
        self._socket.settimeout(PATIENCE * limits.seconds)
        with other:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", PROGRAM),
                    *(str(limits.seconds), str(limits.memory)),
                ],
                cwd=ROOT,
                env=_environment(),
                stdin=other.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for its parent
            )
        self.alive = True
        if received(self._socket, len(READY)) is None:
            self.kill()
            raise OSError(
                f"expected a decoding process, but it ended with {self._process.returncode}: "
                f"does `{sys.executable} -m {PROGRAM} 10 1000000000` run?"
            )

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """See `Decoders.decode`; after any error but `UnreadableImage`, kill the process."""
        try:
            self._socket.sendall(REQUEST.pack(len(data), self._limits.pixels))
            self._socket.sendall(data)
            answer = received(self._socket, ANSWER.size)
            if answer is not None:
                return self._pixels(bytes(answer))
        except TimeoutError:
            self.kill()
            raise MemoryError("the decoding process got no processor time") from None
        except ConnectionError:  # it died while the image was sent
            pass
        raise self._death()

    def _pixels(self, answer: bytes) -> NDArray[np.uint8]:
        kind, first, second = ANSWER.unpack(answer)
        if kind != PIXELS:
            reason = received(self._socket, first)
            raise self._death() if reason is None else UnreadableImage(reason.decode())
        pixels = np.empty((first, second, 3), np.uint8)
        if not receive_into(self._socket, pixels.data.cast("B")):
            raise self._death()
        return pixels

    def _death(self) -> Exception:
        """Return the error that says why the process has ended."""
        self._socket.close()
        self.alive = False
        ended = -self._process.wait()
        if ended == signal.SIGPROF:
            return UnreadableImage(
                f"expected an image that can be decoded within {self._limits.seconds:g} s, but it "
                "takes longer: make it smaller, or save it anew as a plain JPEG or PNG"
            )
        if ended in CRASHES:
            return UnreadableImage(
                f"the image is damaged: it ends its decoder ({signal.Signals(ended).name})"
            )
        return MemoryError("the decoding process was killed: the machine may lack memory")

    def kill(self) -> None:
        """End the process at once."""
        self.alive = False
        self._socket.close()
        self._process.kill()
        self._process.wait()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    return kept | {
        # Threads would take memory that the limit counts, and decoding needs no matrices.
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_MMAP_THRESHOLD_": str(KEPT_PIECE),
        "MALLOC_TRIM_THRESHOLD_": str(KEPT_MEMORY),
    }
