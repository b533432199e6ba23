"""SQL about trainings, trained models, and activations of models."""

from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    ScalarSelect,
    and_,
    bindparam,
    func,
    insert,
    select,
    update,
)

from backend.database.connection import Database, now
from backend.database.schema import WAITS_NO_MORE
from backend.database.text import storable
from backend.outages.records import Cause
from backend.outages.storage import WaitingRows
from backend.training.records import (
    Activation,
    NewModel,
    Outcome,
    Progress,
    TrainedModel,
    Training,
    TrainingOptions,
    Way,
)
from backend.training.tables import activations, models, trainings

MODEL_COLUMNS = [models.c[field.name] for field in fields(TrainedModel)]


class TrainingStorage:
    """Stores trainings, and the model that a training ends with."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting = WaitingRows(database, trainings)

    def request(self, project_uid: str, options: TrainingOptions) -> tuple[Training, bool]:
        """Add a training of a project, unless one has not ended yet.

        Args:
            project_uid: uid of a project in the database.

        Returns:
            The project's unfinished training, and whether it is new.
        """
        new = {
            "project_uid": project_uid,
            "wishes": asdict(options),
            "status": "queued",
            "round": 1,
            "attempts": 0,
            "created_at": now(),
        }
        with self._database.writing() as connection:
            made = connection.scalars(
                self._database.insert(trainings)
                .values(new)
                .on_conflict_do_nothing()
                .returning(trainings.c.id)
            ).one_or_none()
            row = connection.execute(
                select(trainings).where(
                    trainings.c.project_uid == project_uid, trainings.c.status == "queued"
                )
            ).one()
        return _training(row), made is not None

    def training(self, training_id: int) -> Training | None:
        """Return a training, or None if there is none with that id."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(trainings).where(trainings.c.id == training_id)
            ).one_or_none()
        return None if row is None else _training(row)

    def latest(self, limit: int, project_uid: str | None = None) -> list[Training]:
        """Return the last trainings, of one project or of all, newest first."""
        query = select(trainings).order_by(trainings.c.id.desc()).limit(limit)
        if project_uid is not None:
            query = query.where(trainings.c.project_uid == project_uid)
        with self._database.reading() as connection:
            return [_training(row) for row in connection.execute(query)]

    def begin(self, training_id: int) -> Training | None:
        """Count a start and return the training, or None if there is none with that id."""
        self._change(training_id, attempts=trainings.c.attempts + 1, started_at=now())
        return self.training(training_id)

    def undo_begin(self, training_id: int) -> None:
        """Discount a start that was interrupted through no fault of the training."""
        self._change(training_id, attempts=trainings.c.attempts - 1)

    def record_progress(
        self, training_id: int, progress: Progress, *, resumable: bool = False
    ) -> None:
        """Store what a training is doing.

        Args:
            resumable: a restart would resume here, so earlier attempts no longer count.
        """
        advanced = {"attempts": 0, "reason": None, **WAITS_NO_MORE} if resumable else {}
        self._change(training_id, progress=progress.as_json(), **advanced)

    def postpone(self, training_id: int, cause: Cause, *, patience: float) -> bool:
        """Let a training wait; its start does not count.

        Returns:
            False if it has waited for longer than `patience`, s.
        """
        pending = trainings.c.status == "queued"
        if not self._waiting.postpone(training_id, pending, cause, patience=patience):
            return False
        self._change(training_id, attempts=trainings.c.attempts - 1, progress=None)
        return True

    def next_round(self, training_id: int, after: int) -> bool:
        """Advance from round `after`, whose job is over.

        Returns:
            False if another process has advanced it.
        """
        return self._change(training_id, trainings.c.round == after, round=after + 1)

    def fail(self, training_id: int, reason: str) -> None:
        """End a training without a model; one that has ended stays as it is."""
        self._change(
            training_id,
            status="failed",
            reason=storable(reason),
            progress=None,
            finished_at=now(),
            **WAITS_NO_MORE,
        )

    def succeed(self, training_id: int, model: NewModel, outcome: Outcome, *, use: bool) -> bool:
        """End a training with a model, in one transaction.

        Args:
            use: make the model the active one of its project.

        Returns:
            False, with nothing changed, if the training has ended, perhaps by another worker.
        """
        moment = now()
        with self._database.writing() as connection:
            row = connection.execute(
                update(trainings)
                .where(trainings.c.id == training_id, trainings.c.status == "queued")
                .values(
                    status="done",
                    reason=None,
                    progress=None,
                    outcome=asdict(outcome),
                    finished_at=moment,
                    **WAITS_NO_MORE,
                )
                .returning(trainings.c.project_uid)
            ).one_or_none()
            if row is None:
                return False
            model_id = connection.execute(
                insert(models)
                .values(
                    **asdict(model),
                    training_id=training_id,
                    project_uid=row.project_uid,
                    created_at=moment,
                )
                .returning(models.c.id)
            ).scalar_one()
            if use:
                connection.execute(
                    insert(activations).values(
                        project_uid=row.project_uid,
                        model_id=model_id,
                        way="training",
                        chosen_at=moment,
                    )
                )
        return True

    def _change(self, training_id: int, *conditions: ColumnElement[bool], **values: object) -> bool:
        """Change a training that has not ended; return whether it met the conditions."""
        with self._database.writing() as connection:
            changed = connection.execute(
                update(trainings)
                .where(trainings.c.id == training_id, trainings.c.status == "queued", *conditions)
                .values(values)
            )
        return changed.rowcount > 0


