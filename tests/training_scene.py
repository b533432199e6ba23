"""A project of discs and bars in a fake Label Studio, and a small network to start from."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from label_studio_fake import TOKEN, UID, LabelStudioFake
from PIL import Image

from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.training.records import Training, TrainingOptions
from backend.training.storage import TrainingStorage

CONFIG = (
    '<View><Image name="image" value="$image"/><KeyPointLabels name="kp" toName="image">'
    '<Label value="keypoint"/></KeyPointLabels><Choices name="class" toName="image">'
    '<Choice value="disc"/><Choice value="bar"/></Choices></View>'
)
CLASSES = ("disc", "bar")


def shape(index: int) -> bytes:
    """Draw a bright disc (even numbers) or bar on a dark background, and return it as PNG."""
    rng = np.random.default_rng(index)
    image = np.full((32, 32, 3), rng.integers(0, 90, 3), np.uint8)
    colour, (x, y) = rng.integers(130, 255, 3).tolist(), rng.integers(10, 22, 2).tolist()
    if index % 2 == 0:
        cv2.circle(image, (x, y), 7, colour, cv2.FILLED)
    else:
        cv2.rectangle(image, (x - 8, y - 2), (x + 8, y + 2), colour, cv2.FILLED)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def add_shapes(fake: LabelStudioFake, count: int) -> None:
    """Import shapes and annotate them."""
    fake.config = CONFIG
    for index in range(count):
        fake.add_task(index + 1, shape(index))
        fake.annotate(index + 1, CLASSES[index % 2])


def settings_for(fake: LabelStudioFake, folder: Path, weights: Path, **more: Any) -> Settings:
    """Return the settings of a backend with its database and models in `folder`."""
    return Settings(
        label_studio_url=fake.url,
        label_studio_api_key=TOKEN,
        data_dir=folder,
        model_weights=str(weights),
        detector_input_size=32,
        detector_stride=16,
        **more,
    )


def request_training(database: Database, **options: Any) -> Training:
    """Request a training."""
    ProjectStorage(database).save_label_config(UID, CONFIG)
    training, _ = TrainingStorage(database).request(UID, TrainingOptions(**{"epochs": 2} | options))
    return training
