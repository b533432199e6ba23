"""`python -m backend.training.process ID`: one training, in a process that ends with it.

The process may be killed at any time. The next one resumes: the project's folder keeps the images
and the state after each epoch until the training has succeeded.
"""

import logging
import shutil
import sys
import time

from backend.database.connection import Database
from backend.labelstudio.errors import LabelStudioError, cause_of, lies_outside
from backend.labelstudio.images import Images
from backend.labelstudio.label_config import LabelConfigError
from backend.labelstudio.projects import (
    LabelStudios,
    NotDeliverable,
    ProjectStorage,
    project_id_of,
)
from backend.logs import set_up_logging
from backend.outages.breaker import SharedBreaker
from backend.outages.records import GIVEN_UP, Cause
from backend.settings import Settings, load_settings
from backend.training.images import ImagesUnreachable, fetch_images
from backend.training.kept_weights import delete_old_weights
from backend.training.labels import class_labels, possible_controls
from backend.training.records import NewModel, Outcome, Progress, Training
from backend.training.registry import Model, ModelRegistry
from backend.training.start import FALLBACK, NOTHING, Start, choose_settings, choose_start
from backend.training.storage import TrainingStorage
from model.learning.accuracy import Accuracy
from model.learning.labelled_images import LabelledImages
from model.learning.training import Epoch, Trained, train
from model.learning.training_settings import TrainingSettings
from model.learning.validation import validation_accuracy
from model.networks import WeightsError, load_classifier, save_classifier
from model.weights_files import weights_fingerprint

logger = logging.getLogger("backend.training.process")  # not __main__, which this module runs as

CHECKPOINT = "state.training"
PROGRESS_INTERVAL = 1.0  # s
MAX_LISTED = 200

# Errors whose message is the reason of the failure. UnusableLabels, Refused and WeightsError are
# ValueErrors.
EXPECTED = (
    LabelStudioError,
    LabelConfigError,
    NotDeliverable,
    ValueError,
    OSError,
)


class ProjectGone(ValueError):
    """The project is no longer in Label Studio."""


def main(training_id: int) -> int:
    """Run a training and store its outcome, or the reason why it failed.

    Returns:
        0, an exit status.
    """
    settings = load_settings()
    set_up_logging(settings.log_level, settings.log_format, settings.secrets())
    database = Database(settings.database)
    run(settings, database, training_id)
    database.close()
    return 0


def run(settings: Settings, database: Database, training_id: int) -> None:
    """Run a training that has not ended, and store its outcome or the reason why it failed."""
    trainings = TrainingStorage(database)
    training = trainings.training(training_id)
    if training is None or training.status != "queued":
        return
    try:
        TrainingRun(settings, database, training).run()
    except ImagesUnreachable as error:
        _postpone(settings, trainings, training, Cause(str(error), away=error.away))
    except EXPECTED as error:
        if lies_outside(error):
            _postpone(settings, trainings, training, cause_of(error))
            return
        trainings.fail(training.id, str(error))
        logger.warning("%s: %s", _name(training), error)
    except Exception as error:
        trainings.fail(training.id, f"{type(error).__name__}: {error}")
        logger.exception("%s failed", _name(training))


def _postpone(
    settings: Settings, trainings: TrainingStorage, training: Training, cause: Cause
) -> None:
    """Let a training wait for something outside of it, or give it up after GIVE_UP_AFTER."""
    if trainings.postpone(training.id, cause, patience=settings.give_up_after):
        logger.warning("%s waits: %s", _name(training), cause.reason)
    else:
        trainings.fail(training.id, GIVEN_UP + cause.reason)
        logger.warning("%s is given up: %s", _name(training), cause.reason)


