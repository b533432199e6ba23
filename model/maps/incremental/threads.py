"""Work on both sides of a busy core: one thread of Python for each core, each computing alone."""

import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Task = TypeVar("Task")
Held = TypeVar("Held")


@contextmanager
def computing_alone() -> Iterator[int]:
    """Inside the block every thread computes for itself; gives the number there was before."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield count
    finally:
        torch.set_num_threads(count)


def share_out(
    tasks: Iterable[Task], work: Callable[[Task, Held], None], hold: Callable[[], Held]
) -> None:
    """Do tasks, the first first, in as many threads as torch is set to use.

    Small operations leave nothing to share between the threads of one operation, and where another
    process takes a core for a while, no thread waits for the one that stands still.

    Args:
        work: does one task with what its thread holds.
        hold: makes what a thread holds, such as its memory.

    Raises:
        What `work` raises, after the tasks under way have ended.
    """
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)

    def work_off() -> None:
        held = hold()
        with torch.inference_mode():  # is known to each thread by itself
            while True:
                try:
                    task = waiting.get_nowait()
                except queue.Empty:
                    return
                work(task, held)

    with computing_alone() as count:
        if count == 1:
            work_off()
            return
        with ThreadPoolExecutor(count) as threads:
            running = [threads.submit(work_off) for _ in range(count)]
        for one in running:
            one.result()
