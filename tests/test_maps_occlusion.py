"""The dense occlusion map: by hand, against captum, and its batches."""

import pytest
import torch
from captum.attr import Occlusion
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from model.maps.occlusion import (
    DenseLogits,
    FastestBatch,
    batch_sizes,
    class_scores,
    map_of_scores,
    over_patches,
    patch_positions,
    random_fills,
    spread_over_pixels,
)


def occluded_pixel_sum(image: Tensor, window: int) -> Tensor:
    """The occlusion map (stride 1, black fill) of a score that sums all pixels."""

    def pixel_sum(images: Tensor) -> Tensor:
        return images.sum((1, 2, 3))[:, None]

    height, width = image.shape[1:]
    tops, lefts = (patch_positions(side, window, 1) for side in (height, width))
    clean, hidden = DenseLogits(pixel_sum, tops, lefts, window)(image, torch.zeros(1, *image.shape))
    return map_of_scores(clean[0], hidden[..., 0], height, width, window=window, stride=1)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(32, 5),
    ).eval()  # fmt: skip


@given(st.data())
def test_patches_cover_every_pixel_and_stay_on_the_image(data: st.DataObject):
    length = data.draw(st.integers(1, 60))
    window = data.draw(st.integers(1, length))
    stride = data.draw(st.integers(1, window))
    positions = patch_positions(length, window, stride)
    covered = {pixel for start in positions for pixel in range(start, start + window)}
    assert covered == set(range(length))
    assert positions == sorted(set(positions))
    assert all(start % stride == 0 for start in positions[:-1])


@pytest.mark.parametrize("length, window, stride", [(8, 9, 1), (8, 4, 5), (8, 4, 0), (8, 0, 0)])
def test_patches_that_do_not_fit_are_refused(length: int, window: int, stride: int):
    with pytest.raises(ValueError, match=f"1 <= stride <= window <= {length}"):
        patch_positions(length, window, stride)


def test_fall_is_the_hidden_sum_for_a_linear_score():
    image = torch.arange(48.0).reshape(3, 4, 4)
    heat = occluded_pixel_sum(image, window=1)
    torch.testing.assert_close(heat, image.sum(0).double())


def test_a_rise_counts_as_nothing():
    image = -torch.ones(3, 4, 4)
    heat = occluded_pixel_sum(image, window=2)
    assert heat.count_nonzero() == 0


def test_a_pixel_has_the_mean_of_the_patches_that_cover_it():
    drops = torch.tensor([[1.0, 3.0], [5.0, 7.0]])
    found = spread_over_pixels(drops, 3, 3, window=2, stride=1)
    expected = torch.tensor([[1.0, 2, 3], [3, 4, 5], [5, 6, 7]], dtype=torch.float64)
    torch.testing.assert_close(found, expected)


def test_several_fills_are_averaged_after_rises_are_cut():
    hidden = torch.tensor([[[0.0]], [[4.0]]])
    found = map_of_scores(torch.tensor(2.0), hidden, 2, 2, window=2, stride=2)
    torch.testing.assert_close(found, torch.full((2, 2), 1.0, dtype=torch.float64))


def test_fills_are_the_same_for_the_same_seed_and_lie_between_0_and_1():
    fills = random_fills(2, 5, 6, seed=3)
    assert fills.shape == (2, 3, 5, 6)
    assert fills.min() >= 0 and fills.max() < 1
    torch.testing.assert_close(fills, random_fills(2, 5, 6, seed=3), rtol=0, atol=0)
    assert not torch.equal(fills, random_fills(2, 5, 6, seed=4))


def test_scores_are_the_softmax_and_its_log_odds_also_where_the_network_is_sure():
    logits = torch.tensor([[2.0, 1.0, -1.0], [60.0, 0.0, 0.0]])
    probability = class_scores(logits, 0, "probability")
    torch.testing.assert_close(probability, logits.double().softmax(1)[:, 0])
    log_odds = class_scores(logits, 0, "log-odds")
    torch.testing.assert_close(log_odds[:1], torch.logit(probability[:1]))
    torch.testing.assert_close(log_odds[1].item(), 60 - torch.tensor(2.0).log().item())


@pytest.mark.parametrize("batch", [1, 7, None])
def test_scores_are_those_of_captum(batch: int | None):
    image, fill = torch.randn(3, 20, 24), torch.randn(3, 20, 24)
    one = network()

    def score(images: Tensor) -> Tensor:
        return class_scores(one(images), 1, "probability")

    places = [(top, left) for top in range(0, 20, 4) for left in range(0, 24, 4)]
    sizes = FastestBatch([batch]) if batch else batch_sizes(image.device)
    found = over_patches(score, image, fill, places, 4, sizes).view(5, 6)
    with torch.inference_mode():
        falls = Occlusion(score).attribute(
            image[None],
            sliding_window_shapes=(3, 4, 4),
            strides=(3, 4, 4),
            baselines=fill[None],
        )
        clean = score(image[None])
    torch.testing.assert_close(found, clean - falls[0, 0, ::4, ::4], rtol=0, atol=1e-6)


def test_logits_are_in_the_order_of_fills_rows_and_columns():
    image, fills = torch.randn(3, 10, 12), torch.randn(2, 3, 10, 12)
    one = network()
    clean, hidden = DenseLogits(one, [0, 3], [0, 4, 8], 4)(image, fills)
    changed = image.clone()
    changed[:, 3:7, 8:12] = fills[1, :, 3:7, 8:12]
    with torch.inference_mode():
        torch.testing.assert_close(clean, one(image[None])[0])
        torch.testing.assert_close(hidden[1, 1, 2], one(changed[None])[0])
    assert hidden.shape == (2, 2, 3, 5)


def test_every_size_is_tried_once_and_the_fastest_stays():
    batch = FastestBatch([8, 4, 16])
    for seconds in (0.8, 0.2, 3.2):
        batch.record(batch.size(), seconds)
    assert batch.size() == 4


def test_a_size_that_does_not_fit_leaves_smaller_ones_down_to_a_single_image():
    batch = FastestBatch([8, 4])
    sizes = []
    with pytest.raises(torch.OutOfMemoryError, match="a single image"):
        while True:
            sizes.append(batch.size())
            batch.drop_from(batch.size())
    assert sizes == [8, 4, 2, 1]


def test_memory_that_runs_out_costs_no_patch():
    """A GPU's memory cannot be made to run out here, so the error is simulated."""

    def narrow(images: Tensor) -> Tensor:
        if len(images) > 3:
            raise torch.OutOfMemoryError("played")
        return images.flatten(1)

    image, fills = torch.randn(3, 6, 6), torch.randn(1, 3, 6, 6)
    _, found = DenseLogits(narrow, [0, 2, 4], [0, 2, 4], 2)(image, fills)
    expected = DenseLogits(lambda images: images.flatten(1), [0, 2, 4], [0, 2, 4], 2)
    torch.testing.assert_close(found, expected(image, fills)[1])
