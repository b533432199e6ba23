"""What is said about the learning of a project in each of its states."""

import pytest

from backend.learning.progress import TO_DO, next_step, say_progress
from backend.learning.records import LearningStatus
from backend.learning.steps import reached


@pytest.mark.parametrize(
    ("status", "suggests_before", "said"),
    [
        (
            LearningStatus("1.1"),
            False,
            f"Suggests no points yet: {TO_DO}. 0 of 3 so far.",
        ),
        (
            LearningStatus("1.1", learnt=2, waiting=1),
            False,
            f"Suggests no points yet: {TO_DO}. 2 of 3 so far. 1 corrected image is being learnt.",
        ),
        (
            LearningStatus("1.1", waiting=2),
            True,
            "Suggests points without names of landmarks. Names begin with 3 corrected images;"
            " 0 of 3 so far. 2 corrected images are being learnt.",
        ),
        (
            LearningStatus("1.1", learnt=6, in_use=5),
            True,
            "Suggests named points, learnt from 5 corrected images."
            " Suggestions are renewed at 8 images; 6 are learnt so far.",
        ),
    ],
)
def test_each_state_says_what_is_suggested_and_what_comes_next(status, suggests_before, said):
    assert say_progress(status, suggests_before=suggests_before) == said


def test_the_next_step_is_the_smallest_number_of_images_that_reaches_it():
    for images in range(400):
        due = next_step(images)
        assert reached(due) == due > images
        assert reached(due - 1) == reached(images)
