"""Images that harm their decoder harm neither this process nor the next image."""

import os
import re
import resource
import signal
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from conftest import at_once, wait_until
from hostile_images import READ, Hostile, hostile_images
from PIL import Image

from backend.labelstudio import decoders as module
from backend.labelstudio.decoders import Decoders, DecodingLimits
from model.decoding import UnreadableImage, decode

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
HOSTILE = list(hostile_images())
SLOW = next(image.data for image in HOSTILE if image.name == "jpeg of many scans")


def png(pixels: np.ndarray) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    made = Decoders(DecodingLimits(seconds=0.5, pixels=50_000_000))
    yield made
    made.close()


def children() -> list[int]:
    """Process ids of the decoding processes of this process."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [
        int(pid)
        for pid in listed
        if b"decoding_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def test_there_are_sixty_hostile_images_and_more():
    assert len({image.name for image in HOSTILE}) == len(HOSTILE) >= 60


@pytest.mark.parametrize("image", HOSTILE, ids=lambda image: image.name)
def test_a_hostile_image_ends_with_one_sentence_or_shows_its_picture(
    image: Hostile, decoders: Decoders
):
    try:
        outcome = f"{READ} {decoders.decode(image.data).shape}"
    except UnreadableImage as error:
        outcome = str(error)
    assert re.search(image.outcome, outcome), outcome
    assert "\n" not in outcome and "Traceback" not in outcome
    assert len(outcome) < 250
    assert np.array_equal(decoders.decode(png(PIXELS)), PIXELS)


def test_no_hostile_image_took_more_memory_than_the_limit(decoders: Decoders):
    """Peak of all processes that have ended by now, the interpreter and its libraries included."""
    decoders.close()
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    assert most < DecodingLimits(0.5, 50_000_000).memory


def test_an_image_is_decoded_as_it_is_here(decoders: Decoders):
    for kind in ("PNG", "JPEG", "WEBP"):
        stream = BytesIO()
        Image.fromarray(PIXELS).save(stream, kind)
        assert np.array_equal(decoders.decode(stream.getvalue()), decode(stream.getvalue()))


def test_one_process_decodes_one_image_after_the_other():
    decoders = Decoders(DecodingLimits(10.0, 1_000_000))
    before = set(children())
    for _ in range(3):
        decoders.decode(png(PIXELS))
    assert len(set(children()) - before) == 1
    decoders.close()
    assert set(children()) == before


def test_an_image_as_large_as_the_one_before_takes_no_new_memory():
    """New pages from the system take longer than such an image to decode."""
    decoders = Decoders(DecodingLimits(10.0, 1_000_000))
    large = png(np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8))
    before = set(children())
    taken = []
    for _ in range(8):
        decoders.decode(large)
        [process] = set(children()) - before
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        taken.append(int(fields[7]))  # pages, since it started
    decoders.close()
    assert taken[-1] - taken[3] < 4 * 800 * 600 * 3 / 4096 / 10


def test_two_threads_do_not_wait_for_each_other_and_more_do():
    decoders = Decoders(DecodingLimits(10.0, 1_000_000))
    before = set(children())
    decoded = at_once(8, lambda _: decoders.decode(png(PIXELS)))
    assert all(np.array_equal(pixels, PIXELS) for pixels in decoded)
    assert 1 <= len(set(children()) - before) <= module.AT_ONCE
    decoders.close()


def test_an_image_that_takes_more_than_its_memory_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "RESERVE", 1 << 20)
    monkeypatch.setattr(module, "BYTES_A_PIXEL", 1)
    decoders = Decoders(DecodingLimits(10.0, 10_000_000))
    large = png(np.zeros((3000, 3000, 3), np.uint8))
    with pytest.raises(UnreadableImage, match="can be decoded in 11 MB, but it needs more: reduce"):
        decoders.decode(large)
    assert np.array_equal(decoders.decode(png(PIXELS)), PIXELS)
    decoders.close()


@pytest.mark.parametrize(
    ("number", "failure", "reason"),
    [
        (signal.SIGSEGV, UnreadableImage, "the image is damaged: it ends its decoder .SIGSEGV"),
        (signal.SIGABRT, UnreadableImage, "SIGABRT"),
        (signal.SIGPROF, UnreadableImage, "decoded within 100 s, but it takes longer"),
        (signal.SIGKILL, MemoryError, "the machine may lack memory"),
    ],
)
def test_how_its_process_ended_says_whose_fault_it_was(
    number: signal.Signals, failure: type[Exception], reason: str
):
    """What a broken decoder does to itself, done to it; a task waits after a MemoryError."""
    decoders = Decoders(DecodingLimits(100.0, 50_000_000))
    before = set(children())

    def strike() -> None:
        wait_until(lambda: set(children()) - before)
        [child] = set(children()) - before
        wait_until(lambda: ticks(child) > 20)
        os.kill(child, number)

    thread = threading.Thread(target=strike)
    thread.start()
    with pytest.raises(failure, match=reason):
        decoders.decode(SLOW)
    thread.join()
    assert np.array_equal(decoders.decode(png(PIXELS)), PIXELS)
    decoders.close()


def ticks(pid: int) -> int:
    """Processor time of a process, in hundredths of a second: while it starts, it takes less."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_process_that_gets_no_processor_time_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PATIENCE", 2)
    decoders = Decoders(DecodingLimits(1.0, 1_000_000))
    before = set(children())
    decoders.decode(png(PIXELS))
    [child] = set(children()) - before
    os.kill(child, signal.SIGSTOP)
    with pytest.raises(MemoryError, match="no processor time"):
        decoders.decode(png(PIXELS))
    assert set(children()) == before
    assert np.array_equal(decoders.decode(png(PIXELS)), PIXELS)
    decoders.close()


