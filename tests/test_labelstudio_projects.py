import pytest

from backend.labelstudio.projects import project_id_of, required_uid_of, uid_of

PROJECT = {"id": 3, "created_at": "2026-11-22T12:00:00.700000Z"}
UID = "3.1795348800"


def test_a_uid_and_a_project_id_are_each_others_inverse():
    assert uid_of(PROJECT) == required_uid_of(PROJECT) == UID
    assert project_id_of(UID) == 3


@pytest.mark.parametrize(
    "project",
    [
        None,
        3,
        {},
        {"id": 3},
        {"id": "3", "created_at": PROJECT["created_at"]},
        {**PROJECT, "created_at": "then"},
    ],
)
def test_a_project_without_id_or_time_of_creation_has_no_uid(project: object):
    assert uid_of(project) is None
    with pytest.raises(ValueError, match="without id or created_at"):
        required_uid_of(project)


@pytest.mark.parametrize("uid", ["", "vehicles", ".1795348800", "-3.1", "3a.1", "３.1"])
def test_a_uid_of_no_number_has_no_project_id(uid: str):
    assert project_id_of(uid) is None
