"""Training gets every usable image once, and no contradictory label."""

import numpy as np
import pytest
import torch

from model.decoding import UnreadableImage
from model.learning.class_sizes import UnusableLabels
from model.learning.labelled_images import LabelledImages
from model.learning.samples import prepared

Pixels = np.ndarray


def flat(level: int) -> Pixels:
    return np.full((10, 14, 3), level, np.uint8)


def labelled(*images: tuple[Pixels | Exception, str]) -> LabelledImages:
    def load(index: int) -> Pixels:
        image = images[index][0]
        if isinstance(image, Exception):
            raise image
        return image

    names = tuple(f"{index}.png" for index in range(len(images)))
    return LabelledImages(names, tuple(label for _, label in images), load)


FOUR = [(flat(10), "cat"), (flat(20), "cat"), (flat(30), "dog"), (flat(40), "dog")]


def test_images_become_squares_with_the_numbers_of_their_classes():
    with prepared(labelled(*FOUR), 8) as samples:
        assert samples.classes == ("cat", "dog")
        pixels, labels = samples.batch(np.array([3, 0]))
        assert pixels.shape == (2, 3, 8, 8)
        assert pixels.dtype == torch.uint8
        assert pixels[:, 0, 0, 0].tolist() == [40, 10]
        assert labels.tolist() == [1, 0]
        assert samples.counts() == {"cat": 2, "dog": 2}


def test_an_unreadable_image_is_left_out_and_hurts_no_other():
    broken = [(UnreadableImage("cut short"), "cat"), (FileNotFoundError("not there"), "dog")]
    with prepared(labelled(*broken, *FOUR), 8) as samples:
        assert samples.left_out == (("0.png", "cut short"), ("1.png", "not there"))
        pixels, labels = samples.batch(np.arange(4))
        assert pixels[:, 0, 0, 0].tolist() == [10, 20, 30, 40]
        assert labels.tolist() == [0, 0, 1, 1]


def test_a_copy_is_left_out_so_that_it_cannot_be_in_training_and_validation():
    with prepared(labelled(*FOUR, (flat(30), "dog")), 8) as samples:
        assert samples.left_out == (("4.png", "it is the same image as 2.png"),)
        assert samples.counts() == {"cat": 2, "dog": 2}


def test_an_image_with_two_labels_is_not_used_at_all():
    contradiction = [(flat(99), "cat"), (flat(99), "dog")]
    with prepared(labelled(*contradiction, *FOUR), 8) as samples:
        reason = "the same image is called cat and dog"
        assert samples.left_out == (("0.png", reason), ("1.png", reason))
        assert samples.counts() == {"cat": 2, "dog": 2}


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "found none that is usable"),
        ([(OSError("gone"), "cat")], r"found none that is usable\n  left out 0.png: gone"),
        (FOUR[:2], "expected at least two classes, found 'cat' alone"),
        (
            FOUR[:3],
            "two classes with 2 usable images each.* got 2 of 'cat', 1 of 'dog': add images",
        ),
        ([*FOUR[:2], (OSError("gone"), "dog")], "got 2 of 'cat', 0 of 'dog'"),
    ],
)
def test_labels_that_do_not_suffice_are_refused_with_what_is_needed(images, message):
    with pytest.raises(UnusableLabels, match=message), prepared(labelled(*images), 8):
        pass


@pytest.mark.parametrize(
    "scarce", [[(flat(99), "fox")], [(flat(99), "fox"), (flat(99), "fox")]], ids=["one", "copies"]
)
def test_a_class_with_a_single_image_is_left_out_and_the_others_are_learnt(scarce):
    with prepared(labelled(*FOUR, *scarce), 8) as samples:
        assert samples.classes == ("cat", "dog")
        assert samples.counts() == {"cat": 2, "dog": 2}
        reason = "'fox' has only 1 usable image, and a class needs at least 2"
        assert ("4.png", reason) in samples.left_out
        assert len(samples.left_out) == len(scarce)
        assert "never name it: 'fox'" in samples.warnings[0]
        pixels, labels = samples.batch(np.arange(4))
        assert labels.tolist() == [0, 0, 1, 1]
        assert pixels[:, 0, 0, 0].tolist() == [image[0, 0, 0] for image, _ in FOUR]


def test_a_class_whose_images_cannot_be_read_is_left_out_too():
    with prepared(labelled(*FOUR, (OSError("gone"), "fox")), 8) as samples:
        assert samples.classes == ("cat", "dog")
        assert samples.left_out == (("4.png", "gone"),)
        assert "never name it: 'fox'" in samples.warnings[0]


def test_few_images_of_a_class_are_warned_of():
    many = [(flat(level), "cat") for level in range(10)]
    dogs = [(flat(100 + level), "dog") for level in range(4)]
    with prepared(labelled(*many, *dogs), 8) as samples:
        (warning,) = samples.warnings
        assert "fewer than 10 images of 'dog'" in warning
    more = [(flat(200 + level), "dog") for level in range(6)]
    with prepared(labelled(*many, *dogs, *more), 8) as samples:
        assert samples.warnings == ()


def parts(count: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    images = [(flat(level), ("cat", "dog")[level % 4 == 0]) for level in range(count)]
    with prepared(labelled(*images), 8) as samples:
        return samples.split(share, seed)


def test_every_image_is_either_for_training_or_for_validation():
    learnt, checking = parts(100, 0.2, seed=0)
    assert sorted([*learnt, *checking]) == list(range(100))
    assert sum(index % 4 == 0 for index in checking) == 5
    assert len(checking) == 20


def test_each_class_has_images_on_either_side_however_few_there_are():
    learnt, checking = parts(5, 0.01, seed=0)
    assert {index % 4 == 0 for index in learnt} == {True, False}
    assert {index % 4 == 0 for index in checking} == {True, False}


def test_the_split_depends_on_the_seed_alone():
    assert np.array_equal(parts(40, 0.2, seed=1)[1], parts(40, 0.2, seed=1)[1])
    assert not np.array_equal(parts(40, 0.2, seed=1)[1], parts(40, 0.2, seed=2)[1])


def test_split_by_content_images_keep_their_side_when_others_are_added():
    """Few change sides: now and then a new image takes the place of another."""

    def checking(count: int, seed: int) -> set[str]:
        images = [(flat(level), ("cat", "dog")[level % 2]) for level in range(count)]
        with prepared(labelled(*images), 8) as samples:
            learnt, checked = samples.split(0.2, seed, by_content=True)
            assert sorted([*learnt, *checked]) == list(range(count))
            return {samples.digests[index] for index in checked}

    def everything(count: int) -> set[str]:
        images = [(flat(level), ("cat", "dog")[level % 2]) for level in range(count)]
        with prepared(labelled(*images), 8) as samples:
            return set(samples.digests)

    few, many = checking(120, seed=0), checking(240, seed=1)
    assert checking(120, seed=1) == few
    assert (len(few), len(many)) == (24, 48)
    learnt_before = everything(120) - few
    assert len(many & learnt_before) <= 4


def test_an_error_of_another_kind_is_not_hidden():
    def load(index: int) -> Pixels:
        raise ZeroDivisionError

    images = LabelledImages(("0.png",), ("cat",), load)
    with pytest.raises(ZeroDivisionError), prepared(images, 8):
        pass
