"""The poster's figures are drawn as described."""

import cv2
import numpy as np
import torch

from drawings.dataset import write_data_set
from model import pictures
from model.keypoint import Box, Detection, Keypoint
from model.networks import IMAGENET_MEAN, IMAGENET_STD, Classifier, build_network, save_classifier
from studies import figure
from studies.__main__ import main
from studies.evaluation.datasets import read_data_set


def test_the_five_columns_are_input_maps_red_detections_and_green_landmarks():
    picture = np.full((100, 120, 3), 90, np.uint8)
    ramp = np.linspace(0, 1, 50)[None].repeat(50, 0)
    detection = Detection(
        "a", 1.0, (Keypoint(39.5, 49.5, 1, ""),), 120, 100, Box(20, 30, 40, 40),
        maps={"coarse": ramp, "fine": ramp[:, ::-1]},
    )  # fmt: skip
    drawn = figure.five_columns(picture, detection, np.array([[29.5, 39.5]]))
    side = figure.HEIGHT
    assert drawn.shape == (side, 5 * side + 4 * 4, 3)
    plain, coarse, fine, red, green = (
        drawn[:, at * (side + 4) : at * (side + 4) + side].astype(int) for at in range(5)
    )
    assert (plain == 90).all()
    assert coarse[:, -9:, 0].mean() > coarse[:, :9, 0].mean()
    assert fine[:, :9, 0].mean() > fine[:, -9:, 0].mean()
    middle, quarter = side // 2, side // 4
    assert tuple(red[middle, middle]) == pictures.RED
    assert tuple(green[quarter, quarter]) == pictures.GREEN


def test_the_command_writes_both_figures(tmp_path, capsys):
    write_data_set(tmp_path / "data", 8, size=(96, 72), test_share=0.25)
    names = tuple(sorted({i.class_name for i in read_data_set(tmp_path / "data", "train")}))
    torch.manual_seed(0)
    network = build_network("small", len(names))
    save_classifier(
        Classifier(network, "small", names, 64, IMAGENET_MEAN, IMAGENET_STD),
        tmp_path / "w.safetensors",
    )
    arguments = ["--data", str(tmp_path / "data"), "--weights", str(tmp_path / "w.safetensors")]
    assert main(["figure", *arguments, "--preset", "default", "--out", str(tmp_path / "out")]) == 0
    for path in capsys.readouterr().out.split():
        assert cv2.imread(path) is not None
