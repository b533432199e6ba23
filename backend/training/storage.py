"""SQL about trainings, the models that came of them, and which model answers."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import ColumnElement, Row, insert, select, update

from backend.database.connection import Database, now
from backend.database.text import storable
from backend.training.records import NewModel, Outcome, TrainedModel, Training, Way, Wishes
from backend.training.tables import choices, models, trainings

MODEL_COLUMNS = [models.c[field.name] for field in fields(TrainedModel)]


class TrainingStorage:
    """The same database as `Storage`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Trainings

    def ask(self, project_uid: str, wishes: Wishes) -> tuple[Training, bool]:
        """The training of a project that has not ended, made where there is none.

        Args:
            project_uid: of a project that is known already.

        Returns:
            It, and whether it is new.
        """
        new = {
            "project_uid": project_uid,
            "wishes": asdict(wishes),
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
        """A row, or None where there is none."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(trainings).where(trainings.c.id == training_id)
            ).one_or_none()
        return None if row is None else _training(row)

    def latest(self, limit: int, project_uid: str | None = None) -> list[Training]:
        """The last trainings, of one project or of all, the newest first."""
        asked = select(trainings).order_by(trainings.c.id.desc()).limit(limit)
        if project_uid is not None:
            asked = asked.where(trainings.c.project_uid == project_uid)
        with self._database.reading() as connection:
            return [_training(row) for row in connection.execute(asked)]

    def unfinished(self) -> list[Training]:
        """Those that a worker has to begin or to end, in the order in which they were asked for."""
        asked = select(trainings).where(trainings.c.status == "queued").order_by(trainings.c.id)
        with self._database.reading() as connection:
            return [_training(row) for row in connection.execute(asked)]

    def begin(self, training_id: int) -> Training | None:
        """Count that a worker starts on it; None where there is no such row."""
        self._change(training_id, attempts=trainings.c.attempts + 1, started_at=now())
        return self.training(training_id)

    def take_back(self, training_id: int) -> None:
        """Uncount a start that came to no end through no fault of the training."""
        self._change(training_id, attempts=trainings.c.attempts - 1)

    def note(self, training_id: int, progress: dict[str, Any], *, lasting: bool = False) -> None:
        """Note what it is at.

        Args:
            lasting: what was done until now will not have to be done again.
        """
        anew = {"attempts": 0} if lasting else {}
        self._change(training_id, progress=progress, **anew)

    def next_round(self, training_id: int, after: int) -> bool:
        """Go on from round `after`, whose job was lost; False where somebody else has."""
        return self._change(training_id, trainings.c.round == after, round=after + 1)

    def fail(self, training_id: int, reason: str) -> None:
        """End it without a model, for a reason; one that has ended stays as it is."""
        self._change(
            training_id,
            status="failed",
            reason=storable(reason),
            progress=None,
            finished_at=now(),
        )

    def succeed(self, training_id: int, model: NewModel, outcome: Outcome, *, use: bool) -> bool:
        """End it with a model, which answers from now on if `use`; all of it or nothing.

        Returns:
            False where it has ended already, perhaps by another worker; nothing is changed then.
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
                    insert(choices).values(model_id=model_id, way="training", chosen_at=moment)
                )
        return True

    def _change(self, training_id: int, *conditions: ColumnElement[bool], **values: object) -> bool:
        """Change one that has not ended, where the conditions hold; whether it did."""
        with self._database.writing() as connection:
            changed = connection.execute(
                update(trainings)
                .where(trainings.c.id == training_id, trainings.c.status == "queued", *conditions)
                .values(values)
            )
        return changed.rowcount > 0

    # Models

    def models(self) -> list[TrainedModel]:
        """Every trained model, the newest first."""
        asked = select(*MODEL_COLUMNS).order_by(models.c.id.desc())
        with self._database.reading() as connection:
            return [_model(row) for row in connection.execute(asked)]

    def chosen(self) -> TrainedModel | None:
        """The model that answers; None for that of the settings."""
        asked = (
            select(*MODEL_COLUMNS)
            .select_from(choices)
            .outerjoin(models, models.c.id == choices.c.model_id)
            .where(choices.c.undone_at.is_(None))
            .order_by(choices.c.id.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(asked).one_or_none()
        return None if row is None or row.id is None else _model(row)

    def ever_chosen(self) -> set[int]:
        """Ids of the models that answer or once did."""
        with self._database.reading() as connection:
            return set(connection.scalars(select(choices.c.model_id).distinct())) - {None}

    def choose(self, model_id: int | None, way: Way) -> None:
        """Let a model answer from now on; None for that of the settings."""
        with self._database.writing() as connection:
            connection.execute(insert(choices).values(model_id=model_id, way=way, chosen_at=now()))

    def undo_choice(self) -> bool:
        """Let the model answer that did before the last choice; False where there is no choice."""
        last = (
            select(choices.c.id)
            .where(choices.c.undone_at.is_(None))
            .order_by(choices.c.id.desc())
            .limit(1)
            .scalar_subquery()
        )
        with self._database.writing() as connection:
            undone = connection.execute(
                update(choices)
                .where(choices.c.id == last, choices.c.undone_at.is_(None))
                .values(undone_at=now())
            )
        return undone.rowcount > 0


def _training(row: Row[Any]) -> Training:
    values = dict(row._mapping)
    values["wishes"] = Wishes(**values["wishes"])
    if values["outcome"] is not None:
        outcome = dict(values["outcome"])
        outcome["left_out"] = _pairs(outcome["left_out"])
        values["outcome"] = Outcome(**outcome)
    return Training(**values)


def _pairs(listed: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    return [(name, reason) for name, reason in listed]


def _model(row: Row[Any]) -> TrainedModel:
    values = dict(row._mapping)
    values["classes"] = tuple(values["classes"])
    return TrainedModel(**values)
