"""The job that a worker will take next, with a real Redis."""

from rq import Queue

from backend.queue.next_job import choose_next, put_first


def enqueue(queue: Queue, *names: str) -> None:
    for name in names:
        queue.enqueue("time.monotonic", job_id=name)


def test_each_worker_chooses_another_job(queue: Queue) -> None:
    enqueue(queue, "a", "b")
    assert [choose_next(queue), choose_next(queue), choose_next(queue)] == ["a", "b", None]
    assert queue.get_job_ids() == ["a", "b"]


def test_a_chosen_job_is_put_first_once(queue: Queue) -> None:
    enqueue(queue, "a", "b", "c")
    assert put_first(queue, "b")
    assert queue.get_job_ids() == ["b", "a", "c"]


def test_a_job_that_is_taken_is_not_put_back(queue: Queue) -> None:
    enqueue(queue, "a", "b")
    assert queue.pop_job_id() == "a"
    assert not put_first(queue, "a")
    assert queue.get_job_ids() == ["b"]
