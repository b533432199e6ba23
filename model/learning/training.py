"""Image-level class labels → weights: the weak supervision.

One loop for every source of labels (`model.learning.labelled_images`) and for both ways of
starting: a small network from nothing, or a pretrained one whose last layer is replaced.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from model.image import normalise
from model.learning.augmentation import augment
from model.learning.labelled_images import LabelledImages, LeftOut
from model.learning.samples import Samples, prepared
from model.networks import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    INPUT_SIZES,
    SMALL,
    Classifier,
    build_network,
    load_classifier,
)
from model.settings import weights_fingerprint


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """What may be set about training.

    Attributes:
        epochs: passes over the training images, at most.
        batch: images in one step.
        rate: highest learning rate, of the last layer.
        body_rate: of all other layers, as a share of `rate`.
        weight_decay: of AdamW.
        augmentation: strength of the random zooms, turns and colours, 0 to 1.
        flip: whether mirrored images keep their class; not where classes are viewpoints.
        validation_share: share of each class's images that only check the result.
        split_by_content: which ones, their pixels decide; else the seed. A model that is trained
            again when there are more images is then checked with those that it has not learnt.
        early_stopping: whether training ends after `patience` epochs without a better result, and
            its best epoch is kept; without, every epoch runs and the last one is kept.
        patience: epochs without a better result before training ends.
        seed: of the split, the first weights, the order and the augmentation.
    """

    epochs: int = 20
    batch: int = 32
    rate: float = 2e-3
    body_rate: float = 0.1
    weight_decay: float = 0.01
    augmentation: float = 1.0
    flip: bool = True
    validation_share: float = 0.2
    split_by_content: bool = False
    early_stopping: bool = True
    patience: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError that names every value out of its range."""
        rules = {
            "epochs, batch and patience are at least 1": min(self.epochs, self.batch, self.patience)
            >= 1,
            "rate is positive": self.rate > 0,
            "0 <= body_rate": self.body_rate >= 0,
            "0 <= augmentation <= 1": 0 <= self.augmentation <= 1,
            "0 < validation_share <= 0.5": 0 < self.validation_share <= 0.5,
            "seed and weight_decay are not negative": min(self.seed, self.weight_decay) >= 0,
        }
        broken = [rule for rule, holds in rules.items() if not holds]
        if broken:
            raise ValueError(f"expected {'; '.join(broken)}; got {self}")


# Images are kept a little larger than the network's input, so that zooming in loses nothing.
STORED = 8 / 7

# For a network that knows nothing: every layer learns.
FROM_NOTHING = TrainingSettings(epochs=60, batch=16, rate=6e-3, body_rate=1.0, patience=20)

# Drawings are many and vary by themselves: a minute on two cores.
ON_DRAWINGS = replace(FROM_NOTHING, epochs=9, augmentation=0.3, validation_share=0.1)


@dataclass(frozen=True, slots=True)
class Epoch:
    """How far training has come.

    Attributes:
        number: 1 for the first.
        loss: mean cross-entropy of the training images while they were learnt.
        validation_loss, validation_accuracy: of the images that are not learnt.
    """

    number: int
    loss: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True, eq=False)
