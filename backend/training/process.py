"""`python -m backend.training.process ID`: one training, in a process that ends with it.

It may be killed at any time, and takes up where it was: images and the state after each epoch lie
in the project's folder until a training has ended well.
"""

import logging
import re
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from backend.database.connection import Database
from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.images import Images
from backend.labelstudio.label_config import LabelConfigError
from backend.labelstudio.projects import (
    LabelStudios,
    NotDeliverable,
    ProjectStorage,
    project_id_of,
    uid_of,
)
from backend.logs import set_up_logging
from backend.settings import Settings, load_settings
from backend.training.images import ImagesUnreachable, fetch_images
from backend.training.labels import class_labels, possible_controls
from backend.training.records import NewModel, Outcome, Training
from backend.training.registry import Model, ModelRegistry
from backend.training.storage import TrainingStorage
from model.learning.labelled_images import LabelledImages
from model.learning.training import FROM_NOTHING, Epoch, Trained, TrainingSettings, train
from model.learning.validation import validation_accuracy
from model.networks import SMALL, WeightsError, load_classifier, save_classifier
from model.settings import TORCHVISION_WEIGHTS, weights_fingerprint

log = logging.getLogger("backend.training.process")  # also where this module is run by its name

NOTHING = "nothing"
CHECKPOINT = "state.training"
NOTED_EVERY = 1.0  # s
# Few images are learnt in small steps, so that an epoch has several: of 60 drawings of three types,
# a pretrained network then got 98 % of others right, in place of 73 %.
BATCHES = 10
SMALLEST_BATCH = 8
MOST_LISTED = 200

# What a training fails for with a sentence of its own; UnusableLabels, Refused and WeightsError
# are ValueErrors.
EXPECTED = (
    LabelStudioError,
    LabelConfigError,
    NotDeliverable,
    ImagesUnreachable,
    ValueError,
    OSError,
)


class ProjectGone(ValueError):
    """The project is no longer in Label Studio."""


@dataclass(frozen=True)
class Start:
    """Where a training starts from; see `model.learning.training.train`.

    Attributes:
        asked: whether somebody asked for this start.
    """

    arch: str | None
    init: str | None
    asked: bool


def main(training_id: int) -> int:
    """Train, and note how it ended.

    Returns:
        0 where that is noted, be it good or bad.
    """
    settings = load_settings()
    set_up_logging(settings.log_level)
    database = Database(settings.database)
    run(settings, database, training_id)
    database.close()
    return 0


def run(settings: Settings, database: Database, training_id: int) -> None:
    """Do one training that has not ended, and note how it ended."""
    trainings = TrainingStorage(database)
    training = trainings.training(training_id)
    if training is None or training.status != "queued":
        return
    try:
        _Run(settings, database, trainings, training).run()
    except EXPECTED as error:
        trainings.fail(training.id, str(error))
        log.warning("Training %d of project %s: %s", training.id, training.project_uid, error)
    except Exception as error:
        trainings.fail(training.id, f"{type(error).__name__}: {error}")
        log.exception("Training %d of project %s failed", training.id, training.project_uid)


