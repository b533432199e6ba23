"""What `train` says about a training; trainings from end to end are in the trainer's tests."""

from dataclasses import replace
from pathlib import Path

import pytest
from label_studio_fake import PROJECT, TOKEN, UID, label_studio_fake
from redis import Redis
from training_scene import CONFIG

from backend.commands import train
from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.training.records import Outcome, TrainingOptions
from backend.training.storage import TrainingStorage


@pytest.mark.parametrize("redis_answers", [True, False])
def test_an_unfinished_training_is_watched_and_the_lack_of_a_trainer_is_said(
    redis_answers: bool,
    database: Database,
    tmp_path: Path,
    redis_connection: Redis,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ProjectStorage(database).save_label_config(UID, CONFIG)
    trainings = TrainingStorage(database)
    unfinished, _ = trainings.request(UID, TrainingOptions(seed=1))
    # The trainer does its work in the first pause of the command.
    monkeypatch.setattr(
        train.time, "sleep", lambda _: trainings.fail(unfinished.id, "too few images")
    )
    with label_studio_fake() as fake:
        fake.config = CONFIG
        settings = Settings(
            label_studio_url=fake.url,
            label_studio_api_key=TOKEN,
            data_dir=tmp_path,
            redis_url=redis_url if redis_answers else "redis://127.0.0.1:1/0",
        )
        assert train.train_project(settings, PROJECT, TrainingOptions(seed=2)) == 1
    said = capsys.readouterr().err
    assert "unfinished training with other options" in said
    assert "No trainer is running" in said
    assert f"Training {unfinished.id} failed: too few images" in said


def test_images_that_were_left_out_and_doubts_are_named_beside_the_result(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    ProjectStorage(database).save_label_config(UID, CONFIG)
    training, _ = TrainingStorage(database).request(UID, TrainingOptions())
    outcome = Outcome("class", {"disc": 8, "bar": 7}, [("a.png", "gone")], ["few images"], "Used")
    assert train._print_result(replace(training, status="done", outcome=outcome)) == 0
    said = capsys.readouterr()
    assert said.out == "trained on 8 disc, 7 bar, the choices of 'class'\nUsed\n"
    assert said.err == "left out a.png: gone\nwarning: few images\n"
