"""Arenas of the C library, in a process of its own."""

import subprocess
import sys

import pytest

# Each thread takes a piece at the same time as all others, and holds it; a piece is too small to be
# mapped by itself, so it comes from an arena.
PROGRAM = """
import ctypes, threading
from backend.workers.allocator import share_arenas
if {shared}: share_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
together = threading.Barrier(12)
places = []
def take():
    together.wait()
    places.append(libc.malloc(1000))
    together.wait()
threads = [threading.Thread(target=take) for _ in range(12)]
for each in threads: each.start()
for each in threads: each.join()
print(len({{place >> 26 for place in places}}))  # an arena begins at a multiple of 64 MiB
"""


def arenas(*, shared: bool) -> int:
    program = PROGRAM.format(shared=shared)
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="arenas are glibc's")
def test_threads_share_few_arenas() -> None:
    assert arenas(shared=False) > 2
    assert arenas(shared=True) <= 2
