"""Training from class labels, on images that are quick to draw and to learn."""

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from drawings.labelled import labelled_drawings
from model.__main__ import main
from model.image import to_tensor
from model.learning.first_network import last_layer
from model.learning.labelled_images import LabelledImages
from model.learning.training import Epoch, train
from model.learning.training_settings import FROM_NOTHING, TrainingSettings
from model.networks import Classifier, Refused, WeightsError, load_classifier, save_classifier

ROOT = Path(__file__).parents[1]
CHECKPOINT = ROOT.parent / "shared" / "checkpoints" / "squeezenet1_1-onnxzoo-d40876d4.pth"
QUICK = replace(FROM_NOTHING, epochs=3, batch=8, augmentation=0.3)


def shape(index: int) -> np.ndarray:
    """A bright disc (even numbers) or bar, of any colour, anywhere on a dark ground."""
    rng = np.random.default_rng(index)
    image = np.full((64, 64, 3), rng.integers(0, 90, 3), np.uint8)
    colour = rng.integers(130, 255, 3).tolist()
    x, y = rng.integers(16, 48, 2).tolist()
    if index % 2 == 0:
        cv2.circle(image, (x, y), 12, colour, cv2.FILLED)
    else:
        cv2.rectangle(image, (x - 14, y - 3), (x + 14, y + 3), colour, cv2.FILLED)
    return image


def shapes(count: int, *, classes: tuple[str, ...] = ("disc", "bar")) -> LabelledImages:
    names = tuple(f"{index}.png" for index in range(count))
    labels = tuple(classes[index % len(classes)] for index in range(count))
    return LabelledImages(names, labels, shape)