class ModelStorage:
    """Stores trained models, and which of them is active for the deployment and for each project.

    Methods take the uid of a project, or None for the deployment.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def models(self) -> list[TrainedModel]:
        """Return every trained model, newest first."""
        query = select(*MODEL_COLUMNS).order_by(models.c.id.desc())
        with self._database.reading() as connection:
            return [_model(row) for row in connection.execute(query)]

    def activation(self, project_uid: str | None) -> Activation | None:
        """Return the activation that holds; None if none was made, or all are undone."""
        of_project, of_deployment = self.activations(project_uid)
        return of_deployment if project_uid is None else of_project

    def activations(self, project_uid: str | None) -> tuple[Activation | None, Activation | None]:
        """Return the activations that hold for a project and for the deployment, by one query."""
        with self._database.reading() as connection:
            rows = connection.execute(_ACTIVATIONS, {"project": project_uid})
            found = {row.of: _activation(row) for row in rows}
        return found.get(project_uid), found.get(None)

    def projects_with_activations(self) -> list[str]:
        """Return the uids of projects with an activation that holds, sorted."""
        query = (
            select(activations.c.project_uid)
            .where(activations.c.undone_at.is_(None), activations.c.project_uid.is_not(None))
            .distinct()
            .order_by(activations.c.project_uid)
        )
        with self._database.reading() as connection:
            return list(connection.scalars(query))

    def ever_active(self) -> set[int]:
        """Return the ids of the models that are or once were active."""
        with self._database.reading() as connection:
            return set(connection.scalars(select(activations.c.model_id).distinct())) - {None}

    def activate(self, model_id: int | None, way: Way, project_uid: str | None) -> None:
        """Make a model active; `model_id` is None for that of the settings."""
        values = {"project_uid": project_uid, "model_id": model_id, "way": way}
        with self._database.writing() as connection:
            connection.execute(insert(activations).values(**values, chosen_at=now()))

    def stack(self, project_uid: str | None) -> list[Activation]:
        """Return the activations that are not undone, the one that holds first."""
        query = _WITH_MODELS.where(_holds(project_uid)).order_by(activations.c.id.desc())
        with self._database.reading() as connection:
            return [_activation(row) for row in connection.execute(query)]

    def undo_activations(self, undone: Iterable[Activation]) -> None:
        """Undo activations, so that the one before them holds."""
        self._undo(activations.c.id.in_([each.id for each in undone]))

    def undo_all_activations(self, project_uid: str) -> None:
        """Undo every activation of a project."""
        self._undo(_holds(project_uid))

    def _undo(self, which: ColumnElement[bool]) -> None:
        with self._database.writing() as connection:
            connection.execute(
                update(activations)
                .where(which, activations.c.undone_at.is_(None))
                .values(undone_at=now())
            )


def _holds(project_uid: str | BindParameter[str] | None) -> ColumnElement[bool]:
    """Return the condition that an activation is of this project and is not undone."""
    return and_(
        activations.c.project_uid.is_not_distinct_from(project_uid),
        activations.c.undone_at.is_(None),
    )


def _latest(project_uid: str | BindParameter[str] | None) -> ScalarSelect[Any]:
    """Select the id of the activation that holds."""
    return select(func.max(activations.c.id)).where(_holds(project_uid)).scalar_subquery()


_WITH_MODELS = (
    select(
        activations.c.project_uid.label("of"),
        activations.c.id.label("activation_id"),
        *MODEL_COLUMNS,
    )
    .select_from(activations)
    .outerjoin(models, models.c.id == activations.c.model_id)
)
# Made once, because every job asks: to make a statement takes longer than to run it.
_ACTIVATIONS = _WITH_MODELS.where(
    activations.c.id.in_([_latest(bindparam("project")), _latest(None)])
)


def _activation(row: Row[Any]) -> Activation:
    return Activation(row.activation_id, None if row.id is None else _model(row))


def _training(row: Row[Any]) -> Training:
    values = dict(row._mapping)
    values["options"] = TrainingOptions(**values.pop("wishes"))
    if values["progress"] is not None:
        values["progress"] = Progress(**values["progress"])
    if values["outcome"] is not None:
        outcome = dict(values["outcome"])
        outcome["left_out"] = [(name, reason) for name, reason in outcome["left_out"]]
        values["outcome"] = Outcome(**outcome)
    return Training(**values)


def _model(row: Row[Any]) -> TrainedModel:
    values = {field.name: getattr(row, field.name) for field in fields(TrainedModel)}
    values["classes"] = tuple(row.classes)
    return TrainedModel(**values)
