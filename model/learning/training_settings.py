"""The settings of a training, and those for random weights."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Settings of a training.

    Attributes:
        epochs: largest number of passes over the training images.
        batch: images per step.
        rate: highest learning rate of the last layer.
        body_rate: learning rate of all other layers, as a share of `rate`.
        weight_decay: weight decay of AdamW.
        augmentation: strength of random zooms, rotations and colour changes, 0 to 1.
        flip: whether mirrored images keep their class; false if classes are viewpoints.
        validation_share: share of each class's images that are only used for validation.
        split_by_content: choose these by their pixels instead of by the seed. A model that is
            trained again with more images is then validated on images that it has never learnt.
        early_stopping: whether training ends after `patience` epochs without improvement and the
            best epoch is kept; otherwise every epoch runs and the last one is kept.
        patience: epochs without improvement before training ends.
        seed: seed of the split, the first weights, the order and the augmentation.
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
        """Raise a ValueError that names every value out of its range."""
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


# For random weights: every layer learns at the full rate.
FROM_NOTHING = TrainingSettings(epochs=60, batch=16, rate=6e-3, body_rate=1.0, patience=20)
