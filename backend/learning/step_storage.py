"""SQL for steps: which examples the suggestions of a project are made with."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from backend.database.connection import CHUNK, Database, now
from backend.learning.diversity import most_diverse
from backend.learning.queries import (
    EXAMPLE_COLUMNS,
    STEP_COLUMNS,
    current_step,
    example_from_row,
    lock_project,
    step_from_row,
    terms_of,
    waiting_values,
)
from backend.learning.records import Described, Example, LearntExample, Step
from backend.learning.selection_storage import select_examples
from backend.learning.steps import STANDARD_TERMS, Terms, is_due, name_of, reached
from backend.learning.tables import examples, learnt_steps

# Made once, because every job asks: to make a statement takes longer than to run it.
_ANY_EXAMPLE = select(examples.c.id).where(examples.c.project_uid == bindparam("of")).limit(1)


class StepChanged(RuntimeError):
    """An example of the step was changed or forgotten meanwhile: there is a newer step."""


def advance(connection: Connection, project_uid: str, *, limit: int) -> None:
    """Add a step wherever one is due, and drop the features of examples beyond the limit.

    A step takes the project's costs and tolerance as they are at this moment.

    Args:
        connection: of a transaction that has locked the project.
        limit: largest number of examples whose features are kept.
    """
    of_project = learnt_steps.c.project_uid == project_uid
    query = select(*STEP_COLUMNS).where(of_project).order_by(learnt_steps.c.id)
    steps = [step_from_row(row) for row in connection.execute(query)]
    rows = connection.execute(
        select(*EXAMPLE_COLUMNS)
        .where(examples.c.project_uid == project_uid, examples.c.status.in_(("ready", "spare")))
        .order_by(examples.c.id)
    )
    learnt = [example_from_row(row) for row in rows]
    terms = terms_of(connection, project_uid)
    for step in steps:
        of_step = [each for each in learnt if each.key == step.key]
        _advance(connection, step, of_step, terms, limit)


def _advance(
    connection: Connection, step: Step, learnt: Sequence[Example], terms: Terms, limit: int
) -> None:
    ready = [each for each in learnt if each.status == "ready"]
    images = len({(each.task_id, each.image_url) for each in learnt})
    available = [(each.id, each.digest) for each in ready]
    same_tolerance = step.tolerance == terms.tolerance
    if same_tolerance and not is_due(step.members, step.images, available, images):
        return
    kept = most_diverse(ready, limit)
    spare = {each.id for each in ready} - {each.id for each in kept}
    if spare:
        connection.execute(
            update(examples)
            .where(examples.c.id.in_(spare))
            .values(status="spare", features=None, whole=None, changed_at=now())
        )
    members = sorted((each.id, each.digest) for each in kept) if reached(images) else []
    _add(connection, step.project_uid, step.base_version, step.key, images, members, terms)


def _add(
    connection: Connection,
    project_uid: str,
    base_version: str,
    key: str,
    images: int,
    members: Sequence[tuple[int, str]],
    terms: Terms,
) -> None:
    moment, name = now(), name_of(images, members, key, terms)
    # Not even digests of what was forgotten stay.
    connection.execute(
        delete(learnt_steps).where(
            learnt_steps.c.project_uid == project_uid,
            learnt_steps.c.base_version == base_version,
        )
    )
    connection.execute(
        insert(learnt_steps).values(
            project_uid=project_uid,
            base_version=base_version,
            key=key,
            images=images,
            name=name,
            members=[list(member) for member in members],
            costs=dict(terms.costs) or None,
            tolerance=terms.tolerance,
            made_at=moment,
            requested_at=None if name else moment,
        )
    )


def _is_noted(connection: Connection, known: Step | None, project_uid: str, key: str) -> bool:
    """Return whether a model's backbone is known, and no example has features of another one.

    Args:
        known: the current step of the project with this model.
    """
    if known is None or known.key != key:
        return False
    others = select(examples.c.id).where(*_of_another_backbone(project_uid, key)).limit(1)
    return connection.scalar(others) is None


def _has_examples(connection: Connection, project_uid: str) -> bool:
    return connection.scalar(_ANY_EXAMPLE, {"of": project_uid}) is not None


def _of_another_backbone(project_uid: str, key: str) -> tuple[ColumnElement[bool], ...]:
    return (
        examples.c.project_uid == project_uid,
        examples.c.status.in_(("ready", "spare")),
        examples.c.key != key,
    )


class StepStorage:
    """The table of steps.

    Args:
        limit: largest number of examples a project whose features are kept.
    """

    def __init__(self, database: Database, *, limit: int) -> None:
        self._database = database
        self._limit = limit

    def current(self, project_uid: str, base_version: str) -> Step | None:
        """Return the current step of a project with one of the models; None before the first."""
        with self._database.reading() as connection:
            return current_step(connection, project_uid, base_version)

    def version(self, project_uid: str, base_version: str) -> str:
        """Return the version of suggestions that a model makes with what a project has learnt."""
        step = self.current(project_uid, base_version)
        return step.version if step else base_version

    def adopt(self, project_uid: str, base_version: str, key: str) -> Step | None:
        """Note which backbone a project's model has, unless it is noted.

        Examples with features of another backbone wait for new ones, also where a model that was
        active before is active again. Those of the same backbone become a step at once. Nothing is
        noted for a project without examples.

        Returns:
            The current step of the project with this model; None before the first.
        """
        with self._database.reading() as connection:
            known = current_step(connection, project_uid, base_version)
            if _is_noted(connection, known, project_uid, key) or not _has_examples(
                connection, project_uid
            ):
                return known
        with self._database.writing() as connection:
            lock_project(connection, project_uid)
            known = current_step(connection, project_uid, base_version)
            if _is_noted(connection, known, project_uid, key):
                return known
            connection.execute(
                update(examples)
                .where(*_of_another_backbone(project_uid, key))
                .values(**waiting_values(), changed_at=now())
            )
            select_examples(connection, project_uid, limit=self._limit)
            _add(connection, project_uid, base_version, key, 0, [], STANDARD_TERMS)
            advance(connection, project_uid, limit=self._limit)
            return current_step(connection, project_uid, base_version)

    def advance(self, project_uid: str) -> None:
        """Add the steps that are due, after the settings of a project were changed."""
        with self._database.writing() as connection:
            lock_project(connection, project_uid)
            advance(connection, project_uid, limit=self._limit)

    def members(self, step: Step) -> list[LearntExample]:
        """Return the examples of a step, with their features, ordered by id.

        Raises:
            StepChanged: one of them was changed or forgotten meanwhile.
        """
        ids, found = sorted(number for number, _ in step.members), []
        with self._database.reading() as connection:
            for start in range(0, len(ids), CHUNK):
                chunk = ids[start : start + CHUNK]
                query: Select[Any] = select(*EXAMPLE_COLUMNS, examples.c.features, examples.c.whole)
                rows = connection.execute(
                    query.where(
                        examples.c.id.in_(chunk),
                        examples.c.key == step.key,
                        examples.c.features.is_not(None),
                    ).order_by(examples.c.id)
                )
                found += [
                    LearntExample(example_from_row(row), Described(row.features, row.whole))
                    for row in rows
                ]
        if {(each.example.id, each.example.digest) for each in found} != set(step.members):
            raise StepChanged(
                f"expected the {len(ids)} examples of step {step.name} of project "
                f"{step.project_uid}, but some were changed or forgotten meanwhile"
            )
        return found

    def unrequested(self) -> list[Step]:
        """Return the steps whose next tasks were not requested yet."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(*STEP_COLUMNS)
                .where(learnt_steps.c.requested_at.is_(None))
                .order_by(learnt_steps.c.id)
            )
            return [step_from_row(row) for row in rows]

    def mark_requested(self, step: Step, moment: datetime) -> None:
        """Note that the next tasks of a step were requested."""
        with self._database.writing() as connection:
            connection.execute(
                update(learnt_steps).where(learnt_steps.c.id == step.id).values(requested_at=moment)
            )
