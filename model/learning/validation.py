"""Measure another classifier on the validation images of a training."""

import numpy as np
import torch
from torch.nn import functional

from model.image import normalise
from model.learning.accuracy import Accuracy, accuracy
from model.learning.labelled_images import LabelledImages
from model.learning.samples import prepared
from model.learning.training import STORED
from model.learning.training_settings import TrainingSettings
from model.networks import Classifier


@torch.inference_mode()
def validation_accuracy(
    classifier: Classifier,
    images: LabelledImages,
    settings: TrainingSettings,
    *,
    progress: bool = False,
) -> Accuracy | None:
    """Compute a classifier's accuracy on the validation images of `train` with these settings.

    Returns:
        None if the classifier does not know all classes.

    Raises:
        UnusableLabels, OSError: as `train`.
    """
    with prepared(images, round(classifier.input_size * STORED), progress=progress) as samples:
        if not set(samples.classes) <= set(classifier.classes):
            return None
        number = torch.tensor([classifier.classes.index(name) for name in samples.classes])
        _, validation = samples.split(
            settings.validation_share, settings.seed, by_content=settings.split_by_content
        )
        size = (classifier.input_size, classifier.input_size)
        right = []
        for indices in np.array_split(validation, -(-len(validation) // settings.batch)):
            pixels, labels = samples.batch(indices)
            squares = functional.interpolate(
                pixels.float() / 255, size, mode="bilinear", antialias=True
            )
            logits = classifier.network(normalise(squares, classifier.mean, classifier.std))
            right.append((logits.argmax(1) == number[labels]).numpy())
        return accuracy(np.concatenate(right), samples.labels.numpy()[validation])
