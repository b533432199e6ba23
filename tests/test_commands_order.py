"""`python -m backend order`, with a small network and images of two kinds."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from label_studio_fake import TOKEN, UID, LabelStudioFake, label_studio_fake
from learning_data import LIMIT, lesson, teach
from small_weights import save_small_network
from test_suggestions_detection_job import encoded
from waiting_rows import queued

from backend.__main__ import main
from backend.commands.order_tasks import order_project
from backend.database.connection import Database, now
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import ProjectStorage
from backend.learning.backbones import Backbones
from backend.learning.records import Described
from backend.learning.step_storage import StepStorage
from backend.learning.storage import ExampleStorage
from backend.ordering import describing
from backend.ordering.order import NothingLearnt
from backend.ordering.ranks import FieldTaken
from backend.ordering.storage import DescriptorStorage
from backend.settings import Settings
from backend.suggestions.detector import ActiveDetectors
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of
from backend.training.registry import ModelRegistry
from model.decoding import decode
from model.keypoint import Box, Detection

SIDE = 48
SEARCHED = Detection("bus", 0.9, (), SIDE, SIDE, Box(0, 0, SIDE, SIDE))


def picture(kind: str, seed: int) -> bytes:
    """Stripes across or down the image, and some noise."""
    pixels = np.random.default_rng(seed).integers(0, 40, (SIDE, SIDE, 3))
    stripes = (np.arange(SIDE) // 6 % 2 * 180).reshape(-1, 1)
    pixels += (stripes if kind == "across" else stripes.T)[..., None]
    return encoded(pixels.astype(np.uint8))


@dataclass
class Scene:
    """A Label Studio with six tasks, and a backend."""

    fake: LabelStudioFake
    database: Database
    settings: Settings

    def run(self, *, field: str = "order", limit: int = 200, dry_run: bool = False) -> int:
        return order_project(self.settings, 3, field=field, limit=limit, dry_run=dry_run)

    def ranks(self) -> dict[int, str]:
        return {
            number: task["data"]["order"]
            for number, task in self.fake.tasks.items()
            if "order" in task["data"]
        }

    def predict(self, *tasks: int) -> None:
        """Store predictions that say which part of each image was searched."""
        control, storage = keypoint_control(self.fake.config), PredictionStorage(self.database)
        asked = [wanted_of(self.fake.tasks[task], control) for task in tasks]
        for row in storage.request(
            UID, "v", [one for one in asked if one], retry_failed_before=now()
        ):
            storage.finish(row.id, SEARCHED)

    def learn(self, *tasks: int) -> None:
        """Correct tasks, and do the work of a learning worker."""
        registry = ModelRegistry(self.settings, self.database)
        loaded = ActiveDetectors(self.settings, registry).get(UID)
        extractor = Backbones().of(loaded.version, loaded.detector.classifier).extractor
        StepStorage(self.database, limit=LIMIT).adopt(UID, loaded.version, extractor.key)
        storage = ExampleStorage(self.database, limit=LIMIT)
        for task in tasks:
            data = self.fake.tasks[task]["data"]
            self.fake.annotate(task, "bus")
            about = lesson(task, width=SIDE, height=SIDE, image_url=data["image"])
            teach(self.database, task, about, uid=UID)
            StepStorage(self.database, limit=LIMIT).adopt(UID, loaded.version, extractor.key)
            [(number, _)] = queued(storage)
            example = storage.start_attempt(number)
            assert example is not None
            seen = decode(self.fake.files[data["image"]], max_pixels=10**6)
            described = Described(extractor.extract(seen, None).to_bytes())
            assert storage.finish(example, extractor.key, described)


@pytest.fixture
def scene(database: Database, tmp_path: Path) -> Iterator[Scene]:
    with label_studio_fake() as fake:
        for task in range(1, 9):
            fake.add_task(task, picture("across" if task < 5 else "down", task))
        ProjectStorage(database).save_label_config(UID, fake.config)
        weights = save_small_network(tmp_path / "small.safetensors", input_size=64)
        settings = Settings(
            label_studio_url=fake.url,
            label_studio_api_key=TOKEN,
            database_url=str(database.engine.url),
            model_weights=str(weights),
            data_dir=tmp_path,
        )
        scene = Scene(fake, database, settings)
        scene.predict(*range(1, 8))  # where the eighth has its object, the detector has to find
        yield scene


def test_what_the_corrected_images_do_not_cover_comes_first(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three of four images with stripes across are corrected; four have stripes down."""
    scene.learn(1, 2, 3)
    before = {number: dict(task["data"]) for number, task in scene.fake.tasks.items()}
    assert scene.run() == 0
    ranks = scene.ranks()
    assert sorted(ranks.values()) == [f"00000{place}" for place in range(1, 6)]
    assert ranks.keys() == {4, 5, 6, 7, 8}
    assert min(ranks, key=lambda task: ranks[task]) in {5, 6, 7, 8}
    for number, task in scene.fake.tasks.items():
        assert {n: v for n, v in task["data"].items() if n != "order"} == before[number]
    assert "5 tasks placed, 0 cannot be placed" in capsys.readouterr().out


