"""A map is a factory and a row in the table; the detector and its settings need nothing else."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.detector import Detector
from model.keypoint import Box
from model.maps import interface, table
from model.maps.interface import MapInput, MapSetup
from model.maps.table import MAPS, MapRow
from model.networks import SMALL, Classifier, build_network
from model.settings import DEFAULT, POSTER, choices, version_name

BOX = Box(0, 0, 96, 72)
prepared = []


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return Classifier(build_network(SMALL, 2), SMALL, ("a", "b"), 64, (0.5,) * 3, (0.25,) * 3)


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (72, 96, 3), np.uint8)


def prepare_dots(setup: MapSetup):
    """A toy map: three dots, higher the later, as high as the brightness there allows."""
    prepared.append(setup)

    def dots(given: MapInput):
        values = np.zeros((setup.input_size, setup.input_size))
        for height, place in enumerate((10, 30, 50), start=1):
            values[place, place] = height * (1 + given.grey[place, place]) * 1e-3
        return values

    return dots


@pytest.fixture
def with_dots(monkeypatch):
    row = MapRow("dots", "fine", "three dots", f"{__name__}:prepare_dots", version=2)
    monkeypatch.setattr(table, "MAPS", (*MAPS, row))
    prepared.clear()


def test_a_new_map_needs_one_row(with_dots, classifier, picture):
    settings = replace(DEFAULT, fine="dots", combination="sum", subpixel=False, input_size=96)
    detector = Detector(classifier, settings)
    for _ in range(2):
        detection = detector.detect(picture, BOX)
    assert len(prepared) == 1 and prepared[0].settings == settings
    rows, columns = np.nonzero(detection.maps["fine"])
    assert list(zip(rows, columns, strict=True)) == [(10, 10), (30, 30), (50, 50)]
    assert detection.captions == {"coarse": "class activation", "fine": "three dots"}
    assert choices("fine") == ("guided", "corners", "dots")
    with pytest.raises(ValueError, match="fine is guided or corners or dots"):
        replace(settings, fine="stars")


def test_another_map_changes_no_version_of_the_models_without_it(with_dots, monkeypatch):
    having_row = [version_name("a", "ab", settings) for settings in (DEFAULT, POSTER)]
    monkeypatch.setattr(table, "MAPS", MAPS)
    assert having_row == [version_name("a", "ab", settings) for settings in (DEFAULT, POSTER)]


def test_captions_are_those_of_the_maps_that_were_computed(classifier, picture):
    found = Detector(classifier, DEFAULT).detect(picture)
    assert found.captions == {"coarse": "class activation", "fine": "corners"}
    found = Detector(classifier, POSTER).detect(picture)
    assert found.captions == {"coarse": "occlusion", "fine": "guided backpropagation"}


def test_the_region_and_the_coarse_scale_share_one_prepared_map(classifier):
    detector = Detector(classifier, DEFAULT)
    assert detector._maps["region"] is detector._maps["coarse"]
    assert set(Detector(classifier, POSTER)._maps) == {"coarse", "fine"}


@pytest.mark.parametrize("row", MAPS, ids=lambda row: row.name)
def test_every_map_is_finite_not_negative_and_of_the_inputs_size(row, classifier):
    pixels = torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(0))
    grey = np.random.default_rng(0).uniform(0, 255, (64, 64))
    compute = interface.prepare(row, MapSetup(classifier, classifier.network, 64, DEFAULT))
    values = compute(MapInput(pixels, grey, 1))
    assert values.shape == (64, 64) and values.dtype == np.float64
    assert np.isfinite(values).all() and values.min() >= 0 and values.max() > 0


def test_names_are_unique_within_a_scale_and_captions_within_the_table():
    assert len({(row.scale, row.name) for row in MAPS}) == len(MAPS)
    assert len({row.caption for row in MAPS}) == len(MAPS)


def test_a_map_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(ValueError, match="coarse to be one of occlusion, activation, got 'corner"):
        table.find("coarse", "corners")


def test_reading_the_table_loads_no_torch():
    code = "import sys, model.maps.table; print({'torch', 'numpy', 'cv2'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.stdout == "set()\n", ended.stderr
