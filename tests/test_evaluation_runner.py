"""The whole protocol on drawings, with a small network: what is measured, written and said."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from drawings.dataset import write_data_set
from model.networks import IMAGENET_MEAN, IMAGENET_STD, Classifier, build_network, save_classifier
from model.settings import POSTER
from studies.__main__ import main
from studies.evaluate import parse_variant
from studies.evaluation import runner, summary
from studies.evaluation.datasets import read_data_set


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    write_data_set(folder / "data", 8, size=(96, 72), test_share=0.25)
    torch.manual_seed(0)
    names = tuple(sorted({image.class_name for image in read_data_set(folder / "data", "train")}))
    network = build_network("small", len(names))
    classifier = Classifier(network, "small", names, 64, IMAGENET_MEAN, IMAGENET_STD)
    save_classifier(classifier, folder / "weights.safetensors")
    return folder


@pytest.fixture(scope="module")
def evaluated(folder):
    """Run the command once; the tests look at what it left."""
    status = main(
        [
            "evaluate", "--data", str(folder / "data"), "--split", "test",
            "--weights", str(folder / "weights.safetensors"),
            "--shuffled-weights", str(folder / "weights.safetensors"),
            "--variant", "default:activation_stride=8,fine=guided",
            "--json", str(folder / "out.json"), "--out", str(folder / "out"), "--quick",
        ]
    )  # fmt: skip
    assert status == 0
    return folder


def test_the_json_holds_every_method_metric_and_paired_difference(evaluated):
    found = json.loads((evaluated / "out.json").read_text())
    for where in ("box", "frame"):
        methods = found["regions"][where]["methods"]
        assert set(methods) >= {
            "uniform", "grid", "centre Gaussian", "Harris", "Shi-Tomasi", "SIFT", "ORB", "Sobel",
            "Grad-CAM", "LayerCAM", "gradient", "guided backpropagation", "occlusion + Sobel",
            "poster", "poster: coarse scale alone", "poster: fine scale alone",
            "poster: no Förstner", "poster, random weights", "poster, shuffled labels",
            "default", "default: no Förstner", "default, random weights",
            "default:activation_stride=8,fine=guided",
        }  # fmt: skip
        for row in methods.values():
            primary = row["P@20 0.05"]
            assert 0 <= primary["low"] <= primary["mean"] <= primary["high"] <= 1
        pairs = found["regions"][where]["differences"]
        count = sum(len(others) for others in pairs.values())
        assert count == len(methods) * (len(methods) - 1) // 2
        gap = pairs["uniform"]["default"]["P@20 0.05"]["mean"]
        expected = methods["uniform"]["P@20 0.05"]["mean"] - methods["default"]["P@20 0.05"]["mean"]
        assert gap == pytest.approx(expected)
    assert "default: no region" in found["regions"]["frame"]["methods"]


def test_random_points_are_found_again_by_chance_alone(evaluated):
    """They are drawn again on every copy, also for JPEG."""
    found = json.loads((evaluated / "out.json").read_text())
    methods = found["regions"]["box"]["methods"]
    assert methods["uniform"]["repeatability"]["mean"] < 0.3
    assert methods["Shi-Tomasi"]["repeatability"]["mean"] > 0.4


def test_the_spread_over_fills_is_that_of_the_preset_with_an_occlusion_map(evaluated):
    found = json.loads((evaluated / "out.json").read_text())
    assert list(found["fills"]) == ["poster"]
    assert -1 <= found["fills"]["poster"]["correlation"]["mean"] <= 1
    assert "`poster` under other random fills" in (evaluated / "out/evaluation.md").read_text()


def test_the_csv_has_a_row_for_every_image_and_method_and_gives_the_means_again(evaluated):
    found = json.loads((evaluated / "out.json").read_text())
    with (evaluated / "out/images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    ours = [
        float(row["P@20 0.05"])
        for row in rows
        if row["region"] == "box" and row["method"] == "Harris"
    ]
    mean = found["regions"]["box"]["methods"]["Harris"]["P@20 0.05"]
    assert len(ours) == mean["images"] == found["images"]
    assert np.mean(ours) == pytest.approx(mean["mean"], abs=1e-5)


def test_the_page_and_the_plots_are_written(evaluated):
    page = (evaluated / "out/evaluation.md").read_text()
    assert "## Within the annotated box" in page and "## Full frames, no box given" in page
    assert "finds landmarks above chance" in page
    for name in ("box-primary", "box-precision", "frame-primary", "frame-precision"):
        assert (evaluated / f"out/{name}.png").stat().st_size > 1000


def test_a_missing_data_set_is_reported_in_one_line(folder, capsys):
    assert main(["evaluate", "--data", str(folder / "nothing")]) == 2
    assert "expected annotations.csv or annotations.json" in capsys.readouterr().err


def evaluate(folder, *options):
    data = ("--data", str(folder / "data"), "--weights", str(folder / "weights.safetensors"))
    return main(["evaluate", *data, "--quick", *map(str, options)])


def test_a_control_of_other_classes_is_refused(folder, tmp_path, capsys):
    network = build_network("small", 3)
    other = Classifier(network, "small", ("a", "b", "c"), 64, IMAGENET_MEAN, IMAGENET_STD)
    save_classifier(other, tmp_path / "other.safetensors")
    assert evaluate(folder, "--shuffled-weights", tmp_path / "other.safetensors") == 2
    assert "as --shuffled-weights, got a small of 3: train both" in capsys.readouterr().err


def test_weights_of_another_architecture_are_refused(folder, capsys):
    assert evaluate(folder, "--arch", "resnet18") == 2
    assert "weights are of small, but resnet18 was requested" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named_before_the_work(folder, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    assert evaluate(folder, "--json", tmp_path / "file" / "out.json") == 2
    printed = capsys.readouterr()
    assert "file" in printed.err and "evaluating" not in printed.err


def test_the_json_beside_the_weights_is_not_written_over(folder, capsys):
    described = folder / "weights.json"
    before = described.read_text()
    assert evaluate(folder, "--json", described) == 2
    assert "expected another file as --json" in capsys.readouterr().err
    assert described.read_text() == before


def test_a_variant_is_a_preset_with_other_settings():
    name, settings = parse_variant("poster:fills=4,coarse_score=log-odds,max_keypoints=None")
    assert name == "poster:fills=4,coarse_score=log-odds,max_keypoints=None"
    assert settings == replace(POSTER, fills=4, coarse_score="log-odds")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("default", "got 'default'"),
        ("best:fills=4", "'best'"),
        ("poster:fill=4", "'fill'"),
        ("poster:fills=0", "fills is at least 1"),
    ],
)
def test_a_variant_that_cannot_be_is_refused(text, named):
    with pytest.raises(ValueError, match=named):
        parse_variant(text)


def test_images_that_cannot_be_used_are_left_out_by_name(folder):
    good, broken, far = read_data_set(folder / "data", "train")[:3]
    broken.path.write_bytes(b"no image")
    far.landmarks[0] = [1000, 0]
    kept, _, outcome = runner.load([good, broken, far])
    assert [image.name for image in kept] == [good.name]
    assert "expected an image" in outcome.left_out[broken.name]
    assert "outside the image" in outcome.left_out[far.name]


def values_of(**precisions):
    return {
        name: {str(i): {"P@20 0.05": p, "skill 0.05": p} for i, p in enumerate(of_images)}
        for name, of_images in precisions.items()
    }


def test_a_sentence_is_licensed_by_its_intervals_alone():
    above = [0.5, 0.6, 0.7, 0.8]
    values = values_of(uniform=[0.1] * 4, grid=[0.2, 0.1, 0.3, 0.2], ours=above)
    said = summary.sentences(values, "ours", draws=500, seed=0)
    assert said[0].startswith("`ours` finds landmarks above chance")
    values = values_of(uniform=[0.1] * 4, grid=[0.9, 0.1, 0.9, 0.8], ours=above)
    said = summary.sentences(values, "ours", draws=500, seed=0)
    assert said[0].startswith("Not shown that `ours` finds landmarks above chance")


def test_a_control_that_was_not_run_licenses_nothing():
    said = summary.sentences(values_of(ours=[0.5, 0.6], Harris=[0.1, 0.1]), "ours", draws=9, seed=0)
    assert said[1].startswith("Not tested in full whether `ours` is helped by class evidence")
    assert "occlusion + Sobel" in said[1]


def test_differences_are_of_the_images_that_both_methods_have():
    values = values_of(all=[0.5, 0.7, 0.9], some=[0.4])
    found = summary.paired(values, "all", "some", "P@20 0.05", draws=10, seed=0)
    assert found.images == 1
    assert found.interval.mean == pytest.approx(0.1)
