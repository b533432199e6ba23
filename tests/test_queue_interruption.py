from collections.abc import Iterator

import pytest

from backend.queue.interruption import Interrupted, interrupt, interruptible, reset_interrupt


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    reset_interrupt()
    yield
    reset_interrupt()


def test_a_running_block_is_interrupted() -> None:
    done = []
    with pytest.raises(Interrupted), interruptible():
        done.append("before")
        interrupt()
        done.append("after")
    assert done == ["before"]


def test_outside_of_blocks_nothing_is_interrupted_but_no_block_starts_any_more() -> None:
    with interruptible():
        pass
    interrupt()
    with pytest.raises(Interrupted), interruptible():
        pytest.fail("the block started")


def test_after_a_reset_blocks_start_again() -> None:
    interrupt()
    reset_interrupt()
    with interruptible():
        started = True
    assert started


def test_a_job_that_catches_every_exception_is_interrupted_all_the_same() -> None:
    with pytest.raises(Interrupted), interruptible():
        try:
            interrupt()
        except Exception:
            pytest.fail("caught")
