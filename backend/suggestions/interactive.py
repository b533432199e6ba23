"""Answer an annotator who places a point or a rectangle with the other points of that object."""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from redis.exceptions import RedisError
from rq import Queue

from backend.database.connection import Database
from backend.durations.recorder import record_suggestion
from backend.labelstudio.label_config import KeypointControl, prompt_only_controls
from backend.labelstudio.projects import Project
from backend.labelstudio.regions import RegionError, box_of
from backend.labelstudio.schemas import BoxSources, PredictionJson, Task
from backend.labelstudio.shapes import Json, read, read_or_none
from backend.learning.records import base_of
from backend.learning.step_storage import StepStorage
from backend.logs import current_request_id
from backend.settings import Settings
from backend.suggestions.drawing import Size
from backend.suggestions.finished_watch import FinishedWatch
from backend.suggestions.holdout import HoldoutStorage, is_in_holdout
from backend.suggestions.interactive_queue import enqueue_answer, make_interactive_queue
from backend.suggestions.interactive_records import InteractiveAnswer, PlacedSoFar
from backend.suggestions.interactive_regions import Rules, placed_regions, suggested_regions
from backend.suggestions.interactive_storage import InteractiveStorage
from backend.suggestions.several_images import without_box
from backend.suggestions.situation import (
    Situation,
    answers_about,
    placed_on,
    prompts_of,
    situation_of,
    undecided_on,
)
from model.keypoint import Box

logger = logging.getLogger(__name__)

WITHHELD = "the suggestions of this task are withheld"
SKELETONS = "skeletons are suggested when a task is opened, not while somebody draws"
NOTHING_PLACED = PlacedSoFar(100.0, 100.0, None, {}, None, ())


class InteractiveService:
    """Answers the requests that Label Studio sends while an annotator draws.

    Args:
        queue: any queue on the Redis to use.
        model_version: returns the version of a project's suggestions, given its uid.
        wait_deadline: opens a context with the moment (monotonic clock) until which the thread may
            wait.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        queue: Queue,
        model_version: Callable[[str], str],
        wait_deadline: Callable[[float], AbstractContextManager[float]],
    ) -> None:
        self._settings = settings
        self._answers = InteractiveStorage(database)
        self._holdouts = HoldoutStorage(database)
        self._steps = StepStorage(database, limit=settings.learn_examples)
        self._queue = make_interactive_queue(queue.connection)
        self._watch = FinishedWatch(self._answers.finished)
        self._model_version = model_version
        self._wait_deadline = wait_deadline

    def answer(
        self, project: Project, control: KeypointControl, task: object, context: Json
    ) -> PredictionJson:
        """Return the regions that Label Studio shows: those just placed, and suggestions.

        When suggestions are accepted, Label Studio deletes what was placed to get them. An answer
        therefore repeats it with the same ids, which makes it stay.

        Args:
            context: raw; its `result` holds the regions just placed.
        """
        found = read_or_none(Task, task)
        all_images, control = control, placed_on(context, control)
        url = found.image_url(control.image_path) if found else None
        if found is None or url is None:
            logger.warning("Expected a task with an image, got %.100r", task)
            return self._reply(project, [], None)
        control = control.with_data(found.data)
        prompt_only = prompt_only_controls(project.label_config or "")
        answers = self._answers.of_task(project.uid, found.id)
        situation = situation_of(
            found,
            prompts_of(context, control, prompt_only),
            control,
            prompt_only,
            answers_about(answers, url),
        )
        if situation is None:
            answer_id = self._answers.add(
                project.uid, found.id, url, NOTHING_PLACED, current_request_id()
            )
            self._answers.record_sent(answer_id, [])
            return self._reply(project, [], None)
        about = found if control.to_name == all_images.to_name else without_box(found)
        answer = self._completed(project, control, about, url, situation)
        result = placed_regions(situation, control.to_name)
        if answer.detection is not None:
            rules = Rules(
                control,
                project.settings,
                project.settings.suggest or self._settings.suggest,
                self._settings.default_label,
                self._costs(answer),
            )
            # Label Studio's editor puts the first region on top: a rectangle that was just placed
            # would take every click on the points in it.
            result = [*suggested_regions(answer.detection, situation, rules, answer.id), *result]
        self._answers.record_sent(answer.id, result)
        record_suggestion("interactive", answer.asked_at)
        others = [each for each in all_images.of_images if each.to_name != control.to_name]
        elsewhere = [region for each in others for region in undecided_on(each, found, answers)]
        return self._reply(project, [*result, *elsewhere], answer)

    def _completed(
        self,
        project: Project,
        control: KeypointControl,
        task: Task,
        url: str,
        situation: Situation,
    ) -> InteractiveAnswer:
        """Return an answer with what a worker found in time."""
        placed = situation.placed_so_far(_task_box(task, control, situation.size))
        answer_id = self._answers.add(project.uid, task.id, url, placed, current_request_id())
        if self._is_withheld(project, task.id):
            self._answers.fail(answer_id, WITHHELD)
        elif control.skeleton is not None:
            self._answers.fail(answer_id, SKELETONS)
        else:
            self._enqueue_and_wait(answer_id)
        answer = self._answers.answer(answer_id)
        assert answer is not None, "it was just added"
        return answer

    def _costs(self, answer: InteractiveAnswer) -> Mapping[str, float]:
        """Return the costs of the project's current step, by which its predictions are shown."""
        step = self._steps.current(answer.project_uid, base_of(answer.model_version or ""))
        return step.costs if step else {}

    def _is_withheld(self, project: Project, task_id: int) -> bool:
        share = self._settings.holdout_share
        return is_in_holdout(share, project.uid, task_id) or self._holdouts.is_withheld(
            project.uid, task_id
        )

    def _enqueue_and_wait(self, answer_id: int) -> None:
        try:
            enqueue_answer(self._queue, self._settings, answer_id)
        except RedisError as error:
            logger.error("Redis cannot be reached, so nothing is suggested: %s", error)
            return
        with self._wait_deadline(self._settings.predict_wait_one) as deadline:
            self._watch.wait([answer_id], deadline)

    def _reply(
        self, project: Project, result: list[Json], answer: InteractiveAnswer | None
    ) -> PredictionJson:
        version = answer.model_version if answer else None
        scores = [region["score"] for region in result if "score" in region]
        return {
            "result": result,
            "score": sum(scores) / len(scores) if scores else 0.0,
            "model_version": version or self._model_version(project.uid),
        }


def _task_box(task: Task, control: KeypointControl, size: Size) -> Box | None:
    """Return the box that a task came with, px; None if it has none, or one that is unusable."""
    sources = read(BoxSources, {"data": task.data})
    try:
        return box_of(sources, control, round(size.width), round(size.height))
    except RegionError:
        return None