def test_running_it_again_writes_nothing_and_looks_at_no_image(
    scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.learn(1, 2, 3)
    scene.run()
    ranks = scene.ranks()
    scene.fake.requests.clear()
    assert scene.run() == 0
    assert scene.ranks() == ranks
    assert "5 × right already" in capsys.readouterr().out
    assert not [each for each in scene.fake.requests if each.method == "PATCH"]
    assert not [each for each in scene.fake.requests if each.path.startswith("/data/")]


def test_an_interrupted_run_goes_on_where_it_was(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.learn(1, 2, 3)
    describe, calls = describing.Describer._describe, []

    def interrupted(self: describing.Describer, task: describing.Wanted) -> describing.Descriptor:
        calls.append(task.task_id)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return describe(self, task)

    with monkeypatch.context() as patch:
        patch.setattr(describing.Describer, "_describe", interrupted)
        with pytest.raises(KeyboardInterrupt):
            scene.run()
    scene.fake.requests.clear()
    assert scene.run() == 0
    fetched = {each.path for each in scene.fake.requests if each.path.startswith("/data/")}
    assert len(fetched) == 3  # of five
    assert len(scene.ranks()) == 5


def test_beyond_the_limit_there_is_no_rank_nor_one_of_an_earlier_order(scene: Scene) -> None:
    scene.learn(1, 2, 3)
    scene.run()
    first = {task: rank for task, rank in scene.ranks().items() if rank <= "000002"}
    scene.run(limit=2)
    assert scene.ranks() == first


def test_a_dry_run_prints_the_order_and_writes_nothing(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.learn(1, 2, 3)
    assert scene.run(dry_run=True) == 0
    assert scene.ranks() == {}
    printed = capsys.readouterr().out
    scene.run()
    first = next(task for task, rank in scene.ranks().items() if rank == "000001")
    assert f"  1. task {first}\n" in printed


def test_tasks_that_somebody_has_begun_have_no_place(scene: Scene) -> None:
    scene.learn(1, 2, 3)
    scene.fake.tasks[5]["drafts"] = [{"id": 1, "result": []}]
    assert scene.run() == 0
    assert scene.ranks().keys() == {4, 6, 7, 8}


def test_an_image_that_cannot_be_fetched_is_named_and_harms_no_other(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.learn(1, 2, 3)
    del scene.fake.files["/data/upload/3/image-6.png"]
    assert scene.run() == 1
    assert scene.ranks().keys() == {4, 5, 7, 8}
    out = capsys.readouterr().out
    assert "4 tasks placed, 1 cannot be placed" in out
    assert "404" in out


def test_descriptions_of_deleted_tasks_are_forgotten(scene: Scene) -> None:
    scene.learn(1, 2, 3)
    scene.run()
    del scene.fake.tasks[8]
    scene.run()
    assert DescriptorStorage(scene.database).keep_only(UID, [4, 5, 6, 7]) == 0


def test_before_the_third_correction_there_is_no_order(scene: Scene) -> None:
    with pytest.raises(NothingLearnt, match="correct three images first"):
        scene.run()
    scene.learn(1, 2)
    with pytest.raises(NothingLearnt, match="learn --project 3 --status"):
        scene.run()


def test_with_another_network_the_corrected_images_have_to_be_looked_at_first(
    scene: Scene, tmp_path: Path
) -> None:
    scene.learn(1, 2, 3)
    base = ModelRegistry(scene.settings, scene.database).active(UID).version
    StepStorage(scene.database, limit=LIMIT).adopt(UID, base, "another backbone")
    with pytest.raises(NothingLearnt):
        scene.run()


def test_a_field_in_use_is_refused_before_any_work(scene: Scene) -> None:
    scene.learn(1, 2, 3)
    with pytest.raises(FieldTaken, match="got 'image'"):
        scene.run(field="image")


def test_the_command_says_in_one_line_what_is_missing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("backend.commands.order.load_settings", lambda: scene.settings)
    assert main(["order", "--project", "3"]) == 78
    assert "correct three images first" in capsys.readouterr().err
