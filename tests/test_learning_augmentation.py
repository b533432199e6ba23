"""Random variants of training images."""

import pytest
import torch

from model.learning.augmentation import augment


@pytest.fixture
def images():
    """Dark squares with one bright quarter, left above."""
    pixels = torch.full((64, 3, 40, 40), 40, dtype=torch.uint8)
    pixels[:, :, :20, :20] = 200
    return pixels


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_no_strength_and_no_flip_leave_the_images_as_they_are(images):
    same = augment(images, 40, generator(), strength=0.0, flip=False)
    torch.testing.assert_close(same, images.float() / 255)


def test_a_flip_mirrors_about_half_of_the_images(images):
    flipped = augment(images, 40, generator(), strength=0.0, flip=True)
    plain, mirrored = images[0].float() / 255, images[0].flip(2).float() / 255
    is_mirrored = [torch.allclose(image, mirrored, atol=1e-5) for image in flipped]
    is_plain = [torch.allclose(image, plain, atol=1e-5) for image in flipped]
    assert sum(is_mirrored) + sum(is_plain) == 64
    assert 20 <= sum(is_mirrored) <= 44


def test_without_flip_left_stays_left_at_any_strength(images):
    moved = augment(images, 40, generator(), strength=1.0, flip=False)
    left_above, right_above = moved[:, :, 4:12, 2:10], moved[:, :, 4:12, 30:38]
    assert (left_above.mean((1, 2, 3)) > right_above.mean((1, 2, 3))).all()


def test_the_variants_of_one_image_differ(images):
    moved = augment(images, 40, generator(), strength=1.0, flip=True)
    assert (moved[0] - moved[1]).abs().mean() > 0.01


def test_the_generator_alone_decides(images):
    first = augment(images, 32, generator(1), strength=1.0, flip=True)
    assert torch.equal(first, augment(images, 32, generator(1), strength=1.0, flip=True))
    assert not torch.equal(first, augment(images, 32, generator(2), strength=1.0, flip=True))


def test_the_result_has_the_size_that_was_asked_for(images):
    assert augment(images, 33, generator(), strength=1.0, flip=True).shape == (64, 3, 33, 33)
