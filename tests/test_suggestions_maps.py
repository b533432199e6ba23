import io
from dataclasses import replace

import numpy as np
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from migrating import downgrade
from PIL import Image
from verdict_data import VERSION, detection, predict

from backend.database.connection import Database
from backend.database.schema import metadata
from backend.suggestions.maps import MAPS_PER_VERSION, SIDE, MapStorage, keep_first_maps
from backend.suggestions.tables import kept_maps
from model.keypoint import Detection

CAPTIONS = {"coarse": "class activation", "fine": "corners"}


def with_maps(found: Detection, captions: dict[str, str]) -> Detection:
    return replace(found, maps={"coarse": np.eye(9), "fine": np.eye(9)}, captions=captions)


def test_the_maps_of_only_a_few_predictions_are_kept(any_database: Database):
    storage = MapStorage(any_database)
    for task in range(1, MAPS_PER_VERSION + 4):
        found = detection((10, 10))
        predict(any_database, task, found)
        keep_first_maps(storage, task, VERSION, with_maps(found, CAPTIONS))
    kept = storage.maps_of(list(range(1, MAPS_PER_VERSION + 4)))
    assert len(kept) == MAPS_PER_VERSION
    assert Image.open(io.BytesIO(kept[1].coarse.png)).size == (SIDE, SIDE)
    assert (kept[1].coarse.caption, kept[1].fine.caption) == ("class activation", "corners")


def test_maps_without_captions_are_kept_without(any_database: Database):
    found = detection((10, 10))
    predict(any_database, 1, found)
    keep_first_maps(MapStorage(any_database), 1, VERSION, with_maps(found, {}))
    with any_database.reading() as connection:
        [row] = connection.execute(kept_maps.select())
    assert (row.coarse_caption, row.fine_caption) == (None, None)


def test_a_detection_without_both_maps_keeps_none(any_database: Database):
    found = detection((10, 10))
    predict(any_database, 1, found)
    storage = MapStorage(any_database)
    keep_first_maps(storage, 1, VERSION, replace(found, maps={"coarse": np.eye(9)}))
    assert storage.maps_of([1]) == {}


def test_the_migrations_lead_to_the_table_that_the_code_uses(any_database: Database):
    with any_database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, metadata)
    assert [each for each in found if "kept_maps" in str(each)] == []


def test_maps_kept_before_there_were_captions_stay(any_database: Database):
    """As a database of the version before is brought up to date."""
    found = detection((10, 10))
    predict(any_database, 1, found)
    keep_first_maps(MapStorage(any_database), 1, VERSION, with_maps(found, CAPTIONS))
    before = MapStorage(any_database).maps_of([1])[1].coarse.png
    downgrade(any_database, "0003")
    any_database.migrate()
    kept = MapStorage(any_database).maps_of([1])[1]
    assert (kept.coarse.png, kept.coarse.caption, kept.fine.caption) == (before, None, None)
