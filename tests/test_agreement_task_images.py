import base64
import io
import threading

import numpy as np
import pytest
from PIL import Image
from verdict_data import detection, predict

from backend.agreement import task_images
from backend.agreement.task_images import SIDE, TaskImage, TaskImages, WantedImage
from backend.database.connection import Database
from backend.labelstudio.images import Images
from backend.settings import Settings
from backend.suggestions.storage import PredictionStorage
from model.decoding import UnreadableImage, decode


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def data_uri(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


NOISE = np.random.default_rng(0).integers(0, 256, (200, 1040, 3), np.uint8)
LARGE = png(Image.fromarray(NOISE))


def fetched(database: Database, url: str, settings: Settings | None = None) -> TaskImage:
    """The image of a prediction; no Label Studio is known."""
    predict(database, 1, detection((1, 1)), image=url)
    [row] = PredictionStorage(database).predictions([1])
    wanted = WantedImage(row.project_uid, row.task_id, row.image_url)
    return TaskImages(settings or Settings(), database).fetch([wanted])[wanted]


def test_an_image_becomes_a_thumbnail_without_a_label_studio_where_none_is_needed(database):
    found = fetched(database, data_uri(LARGE))
    assert found.problem is None
    assert found.thumbnail.mode == "RGB"
    assert found.thumbnail.size == (SIDE, 100)


def test_more_than_eight_bits_look_as_they_do_to_the_detector(database):
    data = png(Image.fromarray(np.array([[1000, 30_000, 65_535]], np.uint16)))
    found = fetched(database, data_uri(data))
    assert np.array_equal(np.asarray(found.thumbnail), decode(data))
    assert np.asarray(found.thumbnail)[0, :, 0].tolist() == [4, 117, 255]


@pytest.mark.parametrize(
    "data",
    [
        b"no image",
        LARGE[: len(LARGE) // 2],
        LARGE.replace(b"IDAT", b"\0\0\0\0", 1),
        LARGE[:8],
    ],
    ids=["text", "cut short", "damaged", "only the signature"],
)
def test_what_is_no_image_is_a_reason(database, data):
    with pytest.raises(UnreadableImage) as caught:
        decode(data)
    expected = TaskImage(None, f"The image cannot be read: {caught.value}")
    assert fetched(database, data_uri(data)) == expected


def test_an_image_with_too_many_pixels_is_not_decoded(database):
    settings = Settings(max_image_pixels=1000)
    found = fetched(database, data_uri(LARGE), settings)
    assert found.thumbnail is None
    assert found.problem.startswith("The image cannot be read: expected an image of at most 0.001")


def test_an_image_in_an_unknown_label_studio_is_a_reason(database):
    found = fetched(database, "/data/upload/1.png")
    assert found.thumbnail is None
    assert found.problem.startswith("The image cannot be fetched: expected the operator to say")


def test_a_report_does_not_wait_for_an_image_beyond_its_time_limit(database, monkeypatch):
    released = threading.Event()

    def content(*_: object) -> bytes:
        released.wait(60)
        return LARGE

    monkeypatch.setattr(Images, "content", content)
    monkeypatch.setattr(task_images, "TIME_LIMIT", 0.2)
    found = fetched(database, data_uri(LARGE))
    released.set()
    assert found == TaskImage(None, "The image did not arrive in time.")
