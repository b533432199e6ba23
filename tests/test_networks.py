"""Which networks are accepted, where weights come from, and the errors without them."""

import json
import os
import subprocess
import sys
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from model.networks import (
    SMALL,
    Classifier,
    Refused,
    WeightsError,
    build_network,
    load_classifier,
    save_classifier,
    why_not_relu,
)

CHECKPOINTS = Path(__file__).parents[2] / "shared" / "checkpoints"
SQUEEZENET = CHECKPOINTS / "squeezenet1_1-onnxzoo-d40876d4.pth"
needs_checkpoint = pytest.mark.skipif(
    not SQUEEZENET.exists(), reason=f"needs the ImageNet weights {SQUEEZENET}"
)


@pytest.fixture
def small():
    torch.manual_seed(0)
    network = build_network(SMALL, 3)
    return Classifier(network, SMALL, ("van", "bus", "car"), 64, (0.5, 0.4, 0.3), (0.2, 0.2, 0.1))


@pytest.mark.parametrize(
    "arch", [SMALL, "vgg11", "squeezenet1_1", "resnet18", "densenet121", "googlenet"]
)
def test_networks_of_relu_layers_are_accepted(arch):
    network = build_network(arch, 7)
    assert not network.training
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 7)


@pytest.mark.parametrize(
    ("arch", "reason"),
    [
        ("vit_b_16", "holds GELU, MultiheadAttention"),
        ("efficientnet_b0", "holds SiLU, Sigmoid"),
        ("mobilenet_v2", "holds ReLU6"),
        ("resnet19", "expected 'small' or the name of a torchvision classifier, got 'resnet19'"),
        ("fasterrcnn_resnet50_fpn", "expected 'small' or the name"),
    ],
)
def test_other_networks_are_refused_with_the_reason(arch, reason):
    with pytest.raises(Refused, match=reason):
        build_network(arch, 7)


def test_a_network_without_any_relu_is_refused_with_the_reason():
    linear = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten())
    assert why_not_relu(linear) == "it has no ReLU layer, which guided backpropagation needs"


def test_saved_weights_come_back_with_all_that_belongs_to_them(small, tmp_path):
    save_classifier(small, tmp_path / "deep" / "vans.safetensors")
    loaded = load_classifier(weights=str(tmp_path / "deep" / "vans.safetensors"))
    image = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(loaded.network(image), small.network(image))
    assert (loaded.arch, loaded.classes, loaded.input_size) == (SMALL, small.classes, 64)
    assert (loaded.mean, loaded.std) == (small.mean, small.std)
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == [
        "vans.json",
        "vans.safetensors",
    ]


