import pytest

from backend.training.records import TrainingOptions
from backend.training.registry import Model
from backend.training.start import Start, choose_settings, choose_start, may_flip
from model.learning.training_settings import FROM_NOTHING, TrainingSettings
from model.weights_files import TORCHVISION_WEIGHTS

ACTIVE = Model("resnet18-0123456789", "resnet18", "/models/active.safetensors")


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({}, Start("resnet18", ACTIVE.weights, requested=False)),
        ({"arch": "resnet18"}, Start("resnet18", ACTIVE.weights, requested=True)),
        ({"arch": "vgg19"}, Start("vgg19", TORCHVISION_WEIGHTS, requested=True)),
        ({"arch": "small"}, Start("small", None, requested=True)),
        ({"arch": "vgg19", "init": "nothing"}, Start("vgg19", None, requested=True)),
        ({"init": "my.pth"}, Start(None, "my.pth", requested=True)),
    ],
    ids=["no options", "its network", "another network", "small", "nothing", "a file"],
)
def test_the_active_model_learns_on_unless_the_options_name_another_start(options, start):
    assert choose_start(TrainingOptions(**options), ACTIVE) == start


def test_few_images_are_learnt_in_small_batches_and_from_random_weights_for_longer():
    pretrained = Start("resnet18", TORCHVISION_WEIGHTS, requested=True)
    labels = ["bus", "van"] * 60
    assert choose_settings(TrainingOptions(), pretrained, labels).batch == 12
    assert choose_settings(TrainingOptions(), pretrained, labels[:20]).batch == 8
    assert choose_settings(TrainingOptions(), pretrained, labels * 100).batch == 32
    assert (
        choose_settings(TrainingOptions(), pretrained, labels).epochs == TrainingSettings().epochs
    )
    random = Start("small", None, requested=True)
    assert choose_settings(TrainingOptions(), random, labels).epochs == FROM_NOTHING.epochs


def test_options_decide_over_what_suits_the_images():
    start = Start("resnet18", TORCHVISION_WEIGHTS, requested=True)
    settings = choose_settings(
        TrainingOptions(epochs=3, seed=7, flip=True), start, ["left", "right"]
    )
    assert (settings.epochs, settings.seed, settings.flip) == (3, 7, True)


def test_classes_called_left_and_right_are_not_mirrored() -> None:
    assert may_flip(["bus", "upright", "leftover"])
    assert not may_flip(["bus", "seen from the left"])
    assert not may_flip(["Right-side"])