class Stop(BaseException):
    """What a signal handler raises."""


def test_an_interruption_leaves_no_process_and_no_half_answer_behind():
    def interrupt(*_: object) -> None:
        raise Stop

    decoders = Decoders(DecodingLimits(100.0, 50_000_000))
    decoders.decode(png(PIXELS))
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Stop):
            decoders.decode(SLOW)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert np.array_equal(decoders.decode(png(PIXELS)), PIXELS)
    decoders.close()


def test_a_decoding_process_ends_with_its_parent():
    code = (
        "import os, sys, time, base64\n"
        "from backend.labelstudio.decoders import Decoders, DecodingLimits\n"
        "made = Decoders(DecodingLimits(10.0, 1000000))\n"
        "made.decode(base64.b64decode(sys.argv[1]))\n"
        "print(made._idle[0]._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, b64encode(png(PIXELS[:8, :8])).decode()],
        stdout=subprocess.PIPE,
        text=True,
        cwd=module.ROOT,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        parent.kill()
    wait_until(lambda: not Path(f"/proc/{child}").exists() or is_zombie(child))


def is_zombie(pid: int) -> bool:
    """Whether a process has ended, and only nobody has asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_decoding_process_knows_no_secret_and_can_write_no_file(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "marked-token")
    monkeypatch.setenv("REDIS_URL", "redis://:marked@redis")
    decoders = Decoders(DecodingLimits(10.0, 1_000_000))
    before = set(children())
    decoders.decode(png(PIXELS))
    [child] = set(children()) - before
    assert b"marked" not in Path(f"/proc/{child}/environ").read_bytes()
    limits = Path(f"/proc/{child}/limits").read_text()
    assert [line.split()[-3:-1] for line in limits.splitlines() if "Max file size" in line] == [
        ["0", "0"]
    ]
    decoders.close()


def test_a_process_that_cannot_start_says_how_to_try_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ROOT", Path("/"))
    with pytest.raises(OSError, match="expected a decoding process, but it ended with 1: does"):
        Decoders(DecodingLimits(10.0, 1_000_000)).decode(png(PIXELS))
