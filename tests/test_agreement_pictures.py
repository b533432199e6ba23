"""The report fetches and decodes images by the same rules as the detection job."""

import html
import io

import numpy as np
import pytest
from loopback_server import Answer, loopback_server
from PIL import Image
from verdict_data import UID, annotation, detection, event, moved, predict

from backend.agreement.report import render
from backend.database.connection import Database
from backend.labelstudio.images import ImageFetchError, Images
from backend.labelstudio.projects import LabelStudios, NotDeliverable, ProjectStorage
from backend.settings import Settings
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters
from model.decoding import UnreadableImage

TOKEN = "0123456789abcdef0123456789abcdef01234567"


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((100, 100, 3), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def report(database: Database, settings: Settings, image: str) -> str:
    """The report on one task, whose first suggestion was moved far."""
    regions = predict(database, 1, detection((10, 10)), image=image)
    event(database, annotation(1, [moved(regions[0], 20)]))
    Recorder(settings, database).drain()
    return html.unescape(render(settings, database, Filters()))


def problem(database: Database, settings: Settings, image: str) -> str:
    """What the door for images says of the same image."""
    project = ProjectStorage(database).project(UID)
    assert project is not None
    with pytest.raises((ImageFetchError, UnreadableImage, NotDeliverable)) as caught:
        Images(settings, LabelStudios(settings)).picture(project, image, 1)
    return str(caught.value)


def test_an_image_elsewhere_is_shown_without_any_label_studio(database: Database):
    with loopback_server(lambda *_: Answer(body=png())) as other:
        settings = Settings(image_hosts=("localhost",))
        page = report(database, settings, f"http://localhost:{other.port}/a.png")
    assert "The image cannot" not in page
    assert "data:image/jpeg;base64," in page


@pytest.mark.parametrize(
    ("limits", "path", "says"),
    [
        ({}, "http://localhost:{port}/a.png", "IMAGE_HOSTS"),
        ({"max_image_bytes": 100}, "/a.png", "MAX_IMAGE_BYTES"),
        ({"max_image_pixels": 9_999}, "/a.png", "reduce it"),
        ({}, "s3x://bucket/a.png", "expected http://"),
    ],
    ids=["private address", "bytes", "pixels", "scheme"],
)
def test_an_image_that_the_job_refuses_is_refused_in_the_same_words(
    database: Database, limits: dict[str, int], path: str, says: str
):
    with loopback_server(lambda *_: Answer(body=png())) as studio:
        settings = Settings(label_studio_url=studio.url, label_studio_api_key=TOKEN, **limits)
        image = path.format(port=studio.port)
        page = report(database, settings, image)
        reason = problem(database, settings, image)
    assert says in reason
    assert reason in page


def test_bytes_that_are_no_image_say_so_in_the_same_words(database: Database):
    with loopback_server(lambda *_: Answer(body=b"this is no image")) as studio:
        settings = Settings(label_studio_url=studio.url, label_studio_api_key=TOKEN)
        page = report(database, settings, "/a.png")
        reason = problem(database, settings, "/a.png")
    assert f"The image cannot be read: {reason}" in page


def test_an_upload_without_any_label_studio_says_what_to_set(database: Database):
    page = report(database, Settings(), "/data/upload/3/a.png")
    assert "The image cannot be fetched: " in page
    assert "LABEL_STUDIO_URL" in page