class Trained:
    """The outcome of training.

    Attributes:
        classifier: the network of the best epoch, in evaluation mode.
        best: that epoch; the last one without early stopping.
        history: every epoch.
        images: how many of each class were used.
        validation_images: how many of them only checked the result.
        left_out: images that were not used, and why.
        warnings: what makes the result doubtful.
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
    threads, also when training was stopped and taken up again from its checkpoint.

    Args:
        arch: "small" or a torchvision classifier; None for that of `init`, or small.
        init: weights to start from, a file or `IMAGENET1K_V1`; None to start from nothing.
        settings: None for what suits the start: FROM_NOTHING, or the defaults for `init`.
        checkpoint: file that keeps the state after each epoch. One that is there from the same
            training is taken up, any other is written anew. It is the caller's to remove, once
            the outcome is saved.
        on_epoch: told after each epoch; an exception that it raises stops training.
        progress: whether to show progress bars.

    Raises:
        UnusableLabels: the labels do not suffice; says what is needed.
        ValueError: the checkpoint is damaged.
        Refused, WeightsError, FileNotFoundError: from `load_classifier` and `build_network`.
        OSError: the disk is full.
    """
    settings = settings or (TrainingSettings() if init else FROM_NOTHING)
    start = load_classifier(arch, init) if init else None
    arch = start.arch if start else arch or SMALL
    size = start.input_size if start else INPUT_SIZES.get(arch, 224)
    with prepared(images, round(size * STORED), progress=progress) as samples:
        classifier = _first_classifier(arch, start, samples.classes, size, settings.seed)
        loop = _Loop(classifier, samples, settings)
        fingerprint = _fingerprint(samples, settings, arch, init)
        loop.run(checkpoint, fingerprint, on_epoch, progress=progress)
        return Trained(
            classifier=loop.best_classifier(),
            best=loop.history[loop.best],
            history=tuple(loop.history),
            images=samples.counts(),
            validation_images=len(loop.checking),
            left_out=samples.left_out,
            warnings=samples.warnings,
        )


