"""Features of any network that the detector accepts."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from small_weights import save_small_network

from model.keypoint import Box
from model.naming.features import (
    DIMENSIONS,
    GRID,
    LEVELS,
    ExampleFeatures,
    FeatureExtractor,
    projection,
    unit,
)
from model.naming.stages import on_grid, resampling, stage_activations
from model.networks import build_network, load_classifier


def noise(height=60, width=80, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    weights = save_small_network(tmp_path_factory.mktemp("weights") / "net.safetensors")
    return FeatureExtractor(load_classifier(None, str(weights)), "abc")


@pytest.mark.parametrize("arch", ["squeezenet1_1", "resnet18", "vgg11", "googlenet"])
def test_stages_are_chosen_by_stride_whatever_the_network(arch):
    network = build_network(arch, 7)
    with torch.inference_mode():
        stages = stage_activations(network, torch.zeros(1, 3, 64, 64), (4, 8, 16), classes=7)
    assert [round(np.log2(64 / stage.shape[-1])) for stage in stages] == [2, 3, 4]
    assert all(stage.shape[1] != 7 for stage in stages)


def test_the_stages_of_squeezenet_are_the_last_ones_before_each_pooling():
    network = build_network("squeezenet1_1", 10)
    images = torch.rand(2, 3, 64, 64)
    stages = stage_activations(network, images, (4, 8, 16), classes=10)
    with torch.inference_mode():
        for layer, stage in zip((5, 8, 13), stages, strict=True):
            torch.testing.assert_close(network.features[:layer](images), stage)


def test_a_stride_that_is_missing_is_replaced_by_the_nearest_but_nothing_comes_twice():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1, stride=4), torch.nn.ReLU())
    stages = stage_activations(network, torch.zeros(1, 3, 32, 32), (4, 8, 16), classes=2)
    assert [tuple(stage.shape) for stage in stages] == [(1, 8, 8, 8)]


def test_no_hook_is_left_after_an_error():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Linear(5, 5))
    with pytest.raises(RuntimeError):
        stage_activations(network, torch.zeros(1, 3, 32, 32), (4,), classes=2)
    assert not any(module._forward_hooks for module in network.modules())


def test_a_network_without_maps_is_refused():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2))
    with pytest.raises(ValueError, match="convolutional layers"):
        stage_activations(network, torch.zeros(1, 3, 4, 4), (4,), classes=2)


@pytest.mark.parametrize(("cells", "stride"), [(79, 4), (39, 8), (19, 16), (20, 16)])
def test_resampling_keeps_a_ramp_in_its_place(cells, stride):
    """A linear function of the position is the same function on the grid, away from the border."""
    centres = (320 - 1 - stride * (cells - 1)) / 2 + stride * np.arange(cells)
    found = resampling(cells, stride, 320, 40) @ centres
    np.testing.assert_allclose(found[4:-4], (8 * np.arange(40) + 3.5)[4:-4], atol=1e-3)


def test_a_blob_stays_where_it_is_on_the_grid():
    activation = torch.zeros(1, 1, 40, 40)
    activation[0, 0, 10, 30] = 1
    found = on_grid(activation, 320, 40)[0, :, :, 0]
    assert np.unravel_index(found.argmax(), found.shape) == (10, 30)


def test_features_have_one_vector_a_cell_for_the_image_and_its_mirror_image(extractor):
    features = extractor.extract(noise(), None)
    shape = (GRID, GRID, min(DIMENSIONS, features.seen.shape[-1]))
    assert features.seen.shape == features.mirrored.shape == shape
    assert features.seen.dtype == np.float16


def test_the_mirror_image_has_the_features_exchanged(extractor):
    image = noise()
    direct, mirrored = extractor.extract(image, None), extractor.extract(image[:, ::-1], None)
    np.testing.assert_allclose(direct.seen, mirrored.mirrored, atol=2e-3)
    np.testing.assert_allclose(direct.mirrored, mirrored.seen, atol=2e-3)


def test_features_come_back_from_bytes_almost_the_same(extractor):
    features = extractor.extract(noise(), Box(3, 4, 50, 40))
    again = ExampleFeatures.from_bytes(features.to_bytes())
    assert (again.key, again.frame) == (features.key, features.frame)
    largest = np.abs(features.seen.astype(np.float32)).max()
    half_a_step = largest / (2 * LEVELS)
    np.testing.assert_allclose(again.seen, features.seen, atol=1.05 * half_a_step)
    assert again.to_bytes() == ExampleFeatures.from_bytes(again.to_bytes()).to_bytes()


def test_features_that_were_stored_without_compression_are_read(extractor):
    features = extractor.extract(noise(), None)
    both = np.stack([features.seen, features.mirrored]).astype(np.float32)
    scale = np.abs(both).max(axis=(0, 1, 2)).clip(1e-6).astype(np.float32)
    frame = features.frame
    head = json.dumps(
        {
            "key": features.key,
            "frame": [frame.left, frame.top, frame.side, frame.length, frame.boxed],
            "shape": features.seen.shape,
        }
    ).encode()
    coded = np.rint(both * (127 / scale)).astype(np.int8).tobytes()
    again = ExampleFeatures.from_bytes(
        struct.pack("<I", len(head)) + head + scale.tobytes() + coded
    )
    assert (again.key, again.frame) == (features.key, features.frame)
    np.testing.assert_allclose(again.seen, features.seen, atol=scale.max() / 200)


@pytest.mark.parametrize("data", [b"", b"abc", b"\x02\0\0\0{}", b"\xff" * 40])
def test_other_bytes_are_refused(data):
    with pytest.raises(ValueError, match="expected features"):
        ExampleFeatures.from_bytes(data)


def test_bytes_that_are_cut_off_are_refused(extractor):
    data = extractor.extract(noise(), None).to_bytes()
    with pytest.raises(ValueError, match="expected features"):
        ExampleFeatures.from_bytes(data[:-1])


def test_the_key_tells_weights_apart(extractor):
    classifier = extractor._classifier
    assert FeatureExtractor(classifier, "abc").key == extractor.key
    assert FeatureExtractor(classifier, "abd").key != extractor.key


def test_the_network_is_left_as_it_was(extractor):
    network = extractor._classifier.network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    extractor.extract(noise(), None)
    assert not network.training
    assert not any(module._forward_hooks for module in network.modules())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_projection_keeps_angles_and_is_always_the_same():
    matrix = projection(400, 160)
    np.testing.assert_array_equal(matrix, projection(400, 160))
    np.testing.assert_allclose(matrix.T @ matrix, 2.5 * np.eye(160), atol=1e-4)
    rows = unit(np.random.RandomState(0).uniform(size=(200, 400)).astype(np.float32) ** 4)
    error = (rows @ matrix) @ (rows @ matrix).T - rows @ rows.T
    assert np.abs(error).mean() < 0.06


def test_a_box_off_the_image_is_refused(extractor):
    with pytest.raises(ValueError, match="expected a box on the image"):
        extractor.extract(noise(), Box(500, 0, 10, 10))


def test_a_squashed_reference_network_is_read_with_its_weights():
    path = Path(__file__).parents[2] / "shared/checkpoints/squeezenet1_1-onnxzoo-d40876d4.pth"
    if not path.exists():
        pytest.skip(f"needs {path}")
    features = FeatureExtractor(load_classifier("squeezenet1_1", str(path)), "x").extract(
        noise(300, 200), None
    )
    assert features.seen.shape == (40, 40, 160)
    assert np.isfinite(features.seen).all()
    assert len(features.to_bytes()) < 500_000
