"""SQL for the rough descriptions of tasks' images."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, select

from backend.database.connection import CHUNK, Database, now
from backend.ordering.tables import task_descriptors

HALF = np.dtype("<f2")


def rounded(descriptor: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a description as it is read back, so that an order stays the same from run to run."""
    return descriptor.astype(HALF).astype(np.float32)


class DescriptorStorage:
    """The table of descriptions. Each task has one: a newer one takes its place."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(
        self,
        project_uid: str,
        task_id: int,
        input_sha256: str,
        key: str,
        descriptor: NDArray[np.float32],
    ) -> None:
        """Store the (K,) description that the backbone `key` makes of a task's input."""
        row = {
            "input_sha256": input_sha256,
            "key": key,
            "descriptor": descriptor.astype(HALF).tobytes(),
            "made_at": now(),
        }
        with self._database.writing() as connection:
            connection.execute(
                self._database.insert(task_descriptors)
                .values(project_uid=project_uid, task_id=task_id, **row)
                .on_conflict_do_update(index_elements=["project_uid", "task_id"], set_=row)
            )

    def of_tasks(
        self, project_uid: str, key: str, inputs: Mapping[int, str]
    ) -> dict[int, NDArray[np.float32]]:
        """Return the descriptions of tasks by one backbone; those of other inputs are left out.

        Args:
            inputs: task → digest of its present input.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                select(
                    task_descriptors.c.task_id,
                    task_descriptors.c.input_sha256,
                    task_descriptors.c.descriptor,
                ).where(
                    task_descriptors.c.project_uid == project_uid, task_descriptors.c.key == key
                )
            )
            return {
                row.task_id: np.frombuffer(row.descriptor, HALF).astype(np.float32)
                for row in rows
                if inputs.get(row.task_id) == row.input_sha256
            }

    def keep_only(self, project_uid: str, task_ids: Collection[int]) -> int:
        """Delete the descriptions of a project's other tasks, and return how many there were."""
        of_project = task_descriptors.c.project_uid == project_uid
        with self._database.writing() as connection:
            stored = connection.scalars(select(task_descriptors.c.task_id).where(of_project))
            gone = sorted(set(stored) - set(task_ids))
            for start in range(0, len(gone), CHUNK):
                chunk = task_descriptors.c.task_id.in_(gone[start : start + CHUNK])
                connection.execute(delete(task_descriptors).where(of_project, chunk))
        return len(gone)
