"""Run tasks in one Python thread per core, each with single-threaded torch operations."""

import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Task = TypeVar("Task")
Resources = TypeVar("Resources")


@contextmanager
def single_threaded() -> Iterator[int]:
    """Inside the block, torch operations use one thread; yields the number used before."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield count
    finally:
        torch.set_num_threads(count)


def run_in_threads(
    tasks: Iterable[Task],
    work: Callable[[Task, Resources], None],
    make_resources: Callable[[], Resources],
) -> None:
    """Run tasks in order, in as many threads as torch is set to use.

    Small operations gain nothing from several threads each. Independent threads also never wait for
    one that another process has displaced from its core.

    Args:
        work: runs one task with the resources of its thread.
        make_resources: creates the resources of a thread, such as its memory.

    Raises:
        Whatever `work` raises, once the running tasks have ended.
    """
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)

    def run_tasks() -> None:
        resources = make_resources()
        with torch.inference_mode():  # applies to this thread alone
            while True:
                try:
                    task = waiting.get_nowait()
                except queue.Empty:
                    return
                work(task, resources)

    with single_threaded() as count:
        if count == 1:
            run_tasks()
            return
        with ThreadPoolExecutor(count) as threads:
            running = [threads.submit(run_tasks) for _ in range(count)]
        for one in running:
            one.result()
