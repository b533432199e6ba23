"""A prediction is made by another version than it was requested of."""

from dataclasses import replace
from functools import partial

from prediction_rows import LONG_AGO, UID, VERSION, wanted

from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.version_storage import change_version


def test_a_queued_prediction_changes_its_version_and_no_other_does(any_database: Database) -> None:
    ProjectStorage(any_database).save_label_config(UID, "<View/>")
    rows = PredictionStorage(any_database)
    request = partial(rows.request, UID, retry_failed_before=LONG_AGO)
    first, second, failed = request(VERSION, [wanted(task) for task in (1, 2, 3)], opened=True)
    [twin] = request("newer", [wanted(2)], to_deliver=False)
    rows.fail(failed.id, "not an image")
    changed = change_version(any_database, first, "newer")
    assert changed == replace(first, model_version="newer")
    assert change_version(any_database, second, "newer") is None
    assert change_version(any_database, failed, "newer") is None
    assert [row.model_version for row in rows.of_task(3)] == [VERSION]
    [kept] = rows.of_task(2)
    assert (kept.id, kept.model_version, kept.to_deliver) == (twin.id, "newer", True)
    assert kept.opened_at is not None
    assert rows.finished([first.id, second.id, failed.id, twin.id]) == {second.id, failed.id}
