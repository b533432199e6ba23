from datetime import datetime

import pytest
from label_studio_fake import CONFIG
from prediction_rows import UID
from sqlalchemy import select

from backend.database.connection import Database
from backend.labelstudio import schemas
from backend.labelstudio.projects import (
    LabelStudios,
    NotDeliverable,
    Project,
    ProjectStorage,
    UnknownProject,
    project_id_of,
    projects,
)
from backend.labelstudio.shapes import ShapeError, read, read_or_none
from backend.settings import Settings


def test_a_project_keeps_host_and_token_together(any_database: Database) -> None:
    ProjectStorage(any_database).save_connection(
        UID, hostname="http://a", access_token="t", label_config="<V/>"
    )
    ProjectStorage(any_database).save_connection(
        UID, hostname="http://b", access_token=None, label_config="<V/>"
    )
    found = ProjectStorage(any_database).project(UID)
    assert found is not None
    assert (found.hostname, found.access_token) == ("http://b", None)


def test_a_project_is_found_by_its_number_and_of_several_the_newest(any_database: Database) -> None:
    """Label Studio on SQLite gives the number of a deleted project to the next one."""
    storage = ProjectStorage(any_database)
    for uid in ("3.99", "3.1795347725", "3.1795347724", "33.1795347729", "text"):
        storage.save_label_config(uid, "<V/>")
    assert storage.find_uid(3) == "3.1795347725"
    assert storage.find_uid(33) == "33.1795347729"
    with pytest.raises(UnknownProject, match=r"got 4: there are 3, 33$"):
        storage.find_uid(4)


def test_without_a_project_none_is_found(any_database: Database) -> None:
    with pytest.raises(UnknownProject, match="got 4: none is"):
        ProjectStorage(any_database).find_uid(4)


def test_a_project_that_label_studio_does_not_number_is_found_by_its_name(
    any_database: Database,
) -> None:
    storage = ProjectStorage(any_database)
    for uid in (UID, "cvat:localhost:8080/task/7"):
        storage.save_label_config(uid, "<V/>")
    assert storage.resolve(UID.partition(".")[0]) == storage.resolve(UID) == UID
    assert storage.resolve("cvat:localhost:8080/task/7") == "cvat:localhost:8080/task/7"
    with pytest.raises(UnknownProject, match=r"got 'cvat:elsewhere': there is .*task/7"):
        storage.resolve("cvat:elsewhere")


def test_a_new_label_config_leaves_host_and_token(any_database: Database) -> None:
    ProjectStorage(any_database).save_connection(
        UID, hostname="http://a", access_token="t", label_config="<V/>"
    )
    ProjectStorage(any_database).save_label_config(UID, "<View/>")
    found = ProjectStorage(any_database).project(UID)
    assert found is not None
    assert (found.hostname, found.access_token, found.label_config) == ("http://a", "t", "<View/>")


def test_what_is_known_of_a_project_is_not_written_again(any_database: Database) -> None:
    def changed() -> datetime:
        with any_database.reading() as connection:
            moment: datetime = connection.execute(select(projects.c.changed_at)).scalar_one()
            return moment

    for _ in range(2):
        ProjectStorage(any_database).save_connection(
            UID, hostname="http://a", access_token="t", label_config="<V/>"
        )
        first = changed()
        ProjectStorage(any_database).save_label_config(UID, "<V/>")
        assert changed() == first


# The Label Studio of a project


PASSWORD = {"basic_auth_user": "anna", "basic_auth_pass": "secret"}


def project(hostname: str | None, token: str | None) -> Project:
    return Project(UID, hostname, token, CONFIG)


def test_the_label_studio_of_the_settings_comes_first() -> None:
    studios = LabelStudios(Settings(label_studio_url="http://own", label_studio_api_key="key"))
    found = studios.of(project("http://theirs", "theirs"))
    assert found.url == "http://own"
    assert found.authorization() == {"Authorization": "Token key"}
    assert found.location("http://theirs/data/a.png").url == "http://own/data/a.png"
    assert studios.of(project("http://theirs", "theirs")) is found


def test_our_own_key_never_goes_where_a_caller_says_that_label_studio_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    studios = LabelStudios(Settings(label_studio_api_key="key", **PASSWORD))
    assert "LABEL_STUDIO_API_KEY has no effect without LABEL_STUDIO_URL" in caplog.text
    found = studios.of(project("http://theirs", "theirs"))
    assert found.authorization() == {"Authorization": "Token theirs"}
    assert studios.of(project("http://theirs", None)).authorization() == {}


def test_without_any_address_the_error_says_what_to_set() -> None:
    for studios in (LabelStudios(Settings(**PASSWORD)), LabelStudios(Settings())):
        with pytest.raises(NotDeliverable, match="LABEL_STUDIO_URL"):
            studios.of(project(None, None))
    with pytest.raises(NotDeliverable):
        studios.for_image(project(None, None), "/data/upload/3/a.png")
    elsewhere = studios.for_image(project(None, None), "https://example.com/a.png")
    assert not elsewhere.location("https://example.com/a.png").own


# The uid of a project

PROJECT = {"id": 3, "created_at": "2026-11-22T12:00:00.700000Z", "label_config": "<View/>"}
PROJECT_UID = "3.1795348800"


def test_a_uid_and_a_project_id_are_each_others_inverse():
    assert read(schemas.Project, PROJECT).uid == PROJECT_UID
    assert read(schemas.EventProject, PROJECT).uid == PROJECT_UID
    assert project_id_of(PROJECT_UID) == 3


@pytest.mark.parametrize(
    "project",
    [
        None,
        3,
        {},
        {"id": 3, "label_config": "<View/>"},
        {**PROJECT, "id": "3"},
        {**PROJECT, "created_at": "then"},
    ],
)
def test_a_project_without_id_or_time_of_creation_has_no_uid(project: object):
    found = read_or_none(schemas.EventProject, project)
    assert found is None or found.uid is None
    with pytest.raises(ShapeError, match=r"expected .*(a JSON object|'id'|'created_at')"):
        read(schemas.Project, project)


@pytest.mark.parametrize("uid", ["", "vehicles", ".1795348800", "-3.1", "3a.1", "３.1"])
def test_a_uid_of_no_number_has_no_project_id(uid: str):
    assert project_id_of(uid) is None
