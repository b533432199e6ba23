from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_studio_fake import TOKEN, UID, LabelStudioFake, label_studio_fake
from test_suggestions_detection_job import PIXELS, PNG

from backend.labelstudio.images import ImageFetchError, Images
from backend.labelstudio.projects import LabelStudios, NotDeliverable, Project
from backend.retries import Backoff
from backend.settings import Settings
from backend.training.images import ImagesUnreachable, fetch_images
from backend.training.labels import LabelledTask
from model.decoding import UnreadableImage
from model.learning.labelled_images import LabelledImages

PROJECT = Project(UID, None, None, None)
PATH = "/data/upload/3/image-{}.png"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[LabelStudioFake]:
    monkeypatch.setattr("backend.retries.TRAINING_IMAGE", Backoff(first=0.01))
    with label_studio_fake() as fake:
        yield fake


def images_of(fake: LabelStudioFake, **settings: Any) -> Images:
    chosen = Settings(label_studio_url=fake.url, label_studio_api_key=TOKEN, **settings)
    return Images(chosen, LabelStudios(chosen))


def tasks_of(fake: LabelStudioFake, count: int) -> list[LabelledTask]:
    tasks = [fake.add_task(number, PNG) for number in range(1, count + 1)]
    return [LabelledTask(task["id"], task["data"]["image"], "bus") for task in tasks]


def test_every_image_is_fetched_once_and_kept(fake: LabelStudioFake, tmp_path: Path) -> None:
    tasks, done = tasks_of(fake, 3), []
    for _ in range(2):
        found = fetch_images(
            tasks,
            images_of(fake),
            PROJECT,
            tmp_path,
            left_out=[("task 9", "it has no class")],
            on_progress=done.append,
        )
    assert (found.names, found.labels) == (("task 1", "task 2", "task 3"), ("bus",) * 3)
    assert found.left_out == (("task 9", "it has no class"),)
    assert np.array_equal(found.load(2), PIXELS)
    assert [len(fake.asked("GET", PATH.format(number))) for number in (1, 2, 3)] == [1, 1, 1]
    assert done == [1, 2, 3] * 2
    assert not list(tmp_path.glob("*.partial"))


def load_one(fake: LabelStudioFake, url: str, folder: Path, **settings: Any) -> LabelledImages:
    task = LabelledTask(1, url, "bus")
    return fetch_images([task], images_of(fake, **settings), PROJECT, folder)


@pytest.mark.parametrize(
    ("limits", "path", "says"),
    [
        ({}, "http://localhost:1/a.png", "IMAGE_HOSTS"),
        ({"max_image_bytes": 100}, PATH.format(1), "MAX_IMAGE_BYTES"),
        ({"max_image_pixels": 3071}, PATH.format(1), "reduce it"),
        ({}, PATH.format(2), "status 404"),
    ],
    ids=["private address", "bytes", "pixels", "missing"],
)
def test_an_image_that_the_job_refuses_is_unreadable_in_the_same_words(
    fake: LabelStudioFake, tmp_path: Path, limits: dict[str, int], path: str, says: str
) -> None:
    fake.add_task(1, PNG)
    found = load_one(fake, path, tmp_path, **limits)
    with pytest.raises(UnreadableImage, match=says) as caught:
        found.load(0)
    with pytest.raises((ImageFetchError, UnreadableImage)) as of_the_job:
        images_of(fake, **limits).picture(PROJECT, path, 1)
    assert str(caught.value) == str(of_the_job.value)


def test_a_failure_that_may_pass_is_tried_again_and_another_is_not(
    fake: LabelStudioFake, tmp_path: Path
) -> None:
    fake.add_task(1, PNG)
    fake.unavailable = {PATH.format(1)}
    with pytest.raises(ImagesUnreachable, match=r"1 cannot be fetched now.*status 503"):
        load_one(fake, PATH.format(1), tmp_path)
    assert len(fake.asked("GET", PATH.format(1))) == 3
    load_one(fake, PATH.format(2), tmp_path)
    assert len(fake.asked("GET", PATH.format(2))) == 1


def test_an_image_elsewhere_needs_no_label_studio_but_an_upload_does(
    fake: LabelStudioFake, tmp_path: Path
) -> None:
    nowhere = Images(Settings(), LabelStudios(Settings()))
    task = LabelledTask(1, "data:,no image", "bus")
    with pytest.raises(UnreadableImage, match="expected an image"):
        fetch_images([task], nowhere, PROJECT, tmp_path).load(0)
    with pytest.raises(NotDeliverable):
        fetch_images([LabelledTask(1, PATH.format(1), "bus")], nowhere, PROJECT, tmp_path)
