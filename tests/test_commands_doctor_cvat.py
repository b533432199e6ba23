from collections.abc import Iterator
from typing import Any

import pytest
from cvat_fake import TOKEN, CvatFake, cvat_fake
from cvat_scene import pictures

from backend.commands.doctor_cvat import check_cvat
from backend.settings import Settings


@pytest.fixture
def birds() -> Iterator[CvatFake]:
    with cvat_fake(pictures(1)) as fake:
        yield fake


def check(**values: Any) -> list[tuple[str, str]]:
    return [(each.kind, each.text) for each in check_cvat(Settings(**values))]


def test_without_cvat_nothing_is_said() -> None:
    assert check() == []


def test_a_cvat_that_answers_and_accepts_the_token_is_named(birds: CvatFake) -> None:
    assert check(cvat_url=birds.url, cvat_access_token=TOKEN) == [
        ("ok", f"{birds.url}, version 2.80.0, as bert")
    ]


def test_another_version_is_noted(birds: CvatFake) -> None:
    birds.version = "2.8.0"
    [_, (kind, text)] = check(cvat_url=birds.url, cvat_access_token=TOKEN)
    assert (kind, text) == ("note", "this was written for version 2.80, and tried with no other")


def test_each_thing_that_is_wrong_says_what_to_set(birds: CvatFake) -> None:
    for values, expected in [
        ({"cvat_url": birds.url}, "CVAT_URL or CVAT_ACCESS_TOKEN is not set"),
        ({"cvat_url": birds.url, "cvat_access_token": "x"}, "set CVAT_ACCESS_TOKEN to a personal"),
        ({"cvat_url": "http://127.0.0.1:9", "cvat_access_token": "x"}, "or correct CVAT_URL"),
    ]:
        [(kind, text)] = check(**values)
        assert kind == "problem"
        assert expected in text
