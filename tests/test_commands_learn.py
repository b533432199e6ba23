import threading
import time

import pytest
from label_studio_fake import label_studio_fake
from learning_data import LIMIT, extract, learn, lesson, teach
from verdict_data import UID, annotation, detection, event, moved, predict, relabelled

from backend.commands import learn as command
from backend.commands.learn import learn_project
from backend.database.connection import Database
from backend.labelstudio.project_settings import ProjectSettings
from backend.labelstudio.projects import ProjectStorage, UnknownProject
from backend.learning.cost_storage import CostStorage
from backend.learning.storage import ExampleStorage
from backend.settings import Settings
from backend.training.registry import ModelRegistry
from backend.verdicts.recording import Recorder


@pytest.fixture
def settings(database: Database, unread_weights) -> Settings:
    return Settings(
        database_url=str(database.engine.url), model_weights=str(unread_weights), sync_every=0
    )


def test_the_status_says_what_is_learnt_and_why_the_rest_is_not(
    database: Database, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    teach(database, 1, lesson(1), uid=UID)
    extract(database)
    teach(database, 2, lesson(2), uid=UID)
    ExampleStorage(database, limit=LIMIT).fail(2, "got status 404")
    assert learn_project(settings, 3, only_status=True) == 1
    out = capsys.readouterr().out
    assert "1 corrected images learnt, 0 waiting, 1 failed; suggestions know 0 of them" in out
    assert "1 × got status 404" in out


def test_the_status_names_the_costs_and_the_tolerance_in_use(
    database: Database, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    learn(database, 1, uid=UID, base=ModelRegistry(settings, database).active(UID).version)
    ProjectStorage(database).save_settings(UID, ProjectSettings(tolerance=0.1))
    assert CostStorage(database).claim(UID, 0, 60)
    CostStorage(database).save(UID, {"place": 2.5, "drag": 1.25})
    learn(database, 2, 3, uid=UID, base=ModelRegistry(settings, database).active(UID).version)
    assert learn_project(settings, 3, only_status=True) == 0
    out = capsys.readouterr().out
    assert "shown by this team's own costs: drag 1.25 s, place 2.5 s" in out
    assert "scored by this project's own tolerance: 0.1" in out


def test_everything_is_learnt_anew_from_the_log(
    database: Database,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "POLL_SECONDS", 0.01)
    regions = predict(database, 1, detection((10, 10), (60, 60)))
    event(database, annotation(1, [moved(relabelled(regions[0], "nose"), 5)]))
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            extract(database)
            time.sleep(0.01)

    worker = threading.Thread(target=work)
    with label_studio_fake() as fake:
        # Without a token it refuses.
        reachable = settings.model_copy(
            update={"label_studio_url": fake.url, "label_studio_api_key": None}
        )
        worker.start()
        try:
            Recorder(reachable, database).drain()
            assert learn_project(reachable, 3) == 0
        finally:
            stop.set()
            worker.join()
    out = capsys.readouterr().out
    assert "annotations cannot be pulled, so those known here are used" in out
    assert "1 corrected images learnt, 0 waiting, 0 failed" in out


def test_an_unknown_project_is_named(database: Database, settings: Settings) -> None:
    with pytest.raises(UnknownProject, match="none is"):
        learn_project(settings, 3)