class TrainingRun:
    """One training, from reading annotations to deciding whether its model becomes active."""

    def __init__(self, settings: Settings, database: Database, training: Training) -> None:
        self._settings = settings
        self._database = database
        self._training = training
        self._breaker = SharedBreaker(database)
        self._projects = ProjectStorage(database)
        self._trainings = TrainingStorage(database)
        self._registry = ModelRegistry(settings, database)
        self._folder = settings.models_folder / f"training-{training.project_uid}"
        self._recorded_at = 0.0

    def run(self) -> None:
        """Get labels and images, train, save the weights, and decide whether they become active.

        Raises:
            any of EXPECTED: the training cannot be done.
        """
        self._record("reading annotations")
        control, images = self._labelled_images()
        start = choose_start(self._training.options, self._model_to_start_from())
        trained, training_settings = self._train(images, start)
        file = f"{self._training.project_uid}-{self._training.id}.safetensors"
        self._record("saving")
        save_classifier(trained.classifier, self._settings.models_folder / file)
        self._conclude(control, file, images, trained, training_settings)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _model_to_start_from(self) -> Model:
        """Return the project's active model, or that of the settings if its weights are gone."""
        active = self._registry.active(self._training.project_uid)
        if active.has_weights:
            return active
        logger.warning(
            "%s does not exist, so the training starts from the model of the settings",
            active.weights,
        )
        return self._registry.of_settings

    def _labelled_images(self) -> tuple[str, LabelledImages]:
        """Return the name of the control whose choices are the classes, and the labelled images."""
        uid = self._training.project_uid
        known, studios = self._projects.project(uid), LabelStudios(self._settings, self._breaker)
        assert known is not None, "guaranteed by the foreign key"
        client, project_id = studios.of(known), project_id_of(uid)
        project = client.project(project_id) if project_id is not None else None
        if project is None or project.uid != uid:
            raise ProjectGone(
                f"expected project {uid} in Label Studio, but project {project_id} there is now "
                "another one: start a training of that one"
            )
        controls = possible_controls(project.label_config, self._training.options.control)
        labels = class_labels(
            list(client.tasks(project.id)),
            controls,
            paths_in_full=self._settings.nested_classes == "path",
        )
        count = len(labels.tasks)
        images = fetch_images(
            labels.tasks,
            Images(self._settings, studios),
            known,
            self._folder / "images",
            left_out=labels.left_out,
            on_progress=lambda done: self._record("fetching images", done=done, total=count),
        )
        return labels.control, images

    def _train(self, images: LabelledImages, start: Start) -> tuple[Trained, TrainingSettings]:
        try:
            return self._train_from(images, start)
        except WeightsError as error:
            if start.requested:
                raise
            logger.warning(
                "The weights to start from are not available, so a small network is trained from "
                "random weights: %s",
                error,
            )
            return self._train_from(images, FALLBACK)

    def _train_from(self, images: LabelledImages, start: Start) -> tuple[Trained, TrainingSettings]:
        settings = choose_settings(self._training.options, start, images.labels)
        self._record("reading images")
        logger.info(
            "%s: %d images, %s from %s, at most %d epochs%s",
            _name(self._training),
            len(images.names),
            start.arch or "the network",
            start.init or NOTHING,
            settings.epochs,
            "" if settings.flip else ", without mirrored images",
        )
        trained = train(
            images,
            arch=start.arch,
            init=start.init,
            settings=settings,
            checkpoint=self._folder / CHECKPOINT,
            on_epoch=lambda epoch: self._record_epoch(epoch, settings.epochs),
        )
        return trained, settings

    def _conclude(
        self,
        control: str,
        file: str,
        images: LabelledImages,
        trained: Trained,
        settings: TrainingSettings,
    ) -> None:
        """Store the model; the project uses it unless it is worse than the active one."""
        before = self._registry.active(self._training.project_uid)
        previous = self._accuracy_of(before, images, settings)
        accuracy = trained.best.accuracy
        named = self._registry.named_by(self._training.project_uid)
        use, decision = _decide(accuracy, before.version, previous, named)
        classifier = trained.classifier
        model = NewModel(
            control=control,
            arch=classifier.arch,
            file=file,
            fingerprint=weights_fingerprint(str(self._settings.models_folder / file)),
            classes=classifier.classes,
            images=sum(trained.images.values()),
            validation_images=trained.validation_images,
            accuracy=accuracy.images,
            previous_version=before.version,
            previous_accuracy=previous.images if previous else None,
        )
        outcome = Outcome(
            control=control,
            images=dict(trained.images),
            left_out=list(trained.left_out[:MAX_LISTED]),
            warnings=list(trained.warnings),
            decision=decision,
        )
        if self._trainings.succeed(self._training.id, model, outcome, use=use):
            _log_outcome(_name(self._training), outcome)
            delete_old_weights(self._settings, self._database, self._training.project_uid)

    def _accuracy_of(
        self, model: Model, images: LabelledImages, settings: TrainingSettings
    ) -> Accuracy | None:
        """Return the active model's accuracy on the same validation images.

        Returns:
            None if the two cannot be compared.
        """
        self._record("comparing with the active model")
        try:
            classifier = load_classifier(model.arch, model.weights)
        except (OSError, ValueError) as error:
            logger.warning("Cannot compare with the active model: %s", error)
            return None
        return validation_accuracy(classifier, images, settings)

    def _record_epoch(self, epoch: Epoch, epochs: int) -> None:
        logger.info(
            "%s: epoch %d of at most %d, %s",
            _name(self._training),
            epoch.number,
            epochs,
            epoch.accuracy,
        )
        progress = Progress("training", epoch.number, epochs, epoch.loss, epoch.validation_accuracy)
        self._trainings.record_progress(self._training.id, progress, resumable=True)

    def _record(self, phase: str, *, done: int | None = None, total: int | None = None) -> None:
        """Store the progress, at most once a second while something is counted."""
        now = time.monotonic()
        counting = done is not None and 0 < done != total
        if not counting or now - self._recorded_at > PROGRESS_INTERVAL:
            self._recorded_at = now
            self._trainings.record_progress(self._training.id, Progress(phase, done, total))


def _name(training: Training) -> str:
    return f"Training {training.id} of project {training.project_uid}"


def _log_outcome(name: str, outcome: Outcome) -> None:
    for image, reason in outcome.left_out:
        logger.warning("%s: left out %s: %s", name, image, reason)
    for warning in outcome.warnings:
        logger.warning("%s: %s", name, warning)
    logger.info("%s: %s", name, outcome.decision)


def _decide(
    accuracy: Accuracy, version: str, previous: Accuracy | None, named: str | None
) -> tuple[bool, str]:
    """Return whether the new model becomes active, and a sentence with the reason.

    Compare the mean over classes: if one class has most of the images, never naming the others
    costs hardly any image.

    Args:
        accuracy: accuracy of the new model.
        version, previous: version and accuracy of the active model; the accuracy is None if the two
            cannot be compared.
        named: model that the project's settings in Label Studio name; None for none.
    """
    new = str(accuracy)
    if named is not None:
        return False, (
            f"{new}; {version} stays active, because the project's extra params in Label Studio "
            f"name the model {named}"
        )
    if previous is None:
        return True, (
            f"{new}; it is the project's active model now: {version} does not know all of these "
            "classes, or cannot be loaded, so there is nothing to compare with"
        )
    old = f"{version} has {previous.in_words('the same images')}"
    if accuracy.classes >= previous.classes:
        return True, f"{new}; it is the project's active model now: {old}"
    return False, (
        f"{new}; {old} and stays active; python -m backend models lists the new one, and "
        "models use can activate it all the same"
    )


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