class _Run:
    def __init__(
        self, settings: Settings, database: Database, trainings: TrainingStorage, training: Training
    ) -> None:
        self._settings = settings
        self._database = database
        self._trainings = trainings
        self._training = training
        self._registry = ModelRegistry(settings, database)
        self._folder = settings.models_folder / f"training-{training.project_uid}"
        self._noted_at = 0.0

    def run(self) -> None:
        """Labels and images from Label Studio, weights, and the decision whether they are used."""
        self._note("reading annotations")
        control, images = self._labelled_images()
        start = self._start()
        trained, training_settings = self._train(images, start)
        file = f"{self._training.project_uid}-{self._training.id}.safetensors"
        self._note("saving")
        save_classifier(trained.classifier, self._settings.models_folder / file)
        self._conclude(control, file, images, trained, training_settings)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _labelled_images(self) -> tuple[str, LabelledImages]:
        """The control whose choices are the classes, and the images that have one."""
        uid = self._training.project_uid
        known, studios = ProjectStorage(self._database).project(uid), LabelStudios(self._settings)
        assert known is not None, "its foreign key"
        client, project_id = studios.of(known), project_id_of(uid)
        project = client.project(project_id) if project_id is not None else {}
        if project_id is None or uid_of(project) != uid:
            raise ProjectGone(
                f"expected project {uid} in Label Studio, which has another one of that number now"
            )
        controls = possible_controls(project["label_config"], self._training.wishes.control)
        labels = class_labels(list(client.tasks(project_id)), controls)
        count = len(labels.tasks)
        images = fetch_images(
            labels.tasks,
            Images(self._settings, studios),
            known,
            self._folder / "images",
            left_out=labels.left_out,
            on_progress=lambda done: self._note("fetching images", done=done, total=count),
        )
        return labels.control, images

    def _start(self) -> Start:
        """What was wished; by default, the model that answers now learns the new classes."""
        arch, init = self._training.wishes.arch, self._training.wishes.init
        if init == NOTHING or (init is None and arch == SMALL):
            return Start(arch, None, asked=True)
        if init is not None:
            return Start(arch, init, asked=True)
        current = self._registry.current()
        if arch in (None, current.arch):
            return Start(current.arch, current.weights, asked=arch is not None)
        return Start(arch, TORCHVISION_WEIGHTS, asked=True)

    def _train(self, images: LabelledImages, start: Start) -> tuple[Trained, TrainingSettings]:
        try:
            return self._train_from(images, start)
        except WeightsError as error:
            if start.asked:
                raise
            log.warning(
                "The weights to start from cannot be had, so a small network is trained from "
                "nothing: %s",
                error,
            )
            return self._train_from(images, Start(SMALL, None, asked=False))

    def _train_from(self, images: LabelledImages, start: Start) -> tuple[Trained, TrainingSettings]:
        wishes = self._training.wishes
        otherwise = TrainingSettings() if start.init else FROM_NOTHING
        settings = replace(
            otherwise,
            epochs=wishes.epochs or otherwise.epochs,
            seed=wishes.seed,
            flip=may_flip(images.labels) if wishes.flip is None else wishes.flip,
            batch=min(otherwise.batch, max(SMALLEST_BATCH, len(images.names) // BATCHES)),
            # Else the model that answers would be compared on images that it has learnt.
            split_by_content=True,
        )
        self._note("reading images")
        log.info(
            "Training %d of project %s: %d images, %s from %s, at most %d epochs%s",
            self._training.id,
            self._training.project_uid,
            len(images.names),
            start.arch or "the network",
            start.init or NOTHING,
            settings.epochs,
            "" if settings.flip else ", no image mirrored",
        )
        trained = train(
            images,
            arch=start.arch,
            init=start.init,
            settings=settings,
            checkpoint=self._folder / CHECKPOINT,
            on_epoch=lambda epoch: self._on_epoch(epoch, settings.epochs),
        )
        return trained, settings

    def _on_epoch(self, epoch: Epoch, epochs: int) -> None:
        log.info(
            "Training %d of project %s: epoch %d of at most %d, %.1f%% of the validation images "
            "right",
            self._training.id,
            self._training.project_uid,
            epoch.number,
            epochs,
            100 * epoch.validation_accuracy,
        )
        self._trainings.note(
            self._training.id,
            {
                "phase": "training",
                "done": epoch.number,
                "total": epochs,
                "loss": epoch.loss,
                "validation_accuracy": epoch.validation_accuracy,
            },
            lasting=True,
        )

    def _conclude(
        self,
        control: str,
        file: str,
        images: LabelledImages,
        trained: Trained,
        settings: TrainingSettings,
    ) -> None:
        """Keep the model; it answers from now on where it is not worse."""
        before = self._registry.current()
        accuracy = trained.best.validation_accuracy
        previous = self._accuracy_of(before, images, settings)
        use, decision = _decide(accuracy, before.version, previous)
        classifier = trained.classifier
        path = self._settings.models_folder / file
        model = NewModel(
            control=control,
            arch=classifier.arch,
            file=file,
            fingerprint=weights_fingerprint(str(path)),
            classes=classifier.classes,
            images=sum(trained.images.values()),
            validation_images=trained.validation_images,
            accuracy=accuracy,
            previous_version=before.version,
            previous_accuracy=previous,
        )
        outcome = Outcome(
            control=control,
            images=dict(trained.images),
            left_out=list(trained.left_out[:MOST_LISTED]),
            warnings=list(trained.warnings),
            decision=decision,
        )
        if self._trainings.succeed(self._training.id, model, outcome, use=use):
            self._log_outcome(outcome)

    def _accuracy_of(
        self, model: Model, images: LabelledImages, settings: TrainingSettings
    ) -> float | None:
        """What the present model makes of the same validation images; None for no comparison."""
        self._note("comparing with the present model")
        try:
            classifier = load_classifier(model.arch, model.weights)
        except (OSError, ValueError) as error:
            log.warning("The present model cannot be compared with: %s", error)
            return None
        return validation_accuracy(classifier, images, settings)

    def _log_outcome(self, outcome: Outcome) -> None:
        about = f"Training {self._training.id} of project {self._training.project_uid}"
        for name, reason in outcome.left_out:
            log.warning("%s: left out %s: %s", about, name, reason)
        for warning in outcome.warnings:
            log.warning("%s: %s", about, warning)
        log.info("%s: %s", about, outcome.decision)

    def _note(self, phase: str, *, done: int = 0, total: int = 0) -> None:
        """Tell the database what is going on, though not too often."""
        if done in (0, total) or time.monotonic() - self._noted_at > NOTED_EVERY:
            self._noted_at = time.monotonic()
            self._trainings.note(
                self._training.id, _progress(phase, done=done, total=total), lasting=False
            )


def _progress(phase: str, *, done: int, total: int) -> dict[str, Any]:
    return {"phase": phase, "done": done, "total": total} if total else {"phase": phase}


def may_flip(classes: Iterable[str]) -> bool:
    """Whether mirrored images keep their class: not where one is called left or right."""
    words = {word for name in set(classes) for word in re.split(r"[^a-z]+", name.lower())}
    return not words & {"left", "right"}


def _decide(accuracy: float, version: str, previous: float | None) -> tuple[bool, str]:
    """Whether the new model answers from now on, and the sentence that says why."""
    new = f"{accuracy:.1%} of the validation images right"
    if previous is None:
        return True, (
            f"{new}; it answers from now on: {version} does not know all of these classes, or "
            "cannot be loaded, so that there is nothing to compare with"
        )
    old = f"{version} has {previous:.1%} of the same images right"
    if accuracy >= previous:
        return True, f"{new}; it answers from now on: {old}"
    return False, (
        f"{new}; {old} and goes on answering; python -m backend models lists the new one, "
        "and makes it answer all the same"
    )


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
