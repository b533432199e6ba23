"""SQL for predictions. `delivery_storage` has the SQL for their deliveries.

Every change of state is one transaction. If several processes attempt the same change at once, the
condition in its `UPDATE` lets exactly one succeed. So any number of web processes and workers may
be stopped at any time.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, bindparam, case, select, update

from backend.database.connection import CHUNK, Database, now
from backend.database.schema import WAITS_NO_MORE
from backend.database.text import storable
from backend.outages.records import Cause
from backend.retries import DETECTION_JOB, jittered
from backend.suggestions.objects import StoredObject, objects_to_json
from backend.suggestions.queries import (
    count_by,
    prediction_from_row,
    select_predictions,
    update_prediction,
    waiting_predictions,
    with_images,
)
from backend.suggestions.records import (
    PredictedImage,
    Prediction,
    Wanted,
    detection_to_json,
    image_values,
    pack_points,
    unpack_points,
)
from backend.suggestions.request_storage import (
    insert_and_lock,
    mark_opened,
    mark_requested,
    requeue_failed,
)
from backend.suggestions.tables import candidates, prediction_images, predictions
from model.keypoint import Detection, Keypoint

# Statements of every job are made once: that takes longer than to run them.
_THIS = predictions.c.id == bindparam("this")
_ROW = select_predictions().where(_THIS)
_START_ATTEMPT = (
    update(predictions)
    .where(_THIS, predictions.c.status == "queued")
    .values(attempts=predictions.c.attempts + 1)
)
_MOMENT = bindparam("moment", type_=predictions.c.check_at.type)
_FINISH = (
    update(predictions)
    .where(_THIS, predictions.c.status == "queued")
    .values(
        status="ready",
        reason=None,
        check_at=case(
            (predictions.c.waiting_until > _MOMENT, predictions.c.waiting_until), else_=_MOMENT
        ),
        **WAITS_NO_MORE,
    )
)


class PredictionStorage:
    """The table of predictions.

    A prediction is `queued` until a worker has made it (`ready`) or given up on it (`failed`).
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting = waiting_predictions(database)

    def request(
        self,
        project_uid: str,
        model_version: str,
        wanted: Sequence[Wanted],
        *,
        retry_failed_before: datetime,
        to_deliver: bool = True,
        opened: bool = False,
        request_id: str | None = None,
    ) -> list[Prediction]:
        """Insert the rows that are missing, and queue failed ones again.

        Args:
            project_uid: a project that has a row already.
            retry_failed_before: rows that failed before this moment are queued again.
            to_deliver: whether to deliver them to Label Studio. Once true, a row stays true.
            opened: whether an annotator waits for them; then workers make them before others.
            request_id: in the log lines about them from now on.

        Returns:
            The rows, in the order of `wanted`, with repetitions.
        """
        found: dict[tuple[int, str], Prediction] = {}
        # Every request locks rows in the same order, so that no two of them deadlock.
        ordered = sorted(wanted, key=lambda one: (one.task_id, one.input_sha256))
        for start in range(0, len(ordered), CHUNK):
            chunk = ordered[start : start + CHUNK]
            with self._database.writing() as connection:
                ids = insert_and_lock(self._database, connection, project_uid, model_version, chunk)
                mark_requested(connection, ids.values(), to_deliver, request_id)
                possible = [
                    ids[one.task_id, one.input_sha256] for one in chunk if one.refusal is None
                ]
                requeue_failed(connection, possible, retry_failed_before)
                if opened:
                    mark_opened(connection, possible)
                query = select_predictions().where(predictions.c.id.in_(ids.values()))
                for row in connection.execute(query):
                    found[row.task_id, row.input_sha256] = prediction_from_row(row)
        return [found[one.task_id, one.input_sha256] for one in wanted]

    def prediction(self, prediction_id: int) -> Prediction | None:
        """Return a row, or None if it does not exist."""
        with self._database.reading() as connection:
            row = connection.execute(_ROW, {"this": prediction_id}).one_or_none()
            return None if row is None else with_images(connection, [prediction_from_row(row)])[0]

    def predictions(self, ids: Sequence[int]) -> list[Prediction]:
        """Return those of the rows that exist, ordered by id."""
        found: list[Prediction] = []
        with self._database.reading() as connection:
            for start in range(0, len(ids), CHUNK):
                chunk = sorted(ids)[start : start + CHUNK]
                query = select_predictions().where(predictions.c.id.in_(chunk))
                rows = connection.execute(query.order_by(predictions.c.id))
                found.extend(prediction_from_row(row) for row in rows)
            return with_images(connection, found)

    def requested(self, project_uid: str, model_version: str, since: datetime) -> list[int]:
        """Return the ids of the rows to deliver that were last requested since a moment, sorted."""
        query = select(predictions.c.id).where(
            predictions.c.project_uid == project_uid,
            predictions.c.model_version == model_version,
            predictions.c.to_deliver,
            predictions.c.asked_at >= since,
        )
        with self._database.reading() as connection:
            return list(connection.scalars(query.order_by(predictions.c.id)))

    def of_task(self, task_id: int, project_uid: str | None = None) -> list[Prediction]:
        """Return every prediction of a task, the most recently requested first.

        Predictions that an annotator only saw while drawing come last.

        Args:
            project_uid: None for the tasks with this id in any project.
        """
        query = select_predictions().where(predictions.c.task_id == task_id)
        if project_uid is not None:
            query = query.where(predictions.c.project_uid == project_uid)
        newest_first = (
            predictions.c.to_deliver.desc(),
            predictions.c.asked_at.desc(),
            predictions.c.id.desc(),
        )
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(*newest_first))
            return with_images(connection, [prediction_from_row(row) for row in rows])

    def finished(self, ids: Sequence[int]) -> set[int]:
        """Return the ids among these that are queued no longer; see also `version_storage`."""
        queued: set[int] = set()
        with self._database.reading() as connection:
            for start in range(0, len(ids), CHUNK):
                rows = connection.scalars(
                    select(predictions.c.id).where(
                        predictions.c.id.in_(ids[start : start + CHUNK]),
                        predictions.c.status == "queued",
                    )
                )
                queued.update(rows)
        return set(ids) - queued

    def start_attempt(self, prediction_id: int) -> Prediction | None:
        """Count an attempt of a worker, if the row is queued.

        Returns:
            The row, or None if it does not exist.
        """
        this = {"this": prediction_id}
        with self._database.writing() as connection:
            connection.execute(_START_ATTEMPT, this | {"started_at": now()})
            row = connection.execute(_ROW, this).one_or_none()
        return None if row is None else prediction_from_row(row)

    def undo_attempt(self, prediction_id: int) -> None:
        """Uncount an attempt that was interrupted through no fault of the task."""
        self._update_queued(prediction_id, attempts=predictions.c.attempts - 1, started_at=None)

    def next_round(self, prediction_id: int, after: int) -> bool:
        """Begin the round that follows `after`, whose job will not make the prediction.

        Returns:
            False if another process was faster, or the row is no longer queued.
        """
        return self._update_queued(prediction_id, predictions.c.round == after, round=after + 1)

    def finish(
        self,
        prediction_id: int,
        detection: Detection | None,
        costs: Mapping[str, float] | None = None,
        objects: Sequence[StoredObject] = (),
        images: Sequence[PredictedImage] = (),
    ) -> None:
        """Store a detection, unless the row is no longer queued.

        Args:
            detection: on the first image of a task with several; None if that cannot be used.
            costs: by which its landmarks are shown.
            objects: which its landmarks belong to.
            images: all images of a task with several.
        """
        moment = now()
        values = {
            "this": prediction_id,
            "detection": detection and detection_to_json(detection),
            "costs": dict(costs) if costs else None,
            "objects": objects_to_json(objects) or None,
            "finished_at": moment,
            "moment": moment,
        }
        with self._database.writing() as connection:
            finished = connection.execute(_FINISH, values)
            if finished.rowcount == 1 and detection and detection.candidates:
                points = pack_points(detection.candidates)
                connection.execute(
                    self._database.insert(candidates)
                    .values(prediction_id=prediction_id, points=points)
                    .on_conflict_do_nothing()
                )
            if finished.rowcount == 1 and images:
                rows = [image_values(prediction_id, *each) for each in enumerate(images)]
                connection.execute(prediction_images.insert(), rows)

    def candidates(self, row: Prediction) -> tuple[Keypoint, ...] | None:
        """Return every point that a detection found, best first, as exact as is stored of each.

        Returns:
            None if only those that were shown are stored, by an earlier version of the program.
        """
        if row.detection is None:
            return None
        query = select(candidates.c.points).where(candidates.c.prediction_id == row.id)
        if row.image_number:
            images = prediction_images.c
            of_image = images.prediction_id == row.id, images.number == row.image_number
            query = select(images.points).where(*of_image)
        with self._database.reading() as connection:
            packed = connection.scalar(query)
        if packed is None:
            return None
        shown = row.detection.keypoints
        return shown + unpack_points(packed, row.detection.class_name)[len(shown) :]

    def fail(self, prediction_id: int, reason: str) -> None:
        """Give up on a prediction, unless it is no longer queued."""
        self._update_queued(
            prediction_id,
            status="failed",
            reason=storable(reason),
            finished_at=now(),
            **WAITS_NO_MORE,
        )

    def postpone(self, prediction_id: int, cause: Cause, *, patience: float) -> bool:
        """Let a queued prediction wait; its attempt does not count.

        Returns:
            False if it has waited for longer than `patience`, s.
        """
        queued = predictions.c.status == "queued"
        if not self._waiting.postpone(prediction_id, queued, cause, patience=patience):
            return False
        self.undo_attempt(prediction_id)
        return True

    def record_failure(self, prediction_id: int, reason: str, *, limit: int) -> bool:
        """Count a failure for an unknown reason, and give up after more than `limit` of them.

        Returns:
            Whether to try again.
        """
        row = self.prediction(prediction_id)
        pause = jittered(DETECTION_JOB.pause(row.failures if row else 0))
        self._update_queued(
            prediction_id,
            failures=predictions.c.failures + 1,
            retry_at=now() + timedelta(seconds=pause),
            reason=storable(reason),
        )
        given_up = self._update_queued(
            prediction_id,
            predictions.c.failures > limit,
            status="failed",
            finished_at=now(),
        )
        return not given_up

    def predictions_by_status(self) -> dict[str, int]:
        """Count the predictions of each status."""
        return count_by(self._database, predictions.c.status)

    def _update_queued(
        self, prediction_id: int, *conditions: ColumnElement[bool], **values: object
    ) -> bool:
        """Change a row if it is queued and the conditions hold, and return whether they did."""
        queued = predictions.c.status == "queued"
        return update_prediction(self._database, prediction_id, queued, *conditions, **values)
