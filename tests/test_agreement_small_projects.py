"""Two hundred random small projects: each has figures and a page, in both databases."""

import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from random_tables import random_project
from recorded_tables import record_tables
from rq import Queue
from rq.serializers import JSONSerializer

from backend.database.connection import Database
from backend.settings import Settings
from backend.web.app import create_app

PROJECTS = range(1, 201)
PART = 20  # projects a test


@pytest.fixture(scope="module")
def queue(redis_url) -> Iterator[Queue]:
    with redis.Redis.from_url(redis_url) as connection:
        yield Queue("predictions", connection=connection, serializer=JSONSerializer)


@pytest.fixture(scope="module")
def sqlite_client(queue, migrated_sqlite, tmp_path_factory) -> Iterator[FlaskClient]:
    path = tmp_path_factory.mktemp("projects") / "backend.sqlite3"
    path.write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{path}")
    yield client_of(database, queue)
    database.close()


@pytest.fixture(scope="module")
def found(sqlite_client) -> dict[int, dict[str, Any]]:
    """The figures of each project."""
    return {number: figures(sqlite_client, number) for number in PROJECTS}


@pytest.fixture
def postgres_client(queue, postgres_database) -> FlaskClient:
    return client_of(postgres_database, queue)


def client_of(database: Database, queue: Queue) -> FlaskClient:
    """Record all projects, and return a client of the web application."""
    record_tables(
        database, {f"{number}.1": random_project(random.Random(number)) for number in PROJECTS}
    )
    return create_app(Settings(), database, queue).test_client()


def figures(client: FlaskClient, number: int) -> dict[str, Any]:
    answer = client.get(f"/agreement?project={number}")
    assert answer.status_code == 200, number
    return answer.json | {"made_at": None}


def estimates(value: object) -> Iterator[dict[str, Any]]:
    """Every estimate in a report's JSON."""
    if isinstance(value, dict) and {"low", "reason"} <= value.keys():
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from estimates(each)


def test_projects_have_few_tasks_or_none_and_all_kinds_of_verdicts(found):
    overall = [each["overall"] for each in found.values()]
    tasks = [each["tasks"] for each in overall]
    assert min(tasks) == 0
    assert 20 <= max(tasks) <= 25
    alike = [each for each in overall if each["acceptance"]["untouched"]["value"] in (0, 1)]
    assert len(alike) > 20
    for verdict in ("accepted", "moved", "relabelled", "deleted", "added"):
        assert sum(each["points"][verdict] > 0 for each in overall) > 50


def test_every_interval_of_a_small_project_holds_its_figure_or_gives_a_reason(found):
    """Shares of all and of none, labels that occur once, and hardly any images."""
    for number, of_project in found.items():
        for estimate in estimates(of_project):
            if estimate["low"] is None:
                assert estimate["high"] is None and estimate["reason"], number
            else:
                assert estimate["low"] <= estimate["value"] <= estimate["high"], number
                assert estimate["reason"] is None, number


# Numbers that stand without a method of their own, and why.
PLAIN = {
    "method": "parameters",
    "half_width": "a parameter",
    "difference": "a parameter",
    "power": "a parameter",
    "break_even": "follows from `costs`, which have methods",
    "seconds": "the cost in use: `measured`, or the default",
    "score": "mean of a bin of scores",
    "low_score": "end of a bin",
    "high_score": "end of a bin",
    "alpha": "the radius of a PCK",
    "others": "what the share of one annotator is compared with",
    "lowest": "an annotator's figure, which is listed",
    "highest": "an annotator's figure, which is listed",
    "worst_tasks": "of single images",
}


def numbers_without_method(value: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Paths of fractional numbers that stand in no object with a method and are not explained."""
    if isinstance(value, dict) and not value.get("method"):
        for name, each in value.items():
            yield from numbers_without_method(each, (*path, name))
    elif isinstance(value, list):
        for each in value:
            yield from numbers_without_method(each, path)
    elif isinstance(value, float) and not PLAIN.keys() & set(path):
        yield ".".join(path)


def objects_with(name: str, value: object) -> Iterator[dict[str, Any]]:
    """Every object in a report's JSON that has this name."""
    if isinstance(value, dict):
        if name in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from objects_with(name, each)


def test_every_figure_says_by_which_method_and_from_how_many_it_was_made(found):
    methods = set()
    for number, of_project in found.items():
        for estimate in objects_with("value", of_project):
            assert estimate["method"], number
            assert estimate["n"] >= 0 and estimate["images"] >= 0, number
            assert estimate["value"] is None or estimate["n"] >= 1, number
            assert {"low", "high", "deff", "icc", "reason", "left_out"} <= estimate.keys()
            methods.add(estimate["method"])
        for test in objects_with("p", of_project):
            pairs = of_project["differences"]
            of_a_pair = any(test in each["pairs"] for each in pairs.values())
            assert of_a_pair or (test["method"] and test["images"] >= 0), number
        assert set(numbers_without_method(of_project)) == set(), number
    assert len(methods) >= 8


def test_shares_with_an_interval_say_how_much_alike_the_points_of_an_image_are(found):
    shares = [
        estimate
        for of_project in found.values()
        for group in of_project["by"]["annotator"]
        for estimate in (group["acceptance"]["untouched"], group["precision"], group["recall"])
        if estimate["low"] is not None and 0 < estimate["value"] < 1
    ]
    assert len(shares) > 100
    assert all(each["deff"] is not None for each in shares)
    assert all(each["icc"] is not None for each in shares if each["n"] > each["images"])


@pytest.mark.parametrize("first", PROJECTS[::PART])
def test_every_small_project_has_a_page(sqlite_client, first):
    for number in range(first, first + PART):
        page(sqlite_client, number)


def page(client: FlaskClient, number: int) -> str:
    answer = client.get(f"/report?project={number}")
    assert answer.status_code == 200, number
    assert answer.text.rstrip().endswith("</html>")
    shown = re.sub(r"(?s)<(style|script).*?</\1>", "", answer.text)
    assert not re.search(r"\b(nan|inf|None)\b", shown), number
    return answer.text


def test_figures_and_pages_are_the_same_in_postgresql(found, sqlite_client, postgres_client):
    """A page depends on the database through its figures, and the pictures of its tasks."""
    for number in PROJECTS:
        assert figures(postgres_client, number) == found[number]
    for number in PROJECTS[::PART]:
        same = [
            re.sub("Computed at [^ <]*", "", re.sub('nonce="[^"]*"', "", page(client, number)))
            for client in (sqlite_client, postgres_client)
        ]
        assert same[0] == same[1]