def test_a_failed_save_leaves_the_old_weights_intact(small, tmp_path, monkeypatch):
    """The disk is full, which only a patched function can simulate here."""
    path = tmp_path / "vans.safetensors"
    save_classifier(small, path)
    before = path.read_bytes(), path.with_suffix(".json").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("model.networks.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save_classifier(small, path)
    assert before == (path.read_bytes(), path.with_suffix(".json").read_bytes())
    assert len(list(tmp_path.iterdir())) == 2


def test_weights_are_saved_only_under_a_name_that_can_be_loaded(small, tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.safetensors, got .*w\.pth"):
        save_classifier(small, tmp_path / "w.pth")
    assert list(tmp_path.iterdir()) == []


def test_a_pth_file_of_tensors_is_loaded(small, tmp_path):
    torch.save(small.network.state_dict(), tmp_path / "w.pth")
    (tmp_path / "w.json").write_text(json.dumps({"arch": SMALL, "classes": ["a", "b", "c"]}))
    loaded = load_classifier(weights=str(tmp_path / "w.pth"))
    assert loaded.classes == ("a", "b", "c") and loaded.input_size == 128


@pytest.mark.parametrize("content", [[torch.zeros(3)], {"epoch": 4}], ids=["list", "number"])
def test_a_pth_file_that_is_no_state_dict_is_refused_and_it_says_how_to_save_one(content, tmp_path):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"expected a state dict .*network\.state_dict\(\)"):
        load_classifier("squeezenet1_1", str(tmp_path / "w.pth"))


class RunsCode:
    def __reduce__(self):
        return print, ("this ran",)


def test_a_pth_file_that_would_run_code_is_refused_and_does_not_run(tmp_path, capsys):
    torch.save({"weight": RunsCode()}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="holds more than tensors"):
        load_classifier("squeezenet1_1", str(tmp_path / "w.pth"))
    assert "this ran" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\x80\x02garbage" * 9])
def test_a_file_that_holds_no_weights_is_refused(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=r"w\.(pth|safetensors)"):
        load_classifier("squeezenet1_1", str(tmp_path / name))


def test_weights_of_other_shapes_are_refused_and_named(small, tmp_path):
    save_classifier(small, tmp_path / "w.safetensors")
    facts = json.loads((tmp_path / "w.json").read_text())
    (tmp_path / "w.json").write_text(json.dumps(facts | {"classes": ["one", "two"]}))
    with pytest.raises(WeightsError, match=r"classifier.weight is \(3, .*\), not \(2, "):
        load_classifier(weights=str(tmp_path / "w.safetensors"))


def test_weights_of_another_architecture_are_refused(small, tmp_path):
    save_file(small.network.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"is missing; .* more"):
        load_classifier("squeezenet1_1", str(tmp_path / "w.safetensors"))


def test_weights_with_nan_are_refused(small, tmp_path):
    with torch.no_grad():
        small.network.classifier.weight[0, 0] = float("nan")
    save_classifier(small, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"NaN or infinity, in classifier\.weight"):
        load_classifier(weights=str(tmp_path / "w.safetensors"))


def test_half_precision_weights_are_loaded_in_full_precision(small, tmp_path):
    small.network.half()
    save_classifier(small, tmp_path / "w.safetensors")
    loaded = load_classifier(weights=str(tmp_path / "w.safetensors"))
    assert {p.dtype for p in loaded.network.parameters()} == {torch.float32}


def test_without_a_json_the_classes_of_our_own_network_are_asked_for(small, tmp_path):
    save_file(small.network.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"expected .*w\.json to name the classes"):
        load_classifier(SMALL, str(tmp_path / "w.safetensors"))


def test_a_mean_without_three_colours_is_refused(small, tmp_path):
    save_classifier(small, tmp_path / "w.safetensors")
    facts = json.loads((tmp_path / "w.json").read_text())
    (tmp_path / "w.json").write_text(json.dumps(facts | {"mean": [0.5]}))
    with pytest.raises(WeightsError, match=r"three numbers as mean in .*w\.json, got \[0\.5\]"):
        load_classifier(weights=str(tmp_path / "w.safetensors"))


def test_torchvision_has_no_weights_for_our_own_network():
    with pytest.raises(WeightsError, match="no IMAGENET1K_V1 weights for small: give a weights"):
        load_classifier(SMALL)


def test_imagenet_weights_of_googlenet_get_images_on_the_scale_of_their_training(tmp_path):
    """The weights of a file without a JSON count as torchvision's own."""
    torch.manual_seed(0)
    network = build_network("googlenet", 1000)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    image = 1000 * torch.randn(1, 3, 64, 64)  # with random weights the image hardly counts
    with torch.inference_mode():
        on_another_scale = network(image)
        network.transform_input = True
        expected = network(image)
        found = load_classifier("googlenet", str(tmp_path / "w.pth")).network(image)
    assert (expected - on_another_scale).abs().max() > 1e-3
    torch.testing.assert_close(found, expected)


def test_without_a_network_connection_the_three_ways_out_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def unreachable(*_, **__):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    with pytest.raises(WeightsError) as failure:
        load_classifier("resnet18")
    for part in (str(tmp_path), "https://", "Name or service not known", "(1)", "(2)", "(3)"):
        assert part in str(failure.value)


def test_torchvision_weights_in_the_cache_are_used(tmp_path, monkeypatch):
    """A file of torchvision's name, made here, so its hash is not the published one."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.manual_seed(0)
    network = build_network("squeezenet1_1", 1000)
    torch.save(network.state_dict(), cache / "squeezenet1_1-b8a52dc0.pth")
    loaded = load_classifier("squeezenet1_1")
    image = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(loaded.network(image), network(image))
    assert len(loaded.classes) == 1000 and loaded.input_size == 224


@needs_checkpoint
def test_real_imagenet_weights_give_their_published_outputs():
    """Without a JSON beside them, the architecture's own classes and normalisation are used."""
    loaded = load_classifier("squeezenet1_1", str(SQUEEZENET))
    reference = np.load(CHECKPOINTS / "squeezenet1_1-reference-io.npz")
    with torch.inference_mode():
        logits = loaded.network(torch.from_numpy(reference["input"]))
    np.testing.assert_allclose(logits, reference["output"], atol=1e-3)
    names = (CHECKPOINTS / "imagenet_classes.txt").read_text().splitlines()
    # torchvision tells the bird from the machine that are both called "crane", and three more.
    assert len(names) == 1000
    assert sum(a == b for a, b in zip(loaded.classes, names, strict=True)) >= 995


def run_python(program, **environment):
    """In a process of its own, because an import happens once."""
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.strip()


def test_torchvision_is_imported_even_with_a_torch_that_lacks_its_operators():
    program = """
import torch
from model.networks import build_network, import_torchvision
build_network("resnet18", 3)(torch.zeros(1, 3, 32, 32))
print(import_torchvision().__name__)
"""
    assert run_python(program) == "torchvision.models"


def test_a_torchvision_that_works_is_left_alone(tmp_path):
    """Its import succeeds, so nothing may be declared in its place."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").touch()
    (tmp_path / "torchvision" / "models.py").write_text("works = True")
    program = """
import torch
from model.networks import import_torchvision
print(import_torchvision().works, hasattr(torch.ops.torchvision, "nms"))
"""
    assert run_python(program, PYTHONPATH=str(tmp_path)) == "True False"


def test_another_failure_of_its_import_is_not_hidden(tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("raise RuntimeError('broken')")
    program = """
from model.networks import import_torchvision
try:
    import_torchvision()
except RuntimeError as error:
    print(error)
"""
    assert run_python(program, PYTHONPATH=str(tmp_path)) == "broken"