def _first_classifier(
    arch: str, start: Classifier | None, classes: tuple[str, ...], size: int, seed: int
) -> Classifier:
    """The network before the first step: random, or `start` with a last layer for these classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(arch, len(classes))
    if start is None:
        return Classifier(network, arch, classes, size, IMAGENET_MEAN, IMAGENET_STD)
    known = start.network.state_dict()
    if start.classes != classes:
        for name in last_layer(arch):
            del known[name]
    network.load_state_dict(known, strict=False)
    return replace(start, network=network, classes=classes)


def last_layer(arch: str) -> set[str]:
    """Names of the parameters whose shape depends on the number of classes."""
    with torch.device("meta"):
        two, three = (build_network(arch, classes).state_dict() for classes in (2, 3))
    return {name for name in two if two[name].shape != three[name].shape}


def _fingerprint(samples: Samples, settings: TrainingSettings, arch: str, init: str | None) -> str:
    """Changes whenever the outcome of training would."""
    facts = [
        samples.digests,
        samples.classes,
        samples.labels.tolist(),
        asdict(settings),
        [arch, weights_fingerprint(init)] if init else arch,
        torch.__version__,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


class _Loop:
    """Trains a network epoch by epoch, and can be stopped and taken up between two of them."""

    def __init__(self, start: Classifier, samples: Samples, settings: TrainingSettings) -> None:
        self.start = start
        self.samples = samples
        self.settings = settings
        self.learnt, self.checking = samples.split(
            settings.validation_share, settings.seed, by_content=settings.split_by_content
        )
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = start.network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = self._optimiser()
        self.history: list[Epoch] = []
        self.best = 0  # its place in `history`
        self.best_state: dict[str, Tensor] = {}

    def run(
        self,
        checkpoint: Path | None,
        fingerprint: str,
        on_epoch: Callable[[Epoch], None],
        *,
        progress: bool,
    ) -> None:
        """Train until the last epoch, or until early stopping ends it."""
        if checkpoint is not None:
            self._take_up(checkpoint, fingerprint)
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
                if checkpoint is not None:
                    self._save(checkpoint, fingerprint)
                bar.set_postfix(validation=f"{epoch.validation_accuracy:.1%}")
                on_epoch(epoch)

    def best_classifier(self) -> Classifier:
        """The network of the epoch that is kept."""
        self.network.load_state_dict(self.best_state)
        network = self.network.cpu().to(memory_format=torch.contiguous_format)
        return replace(self.start, network=network.eval())

    def _optimiser(self) -> torch.optim.Optimizer:
        head = last_layer(self.start.arch)
        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for name, parameter in self.network.named_parameters():
            groups[name in head].append(parameter)
        body_rate = self.settings.rate * self.settings.body_rate
        return torch.optim.AdamW(
            [
                {"params": groups[True], "highest": self.settings.rate},
                {"params": groups[False], "highest": body_rate},
            ],
            lr=self.settings.rate,
            weight_decay=self.settings.weight_decay,
        )

    def _batches(self, epoch: int) -> list[NDArray[np.intp]]:
        """The training images in an order of this epoch's own, in parts of nearly equal size."""
        order = np.random.default_rng([self.settings.seed, epoch]).permutation(self.learnt)
        return np.array_split(order, -(-len(order) // self.settings.batch))

    def _epoch(self, bar: Any) -> Epoch:
        """Learn every training image once, then check."""
        number = len(self.history)
        batches = self._batches(number)
        # The state of no generator has to be kept: each epoch starts its own.
        generator = torch.Generator().manual_seed(self.settings.seed * 100_003 + number)
        losses = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed * 100_003 + number)  # for dropout
            self.network.train()
            for place, indices in enumerate(batches):
                self._set_rate((number + (place + 1) / len(batches)) / self.settings.epochs)
                losses.append(self._step(indices, generator) * len(indices))
                bar.update()
        self.network.eval()
        loss, accuracy = self._check()
        epoch = Epoch(number + 1, sum(losses) / len(self.learnt), loss, accuracy)
        self.history.append(epoch)
        better = number == 0 or _rank(epoch) > _rank(self.history[self.best])
        if better or not self.settings.early_stopping:
            self.best = number
            state = self.network.state_dict()
            self.best_state = {name: value.detach().cpu().clone() for name, value in state.items()}
        return epoch

    def _set_rate(self, share: float) -> None:
        """Rise to the highest rate during the first fifth, then fall to 0 along a cosine."""
        rise = 0.2
        if share < rise:
            factor = share / rise
        else:
            factor = 0.5 + 0.5 * float(np.cos(np.pi * (share - rise) / (1 - rise)))
        for group in self.optimiser.param_groups:
            group["lr"] = factor * group["highest"]

    def _step(self, indices: NDArray[np.intp], generator: torch.Generator) -> float:
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
        """Of images (B, 3, H, W) in [0, 1]."""
        inputs = normalise(images, self.start.mean, self.start.std)
        inputs = inputs.to(self.device, memory_format=torch.channels_last)
        logits: Tensor = self.network(inputs)
        return logits

    @torch.inference_mode()
    def _check(self) -> tuple[float, float]:
        """Mean loss and accuracy on the validation images."""
        loss = right = 0.0
        size = (self.start.input_size, self.start.input_size)
        parts = np.array_split(self.checking, -(-len(self.checking) // self.settings.batch))
        for indices in parts:
            pixels, labels = self.samples.batch(indices)
            images = functional.interpolate(
                pixels.float() / 255, size, mode="bilinear", antialias=True
            )
            logits = self._logits(images).cpu()
            loss += functional.cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(1) == labels).sum().item()
        return loss / len(self.checking), right / len(self.checking)

    def _save(self, checkpoint: Path, fingerprint: str) -> None:
        """Write the state in one piece, or leave the one before it whole."""
        state = {
            "fingerprint": fingerprint,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
            "best": self.best,
            "best_state": self.best_state,
        }
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        partial = checkpoint.with_name(f"{checkpoint.name}.partial")
        try:
            with partial.open("wb") as file:
                torch.save(state, file)
            partial.replace(checkpoint)
        except RuntimeError as error:  # torch's own, in place of the disk's
            raise OSError(
                f"could not write {checkpoint}, what was there is whole: {error.__context__}"
            ) from error
        finally:
            partial.unlink(missing_ok=True)

    def _take_up(self, checkpoint: Path, fingerprint: str) -> None:
        """Go on from a checkpoint, if it is of this very training."""
        if not checkpoint.exists():
            return
        try:
            state = torch.load(checkpoint, map_location=self.device, weights_only=True)
        except (RuntimeError, UnpicklingError, EOFError) as error:
            raise ValueError(
                f"expected the checkpoint of a training in {checkpoint}, found something damaged: "
                f"delete it to start anew"
            ) from error
        if state["fingerprint"] == fingerprint:
            self.network.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.history = [Epoch(**epoch) for epoch in state["history"]]
            self.best, self.best_state = state["best"], state["best_state"]


def _rank(epoch: Epoch) -> tuple[float, float]:
    return epoch.validation_accuracy, -epoch.validation_loss