def write_shapes(folder: Path, count: int) -> Path:
    for index in range(count):
        place = folder / ("disc", "bar")[index % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(shape(index)).save(place / f"{index}.png")
    return folder


def weights_of(classifier: Classifier) -> dict[str, torch.Tensor]:
    return classifier.network.state_dict()


def same(one: Classifier, two: Classifier) -> bool:
    first, second = weights_of(one), weights_of(two)
    return all(torch.equal(first[name], second[name]) for name in first)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def discs_and_bars() -> Classifier:
    return train(shapes(120), settings=replace(QUICK, epochs=8)).classifier


def test_a_network_learns_to_tell_shapes_that_it_has_not_seen(discs_and_bars):
    right = 0
    for index in range(1000, 1040):
        square = cv2.resize(shape(index), (128, 128))
        pixels = to_tensor(square, discs_and_bars.mean, discs_and_bars.std)
        with torch.inference_mode():
            answer = int(discs_and_bars.network(pixels[None]).argmax())
        right += discs_and_bars.classes[answer] == ("disc", "bar")[index % 2]
    assert right >= 36  # of 40; guessing: 20


def test_the_result_is_ready_to_detect_with(discs_and_bars):
    assert discs_and_bars.classes == ("bar", "disc")
    assert discs_and_bars.arch == "small"
    assert discs_and_bars.input_size == 128
    assert not discs_and_bars.network.training
    assert all(value.is_contiguous() for value in weights_of(discs_and_bars).values())


def test_two_types_of_drawn_vehicles_are_learnt_from_few_drawings():
    every = labelled_drawings(360)
    indices = [index for index in range(360) if every.labels[index] in ("bus", "saloon")]
    some = LabelledImages(
        tuple(every.names[index] for index in indices),
        tuple(every.labels[index] for index in indices),
        lambda place: every.load(indices[place]),
    )
    trained = train(some, settings=replace(QUICK, epochs=8, validation_share=0.3))
    assert trained.images == {"bus": 60, "saloon": 60}
    assert trained.best.validation_accuracy >= 0.75  # of 36; guessing: 0.5


def test_a_class_of_five_images_among_hundreds_is_learnt():
    """Without showing them more often, the network always names the large class."""
    numbers = [*range(0, 400, 2), *range(1, 11, 2)]  # 200 discs, 5 bars
    images = LabelledImages(
        tuple(f"{number}.png" for number in numbers),
        tuple(("disc", "bar")[number % 2] for number in numbers),
        lambda place: shape(numbers[place]),
    )
    trained = train(images, settings=replace(QUICK, epochs=8))
    bars = [shape(number) for number in range(1001, 1041, 2)]
    network = trained.classifier
    pixels = torch.stack(
        [to_tensor(cv2.resize(bar, (128, 128)), network.mean, network.std) for bar in bars]
    )
    with torch.inference_mode():
        named = (network.network(pixels).argmax(1) == network.classes.index("bar")).sum().item()
    assert named >= 10  # of 20
    assert any("always names 'disc' has 97.6% right" in each for each in trained.warnings)


@pytest.mark.usefixtures("on_the_processor")
def test_the_seed_alone_decides_the_weights():
    first = train(shapes(16), settings=QUICK).classifier
    assert same(first, train(shapes(16), settings=QUICK).classifier)
    assert not same(first, train(shapes(16), settings=replace(QUICK, seed=1)).classifier)


def test_training_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(shapes(8), settings=replace(QUICK, epochs=1))
    assert torch.equal(torch.rand(3), expected)


class Stopped(Exception):
    pass


def stop_after(epoch: int) -> object:
    def on_epoch(done: Epoch) -> None:
        if done.number == epoch:
            raise Stopped

    return on_epoch


@pytest.mark.parametrize("last", [1, 2])
@pytest.mark.usefixtures("on_the_processor")
def test_an_interrupted_training_resumes_to_the_very_same_weights(tmp_path, last):
    checkpoint = tmp_path / "state.training"
    with pytest.raises(Stopped):
        train(shapes(16), settings=QUICK, checkpoint=checkpoint, on_epoch=stop_after(last))
    assert checkpoint.exists()
    seen: list[int] = []
    resumed = train(
        shapes(16),
        settings=QUICK,
        checkpoint=checkpoint,
        on_epoch=lambda epoch: seen.append(epoch.number),
    )
    assert seen == list(range(last + 1, QUICK.epochs + 1))
    whole = train(shapes(16), settings=QUICK)
    assert same(resumed.classifier, whole.classifier)
    assert resumed.history == whole.history


def test_a_training_that_ended_is_not_done_again_while_its_checkpoint_is_there(tmp_path):
    """The disk may have been full when the result was to be saved."""
    checkpoint = tmp_path / "state.training"
    first = train(shapes(16), settings=QUICK, checkpoint=checkpoint)
    seen: list[Epoch] = []
    again = train(shapes(16), settings=QUICK, checkpoint=checkpoint, on_epoch=seen.append)
    assert seen == []
    assert same(first.classifier, again.classifier)


@pytest.mark.parametrize(
    ("images", "settings"),
    [
        (shapes(16), replace(QUICK, seed=1)),
        (shapes(18), QUICK),
        (shapes(16, classes=("round", "long")), QUICK),
    ],
)
@pytest.mark.usefixtures("on_the_processor")
def test_the_checkpoint_of_another_training_is_ignored(tmp_path, images, settings):
    checkpoint = tmp_path / "state.training"
    with pytest.raises(Stopped):
        train(shapes(16), settings=QUICK, checkpoint=checkpoint, on_epoch=stop_after(1))
    trained = train(images, settings=settings, checkpoint=checkpoint)
    assert same(trained.classifier, train(images, settings=settings).classifier)


def test_a_checkpoint_that_was_cut_short_is_named(tmp_path):
    checkpoint = tmp_path / "state.training"
    checkpoint.write_bytes(b"PK half a checkpoint")
    with pytest.raises(ValueError, match=r"state\.training, found .* delete it to start over"):
        train(shapes(8), settings=QUICK, checkpoint=checkpoint)


def test_training_ends_when_nothing_gets_better():
    names, labels = zip(
        *((f"{index}.png", "ab"[index // 2 % 2]) for index in range(24)), strict=True
    )
    nothing_to_learn = LabelledImages(names, labels, shape)
    trained = train(nothing_to_learn, settings=replace(QUICK, epochs=40, patience=2))
    assert len(trained.history) == trained.best.number + 2 < 40


def test_without_early_stopping_every_epoch_runs_and_the_last_is_kept():
    """The labels carry no information, so any epoch could be the best on the validation images."""
    names, labels = zip(
        *((f"{index}.png", "ab"[index // 2 % 2]) for index in range(24)), strict=True
    )
    nothing_to_learn = LabelledImages(names, labels, shape)
    settings = replace(QUICK, epochs=5, patience=1, validation_share=0.4)
    assert len(train(nothing_to_learn, settings=settings).history) < 5
    trained = train(nothing_to_learn, settings=replace(settings, early_stopping=False))
    assert len(trained.history) == 5
    assert trained.best == trained.history[-1]
    by_rank = sorted(trained.history, key=lambda e: (e.class_accuracy, -e.validation_loss))
    assert trained.best != by_rank[-1]


@pytest.mark.usefixtures("on_the_processor")
def test_the_weights_are_those_of_the_best_epoch():
    kept: dict[int, float] = {}
    trained = train(
        shapes(24),
        settings=replace(QUICK, epochs=6),
        on_epoch=lambda epoch: kept.update({epoch.number: epoch.validation_accuracy}),
    )
    assert trained.best.validation_accuracy == max(kept.values())
    assert trained.best in trained.history
    shorter = replace(QUICK, epochs=6, patience=6)
    assert trained.history == train(shapes(24), settings=shorter).history


def test_a_pretrained_network_keeps_its_body_and_gets_a_new_last_layer(discs_and_bars, tmp_path):
    path = tmp_path / "start.safetensors"
    save_classifier(discs_and_bars, path)
    still = replace(QUICK, epochs=1, rate=1e-12, weight_decay=0.0)
    images = shapes(18, classes=("a", "b", "c"))
    trained = train(images, init=str(path), settings=still).classifier
    before, after = weights_of(discs_and_bars), weights_of(trained)
    assert after["classifier.weight"].shape == (3, 160)
    for name in ("conv1.weight", "conv5.weight"):
        torch.testing.assert_close(after[name], before[name], atol=1e-6, rtol=0)


def test_a_network_of_the_same_classes_keeps_its_last_layer_too(discs_and_bars, tmp_path):
    path = tmp_path / "start.safetensors"
    save_classifier(discs_and_bars, path)
    still = replace(QUICK, epochs=1, rate=1e-12, weight_decay=0.0)
    trained = train(shapes(16), init=str(path), settings=still).classifier
    before, after = weights_of(discs_and_bars), weights_of(trained)
    torch.testing.assert_close(
        after["classifier.weight"], before["classifier.weight"], atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(
    ("arch", "names"),
    [
        ("small", {"classifier.weight", "classifier.bias"}),
        ("squeezenet1_1", {"classifier.1.weight", "classifier.1.bias"}),
        ("vgg19", {"classifier.6.weight", "classifier.6.bias"}),
        ("resnet18", {"fc.weight", "fc.bias"}),
    ],
)
def test_the_last_layer_is_found_in_any_network(arch, names):
    assert last_layer(arch) == names


def test_imagenet_weights_are_fine_tuned_with_their_own_normalisation():
    if not CHECKPOINT.exists():
        pytest.skip("the ImageNet weights of squeezenet1_1 are not here")
    trained = train(
        shapes(16),
        arch="squeezenet1_1",
        init=str(CHECKPOINT),
        settings=TrainingSettings(epochs=2, batch=8),
    ).classifier
    assert trained.classes == ("bar", "disc")
    assert trained.input_size == 224
    assert trained.mean == (0.485, 0.456, 0.406)


def test_weights_of_another_architecture_are_refused(discs_and_bars, tmp_path):
    path = tmp_path / "start.safetensors"
    save_classifier(discs_and_bars, path)
    with pytest.raises(ValueError, match="weights are of small, but resnet18 was requested"):
        train(shapes(8), arch="resnet18", init=str(path))
    described = path.with_suffix(".json")
    facts = json.loads(described.read_text()) | {"classes": ["one", "two", "three"]}
    described.write_text(json.dumps(facts))
    with pytest.raises(WeightsError, match="do not fit this network"):
        train(shapes(8), init=str(path))


def test_a_network_that_is_not_built_of_relu_layers_is_refused():
    with pytest.raises(Refused, match="guided backpropagation is defined for ReLU alone"):
        train(shapes(8), arch="efficientnet_b0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs, batch and patience are at least 1"),
        ({"rate": 0.0}, "rate is positive"),
        ({"validation_share": 0.9}, "0 < validation_share <= 0.5"),
        ({"seed": -1}, "seed and weight_decay are not negative"),
    ],
)
def test_settings_out_of_range_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**change)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Writing more fails as on a full disk, with an OSError from the operating system."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_the_old_weights_intact(discs_and_bars, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_classifier(discs_and_bars, path)
    other = train(shapes(8), settings=replace(QUICK, epochs=1)).classifier
    with (
        files_of_at_most(10_000),
        pytest.raises(OSError, match=r"could not write .*, the old file is intact"),
    ):
        save_classifier(other, path)
    assert same(load_classifier(weights=str(path)), discs_and_bars)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "weights.json",
        "weights.safetensors",
    ]


def test_a_full_disk_leaves_the_last_checkpoint_intact(tmp_path):
    checkpoint = tmp_path / "state.training"
    with pytest.raises(Stopped):
        train(shapes(16), settings=QUICK, checkpoint=checkpoint, on_epoch=stop_after(1))
    kept = checkpoint.read_bytes()
    squares = 16 * 146 * 146 * 3
    with (
        files_of_at_most(squares),
        pytest.raises(OSError, match=r"could not write .*, the old file is intact"),
    ):
        train(shapes(16), settings=QUICK, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [checkpoint]


# The command


def run(*arguments: object) -> int:
    return main(["train", *map(str, arguments)])


def test_the_command_trains_on_a_folder_and_says_what_it_left_out(tmp_path, capsys):
    folder = write_shapes(tmp_path / "shapes", 24)
    (folder / "disc" / "broken.png").write_bytes(b"not an image")
    out = tmp_path / "weights.safetensors"
    assert run("--folder", folder, "--arch", "small", "--out", out, "--epochs", 2) == 0
    printed = capsys.readouterr()
    assert "left out disc/broken.png: expected an image" in printed.err
    assert "trained on 12 bar, 12 disc; 4 of these only checked the result" in printed.out
    assert "% of the validation images right (epoch" in printed.out
    assert load_classifier(weights=str(out)).classes == ("bar", "disc")
    assert not out.with_suffix(".training").exists()


def test_the_command_can_train_a_control_on_permuted_labels(tmp_path, capsys):
    """It runs to the last epoch, however little patience there is."""
    folder = write_shapes(tmp_path / "shapes", 24)
    out = tmp_path / "weights.safetensors"
    options = ("--arch", "small", "--out", out, "--epochs", 4, "--patience", 1)
    assert run("--folder", folder, *options, "--shuffle-labels") == 0
    printed = capsys.readouterr().out
    assert "trained on 12 bar, 12 disc" in printed
    assert "(epoch 4 of 4)" in printed


def test_the_command_trains_on_a_split_of_a_data_set(tmp_path, capsys):
    write_shapes(tmp_path / "images", 24)
    rows = [
        (f"images/{name}/{index}.png", name, "train" if index < 20 else "test")
        for index in range(24)
        for name in [("disc", "bar")[index % 2]]
    ]
    with (tmp_path / "annotations.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "class", "split"), *rows])
    out = tmp_path / "weights.safetensors"
    options = ("--arch", "small", "--out", out, "--epochs", 1)
    assert run("--data", tmp_path, "--split", "train", *options) == 0
    assert "trained on 10 bar, 10 disc" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--folder", "shapes", "--split", "train"), "--split belongs to --data"),
        (("--folder", "shapes", "--out", "weights.pth"), "ends in .safetensors as --out"),
        (("--folder", "shapes", "--epochs", 0), "epochs, batch and patience are at least 1"),
        (("--folder", "shapes", "--epochs", "few"), "'few' is not a valid integer"),
        (
            ("--folder", "shapes", "--init", "nowhere.safetensors"),
            "expected a weights file at nowhere",
        ),
        (("--folder", "nowhere"), "expected a folder of images at nowhere"),
        (("--folder", "shapes", "--data", "shapes"), "either --folder or --data, got both"),
        ((), "either --folder or --data, got neither"),
        (("--drawings",), "run python -m drawings train [--count N]"),
        (("--drawings", 12, "--out", "x.safetensors"), "run python -m drawings train [--count N]"),
    ],
)
def test_a_mistake_on_the_command_line_is_answered_in_one_line_with_what_was_expected(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    write_shapes(tmp_path / "shapes", 4)
    assert run(*arguments) == 2
    printed = capsys.readouterr().err
    assert message in printed.splitlines()[-1]
    assert printed.startswith("python -m model train: ") and printed.count("\n") == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "shapes"]


def test_a_killed_command_resumes_where_it_was(tmp_path):
    """SIGKILL allows no cleanup; the second run gives the weights of an undisturbed one."""
    folder = write_shapes(tmp_path / "shapes", 32)
    settings = ("--arch", "small", "--epochs", "4", "--batch", "4", "--folder", str(folder))
    out, whole = tmp_path / "weights.safetensors", tmp_path / "whole.safetensors"
    checkpoint = out.with_suffix(".training")
    line = [sys.executable, "-m", "model", "train", *settings, "--out", str(out)]
    surroundings = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(line, env=surroundings, cwd=tmp_path, **quiet)
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert checkpoint.exists()
    assert not out.exists(), "the command ended before it could be killed"
    run(*settings, "--out", out)
    run(*settings, "--out", whole)
    assert out.read_bytes() == whole.read_bytes()
    assert not checkpoint.exists()
