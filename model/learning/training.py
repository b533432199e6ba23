"""Train a classifier on class labels of whole images: the weak supervision.

One loop serves every source of labels (`model.learning.labelled_images`) and both starts: random
weights, or a pretrained network whose last layer is replaced.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from model.image import normalise
from model.learning import checkpoint as checkpoints
from model.learning.accuracy import Accuracy, accuracy
from model.learning.augmentation import augment
from model.learning.class_sizes import repeated
from model.learning.first_network import first_classifier, last_layer
from model.learning.labelled_images import LabelledImages, LeftOut
from model.learning.optimisation import build_optimiser, set_rate
from model.learning.samples import Samples, prepared
from model.learning.training_settings import FROM_NOTHING, TrainingSettings
from model.networks import INPUT_SIZES, SMALL, Classifier, load_classifier
from model.weights_files import weights_fingerprint

# Images are stored this much larger than the network's input, so that zooming in loses nothing.
STORED = 8 / 7


@dataclass(frozen=True, slots=True)
class Epoch:
    """The figures of one pass over the training images.

    Attributes:
        number: 1 for the first.
        loss: mean cross-entropy of the images shown, as measured during the pass.
        validation_loss, validation_accuracy: on the validation images.
        class_accuracy: mean over classes of the share of validation images that is right.
    """

    number: int
    loss: float
    validation_loss: float
    validation_accuracy: float
    class_accuracy: float

    @property
    def accuracy(self) -> Accuracy:
        """Return both accuracies on the validation images."""
        return Accuracy(self.validation_accuracy, self.class_accuracy)


@dataclass(frozen=True, eq=False)
class Trained:
    """The outcome of training.

    Attributes:
        classifier: the network of the best epoch, in evaluation mode.
        best: that epoch; the last one without early stopping.
        history: every epoch.
        images: class → number of images used.
        validation_images: how many of them were only used for validation.
        left_out: images that were not used, and why.
        warnings: reasons to doubt the result.
    """

    classifier: Classifier
    best: Epoch
    history: tuple[Epoch, ...]
    images: Mapping[str, int]
    validation_images: int
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]


def train(
    images: LabelledImages,
    *,
    arch: str | None = None,
    init: str | None = None,
    settings: TrainingSettings | None = None,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    progress: bool = False,
) -> Trained:
    """Train a classifier on class labels alone.

    The same images, settings and seed give the same weights on the same machine and number of
    threads, even if training was interrupted and resumed from its checkpoint.

    Args:
        arch: "small" or a torchvision classifier; None for that of `init`, or else "small".
        init: weights to start from, a file or `IMAGENET1K_V1`; None for random weights.
        settings: None for those that suit the start: the defaults with `init`, else FROM_NOTHING.
        checkpoint: file for the state after each epoch. If it exists, resume from it if it belongs
            to the same training, or else overwrite it. The caller removes it after saving the
            result.
        on_epoch: called after each epoch; an exception from it ends training.
        progress: whether to show progress bars.

    Raises:
        UnusableLabels: the labels do not suffice; the message says what is needed.
        ValueError: the checkpoint is damaged.
        Refused, WeightsError, FileNotFoundError: from `load_classifier` and `build_network`.
        OSError: the disk is full.
    """
    settings = settings or (TrainingSettings() if init else FROM_NOTHING)
    start = load_classifier(arch, init) if init else None
    arch = start.arch if start else arch or SMALL
    size = start.input_size if start else INPUT_SIZES.get(arch, 224)
    with prepared(images, round(size * STORED), progress=progress) as samples:
        classifier = first_classifier(arch, start, samples.classes, size, settings.seed)
        loop = _TrainingLoop(classifier, samples, settings)
        fingerprint = _fingerprint(samples, settings, arch, init)
        loop.run(checkpoint, fingerprint, on_epoch, progress=progress)
        return Trained(
            classifier=loop.best_classifier(),
            best=loop.history[loop.best],
            history=tuple(loop.history),
            images=samples.counts(),
            validation_images=len(loop.validation),
            left_out=samples.left_out,
            warnings=samples.warnings,
        )


def _fingerprint(samples: Samples, settings: TrainingSettings, arch: str, init: str | None) -> str:
    """Hash everything that the result of training depends on."""
    facts = [
        samples.digests,
        samples.classes,
        samples.labels.tolist(),
        asdict(settings),
        [arch, weights_fingerprint(init)] if init else arch,
        torch.__version__,
        [field.name for field in fields(Epoch)],
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


class _TrainingLoop:
    """Trains a network epoch by epoch; can be interrupted and resumed between two epochs."""

    def __init__(self, start: Classifier, samples: Samples, settings: TrainingSettings) -> None:
        self.start = start
        self.samples = samples
        self.settings = settings
        self.training, self.validation = samples.split(
            settings.validation_share, settings.seed, by_content=settings.split_by_content
        )
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = start.network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = build_optimiser(
            self.network,
            last_layer(start.arch),
            rate=settings.rate,
            body_rate=settings.rate * settings.body_rate,
            weight_decay=settings.weight_decay,
        )
        self.history: list[Epoch] = []
        self.best = 0  # index into `history`
        self.best_state: dict[str, Tensor] = {}

    def run(
        self,
        path: Path | None,
        fingerprint: str,
        on_epoch: Callable[[Epoch], None],
        *,
        progress: bool,
    ) -> None:
        """Train until the last epoch or until early stopping."""
        if path is not None:
            self._resume(path, fingerprint)
        epochs, patience = self.settings.epochs, self.settings.patience
        total = epochs * len(self._batches(0))
        done = len(self.history) * len(self._batches(0))
        with tqdm(
            desc="training", total=total, initial=done, unit="step", disable=not progress
        ) as bar:
            while len(self.history) < epochs and not (
                self.settings.early_stopping and len(self.history) - self.best > patience
            ):
                epoch = self._epoch(bar)
                if path is not None:
                    self._save(path, fingerprint)
                bar.set_postfix(validation=f"{epoch.validation_accuracy:.1%}")
                on_epoch(epoch)

    def best_classifier(self) -> Classifier:
        """Return the network of the best epoch."""
        self.network.load_state_dict(self.best_state)
        network = self.network.cpu().to(memory_format=torch.contiguous_format)
        return replace(self.start, network=network.eval())

    def _batches(self, epoch: int) -> list[NDArray[np.intp]]:
        """Shuffle the images shown in an epoch and cut them into parts of nearly equal size."""
        rng = np.random.default_rng([self.settings.seed, epoch])
        labels = self.samples.labels.numpy()
        order = rng.permutation(repeated(self.training, labels[self.training], rng))
        return np.array_split(order, -(-len(order) // self.settings.batch))

    def _epoch(self, bar: Any) -> Epoch:
        """Train on every training image, on those of rare classes several times, then validate."""
        number = len(self.history)
        batches = self._batches(number)
        # Each epoch seeds its own generators, so that checkpoints need not hold their state.
        generator = torch.Generator().manual_seed(self.settings.seed * 100_003 + number)
        losses = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed * 100_003 + number)  # for dropout
            self.network.train()
            for place, indices in enumerate(batches):
                share = (number + (place + 1) / len(batches)) / self.settings.epochs
                set_rate(self.optimiser, share)
                losses.append(self._step(indices, generator) * len(indices))
                bar.update()
        self.network.eval()
        loss, right = self._validate()
        shown = sum(map(len, batches))
        epoch = Epoch(number + 1, sum(losses) / shown, loss, right.images, right.classes)
        self.history.append(epoch)
        better = number == 0 or _rank(epoch) > _rank(self.history[self.best])
        if better or not self.settings.early_stopping:
            self.best = number
            state = self.network.state_dict()
            self.best_state = {name: value.detach().cpu().clone() for name, value in state.items()}
        return epoch

    def _step(self, indices: NDArray[np.intp], generator: torch.Generator) -> float:
        """Train on one batch and return its mean loss."""
        pixels, labels = self.samples.batch(indices)
        images = augment(
            pixels,
            self.start.input_size,
            generator,
            strength=self.settings.augmentation,
            flip=self.settings.flip,
        )
        loss = functional.cross_entropy(self._logits(images), labels.to(self.device))
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return loss.item()

    def _logits(self, images: Tensor) -> Tensor:
        """Compute logits (B, classes) of images (B, 3, H, W) in [0, 1]."""
        inputs = normalise(images, self.start.mean, self.start.std)
        inputs = inputs.to(self.device, memory_format=torch.channels_last)
        logits: Tensor = self.network(inputs)
        return logits

    @torch.inference_mode()
    def _validate(self) -> tuple[float, Accuracy]:
        """Return the mean loss and the accuracy on the validation images."""
        loss, right = 0.0, []
        size = (self.start.input_size, self.start.input_size)
        parts = np.array_split(self.validation, -(-len(self.validation) // self.settings.batch))
        for indices in parts:
            pixels, labels = self.samples.batch(indices)
            images = functional.interpolate(
                pixels.float() / 255, size, mode="bilinear", antialias=True
            )
            logits = self._logits(images).cpu()
            loss += functional.cross_entropy(logits, labels, reduction="sum").item()
            right.append((logits.argmax(1) == labels).numpy())
        classes = self.samples.labels.numpy()[self.validation]
        return loss / len(self.validation), accuracy(np.concatenate(right), classes)

    def _save(self, path: Path, fingerprint: str) -> None:
        """Write the state after an epoch."""
        state = {
            "fingerprint": fingerprint,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
            "best": self.best,
            "best_state": self.best_state,
        }
        checkpoints.write(path, state)

    def _resume(self, path: Path, fingerprint: str) -> None:
        """Continue from a checkpoint, if it belongs to this very training."""
        state = checkpoints.read(path, self.device)
        if state is not None and state["fingerprint"] == fingerprint:
            self.network.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.history = [Epoch(**epoch) for epoch in state["history"]]
            self.best, self.best_state = state["best"], state["best_state"]


def _rank(epoch: Epoch) -> tuple[float, float]:
    """Return a key by which better epochs are greater."""
    return epoch.class_accuracy, -epoch.validation_loss
