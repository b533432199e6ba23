"""A GPU finds the same keypoints as the processor; what needs one is skipped without."""

from pathlib import Path

import numpy as np
import pytest
import torch
from devices_run import Found, compare, draw_into, run
from small_weights import save_small_network
from throughput_run import save_random_network

from model.detector import Detector
from model.devices import device_name, device_of, memory_errors, on_fastest_device
from model.naming.features import FeatureExtractor
from model.networks import load_classifier
from model.settings import PRESETS

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch finds no GPU on this machine"
)


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_network(tmp_path_factory.mktemp("weights") / "light.safetensors")


@needs_gpu
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_gpu_finds_the_keypoints_that_the_processor_finds(
    preset: str, light: Path, tmp_path: Path
) -> None:
    pictures = draw_into(tmp_path, 6)
    cpu, gpu = (run(light, pictures, preset, gpu=gpu) for gpu in (False, True))
    both = compare(cpu.found, gpu.found)
    assert both.classes == both.pictures == 6
    assert both.again >= 0.99 * max(both.first, both.second) > 0
    assert gpu.memory[1] == gpu.memory[0] > cpu.memory[1] == 0


@needs_gpu
def test_features_of_a_gpu_are_those_of_the_processor(light: Path) -> None:
    classifier = load_classifier(None, str(light))
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    on_cpu = FeatureExtractor(classifier, "same").extract(picture, None)
    detector = Detector(classifier)
    assert device_of(detector.classifier.network).type == "cuda"
    on_gpu = FeatureExtractor(detector.classifier, "same").extract(picture, None)
    np.testing.assert_allclose(on_gpu.seen, on_cpu.seen, atol=5e-3)
    np.testing.assert_allclose(on_gpu.mirrored, on_cpu.mirrored, atol=5e-3)


@needs_gpu
def test_a_network_on_the_gpu_multiplies_in_full_float32(tmp_path: Path) -> None:
    classifier = load_classifier(None, str(save_small_network(tmp_path / "small.safetensors")))
    network = on_fastest_device(classifier.network)
    assert device_name(network) == torch.cuda.get_device_name(0)
    assert on_fastest_device(network) is network
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        difference = network(images.cuda()).cpu() - classifier.network(images)
    assert difference.abs().max() < 1e-5


@needs_gpu
def test_a_full_gpu_is_a_memory_error() -> None:
    free, _ = torch.cuda.mem_get_info()
    with pytest.raises(MemoryError, match="out of memory"), memory_errors():
        torch.empty(free + 2**30, dtype=torch.uint8, device="cuda")


def test_without_a_gpu_the_network_itself_is_used(
    light: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    network = load_classifier(None, str(light)).network
    assert on_fastest_device(network) is network
    assert device_name(network) == "CPU"


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(ValueError, match="another"), memory_errors():
        raise ValueError("another")
    with pytest.raises(MemoryError, match="CUDA out of memory"), memory_errors():
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_points_are_compared_one_to_one_and_within_half_a_pixel() -> None:
    first = [Found("bus", [(0.0, 0.0), (10.0, 10.0), (20.0, 20.0)]), Found("van", [])]
    second = [Found("bus", [(10.0, 10.3), (0.0, 0.1), (20.0, 21.0)]), Found("bus", [(1.0, 1.0)])]
    both = compare(first, second)
    assert (both.pictures, both.classes, both.first, both.second, both.again) == (2, 1, 3, 4, 2)
    assert both.largest == pytest.approx(0.3)
    assert both.median == pytest.approx(0.2)


def test_processes_share_the_pictures_and_keep_their_order(tmp_path: Path) -> None:
    weights = save_small_network(tmp_path / "small.safetensors", input_size=64)
    pictures = draw_into(tmp_path, 3)
    alone = run(weights, pictures, "default", gpu=False)
    shared = run(weights, pictures, "default", gpu=False, processes=2)
    assert alone.found == shared.found
    assert len({str(each.points) for each in alone.found}) == 3
