"""What waits, as people who watch the work see it."""

from prediction_rows import LONG_AGO, UID, VERSION, ask, wanted

from backend.database.connection import Database
from backend.suggestions.status_storage import WorkStatus
from backend.suggestions.storage import PredictionStorage


def test_what_annotators_opened_is_counted_apart(any_database: Database) -> None:
    ask(any_database, 1, 2, 3)
    rows = PredictionStorage(any_database)
    [opened] = rows.request(UID, VERSION, [wanted(2)], retry_failed_before=LONG_AGO, opened=True)
    found = {each.name: each for each in WorkStatus(any_database).queues()}
    assert (found["opened"].waiting, found["predictions"].waiting) == (1, 2)
    assert found["opened"].oldest == opened.opened_at
    for row in rows.of_task(1) + rows.of_task(3):
        rows.fail(row.id, "not an image")
    found = {each.name: each for each in WorkStatus(any_database).queues()}
    assert (found["opened"].waiting, found["predictions"].waiting) == (1, 0)
    assert found["predictions"].oldest is None
