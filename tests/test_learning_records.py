from learning_data import lesson

from backend.learning.records import base_of, images_of, version_of
from model.keypoint import Box


def test_a_version_names_the_model_and_what_was_learnt() -> None:
    assert version_of("small-0123456789", "3-1a2b3c4d") == "small-0123456789+3-1a2b3c4d"
    assert version_of("small-0123456789", "") == "small-0123456789"
    assert base_of("small-0123456789+3-1a2b3c4d") == "small-0123456789"
    assert base_of("small-0123456789") == "small-0123456789"


def test_a_version_tells_the_images_that_were_learnt() -> None:
    assert images_of("small-0123456789+12-1a2b3c4d") == 12
    assert images_of("small-0123456789") == 0
    assert images_of("small-0123456789+") == 0


def test_the_digest_changes_with_all_that_a_fit_depends_on() -> None:
    digests = {
        lesson().digest,
        lesson(points={"nose": (1.0, 2.0)}).digest,
        lesson(absent=()).digest,
        lesson(box=Box(1, 2, 3, 4)).digest,
        lesson(class_name="van").digest,
        lesson(image_url="/another.png").digest,
    }
    assert len(digests) == 6
    assert lesson(absent=("a", "b")).digest == lesson(absent=("b", "a")).digest
