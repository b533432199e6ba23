"""Which tasks get no suggestions, so that one can tell what annotators do without."""

import hashlib

SIZE = 8  # bytes of the hash that are used


def is_held_back(share: float, project_uid: str, task_id: int) -> bool:
    """Whether a task belongs to the held-back share: by chance, and the same whenever asked.

    A larger share holds back what a smaller one does, and more.
    """
    drawn = hashlib.sha256(f"holdout {project_uid}/{task_id}".encode()).digest()[:SIZE]
    return int.from_bytes(drawn) < share * (1 << 8 * SIZE)
