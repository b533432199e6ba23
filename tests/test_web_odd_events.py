"""Odd webhooks over real HTTP, on both databases: none of them stops those behind it."""

import copy
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rq import Queue
from verdict_data import PROJECT, annotation, detection, moved, predict
from werkzeug.serving import make_server

from backend.database.connection import Database
from backend.settings import Settings
from backend.verdicts import comparing
from backend.verdicts.lesson_storage import LessonStorage
from backend.verdicts.pull_storage import PullStorage
from backend.verdicts.recording import Recorder
from backend.verdicts.set_aside_storage import SetAsideStorage
from backend.verdicts.storage import EventStorage, VerdictStorage
from backend.web.app import create_app

DIGITS = int("9" * 400)
PAGES = ("/report", "/agreement", "/export?format=jsonl", "/export?format=csv", "/")

ODD = st.one_of(
    st.sampled_from(
        [
            DIGITS,
            -DIGITS,
            2**63,
            1e308,
            -1e308,
            5e-324,
            True,
            None,
            "",
            "\0",
            "a\0b",
            "\ud800",
            "\udfff x",
            [],
            {},
            [[]],
            [{}],
            {"id": []},
            [DIGITS],
            "9" * 400,
            "x" * 5000,
            "NaN",
            "1e999",
            "0001-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59-23:59",
        ]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=5,
    ),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in JSON, as the keys that lead there."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    for key, each in inner:
        yield from places(each, (*path, key))


def with_value(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of JSON with another value in one place."""
    changed = copy.deepcopy(body)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


@dataclass
class Scene:
    """A web process on a real socket, with a prediction that annotators have seen."""

    url: str
    database: Database
    regions: list[dict[str, Any]]
    number: int = 100
    session: requests.Session = field(default_factory=requests.Session)

    def body(self) -> dict[str, Any]:
        """A usual event about a new annotation."""
        self.number += 1
        rectangle = {
            "id": "box",
            "type": "rectanglelabels",
            "to_name": "image",
            "from_name": "box",
            "value": {"x": 1, "y": 1, "width": 50, "height": 50, "rectanglelabels": ["car"]},
        }
        choice = {
            "id": "choice",
            "type": "choices",
            "to_name": "image",
            "from_name": "class",
            "value": {"choices": ["car"]},
        }
        return {
            "action": "ANNOTATION_CREATED",
            "annotation": {
                **annotation(1, [moved(self.regions[0], 20), rectangle, choice]),
                "id": self.number,
                "lead_time": 12.5,
            },
            "project": dict(PROJECT),
        }

    def send(self, body: Any) -> int:
        answer = self.session.post(f"{self.url}/webhook", data=json.dumps(body), timeout=60)
        return answer.status_code

    def recorded(self) -> set[int]:
        """The annotations that are in the log."""
        uid = f"3.{int(PROJECT_MADE)}"
        return set(PullStorage(self.database).known_annotations(uid))

    def statuses(self) -> dict[str, int]:
        return {
            page: self.session.get(f"{self.url}{page}", timeout=120).status_code for page in PAGES
        }

    def learn(self) -> None:
        LessonStorage(self.database, limit=20).pass_on()


def project_made() -> float:
    from verdict_data import MADE

    return MADE.timestamp()


PROJECT_MADE = project_made()


@pytest.fixture
def scene(any_database: Database, queue: Queue, unread_weights: Any) -> Iterator[Scene]:
    app = create_app(Settings(model_weights=str(unread_weights)), any_database, queue)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    regions = predict(any_database, 1, detection((10, 10), (50, 50)))
    yield Scene(f"http://127.0.0.1:{server.port}", any_database, regions)
    server.shutdown()
    thread.join()
    server.server_close()


# Each of these stopped the verdict log for good.
STOPPED = [
    (("annotation", "lead_time"), DIGITS),
    (("annotation", "result", 0, "id"), []),
    (("annotation", "result", 0, "id"), {}),
    (("annotation", "result", 0, "type"), ["keypointlabels"]),
    (("annotation", "result", 0, "to_name"), {"image": 1}),
    (("annotation", "result", 0, "value", "x"), DIGITS),
    (("annotation", "result", 0, "value", "keypointlabels"), ["\ud800"]),
    (("annotation", "result", 0, "value", "keypointlabels"), ["\0"]),
    (("annotation", "result", 1, "value", "width"), DIGITS),
    (("annotation", "result", 2, "value", "choices"), ["\ud800"]),
    (("annotation", "result", 0, "score"), DIGITS),
    (("annotation", "completed_by"), DIGITS),
    (("annotation", "created_at"), "9999-12-31T23:59:59-23:59"),
    (("project", "created_at"), "0001-01-01T00:00:00+23:59"),
]


def test_an_odd_event_stops_none_of_those_behind_it(scene: Scene) -> None:
    for path, value in STOPPED:
        assert scene.send(with_value(scene.body(), path, value)) == 200
    good = scene.body()
    assert scene.send(good) == 200
    assert scene.statuses() == dict.fromkeys(PAGES, 200)
    assert scene.number in scene.recorded()
    assert EventStorage(scene.database).unhandled() == []
    scene.learn()


@settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_whatever_stands_anywhere_in_an_event_the_log_goes_on(
    scene: Scene, data: st.DataObject
) -> None:
    for _ in range(12):
        body = scene.body()
        for _ in range(data.draw(st.integers(1, 2))):
            path = data.draw(st.sampled_from(list(places(body))))
            body = with_value(body, path, data.draw(ODD))
        assert scene.send(body) in (200, 400)
    assert scene.send(scene.body()) == 200
    assert scene.statuses() == dict.fromkeys(PAGES, 200)
    assert scene.number in scene.recorded()
    assert EventStorage(scene.database).unhandled() == []
    scene.learn()


def test_an_event_that_cannot_be_handled_is_listed_and_tried_again_by_newer_code(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault is made, as every known one is mended."""
    odd, good = scene.body(), scene.body()
    judge = comparing.judge

    def broken(shown: Any, result: Any, **more: Any) -> Any:
        if len(result) == 1:
            raise OverflowError("integer too large")
        return judge(shown, result, **more)

    odd["annotation"]["result"] = odd["annotation"]["result"][:1]
    scene.send(odd)
    scene.send(good)
    aside = SetAsideStorage(scene.database)
    with monkeypatch.context() as patches:
        patches.setattr(comparing, "judge", broken)
        assert Recorder(Settings(), scene.database).drain() == 2
        assert Recorder(Settings(), scene.database).drain() == 0
    assert scene.recorded() == {good["annotation"]["id"]}
    [event] = aside.events()
    assert (event.action, event.project_id) == ("ANNOTATION_CREATED", 3)
    assert event.reason == "OverflowError: integer too large"
    assert Recorder(Settings(), scene.database).drain() == 0, "the same code would fail again"
    for module in ("storage", "set_aside_storage"):
        monkeypatch.setattr(f"backend.verdicts.{module}.program_version", lambda: "newer")
    assert Recorder(Settings(), scene.database).drain() == 1
    assert scene.recorded() == {odd["annotation"]["id"], good["annotation"]["id"]}
    assert aside.count() == 0


def test_an_event_that_the_database_refuses_is_set_aside_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = VerdictStorage._add_state

    def refusing(self: VerdictStorage, connection: Any, state: Any, *more: Any) -> bool:
        if state.lead_time == 99.0:
            raise ValueError("a value that this database cannot store")
        return add(self, connection, state, *more)

    monkeypatch.setattr(VerdictStorage, "_add_state", refusing)
    numbers = []
    for lead_time in (1.0, 99.0, 3.0):
        body = with_value(scene.body(), ("annotation", "lead_time"), lead_time)
        numbers.append(body["annotation"]["id"])
        scene.send(body)
    Recorder(Settings(), scene.database).drain()
    assert scene.recorded() == {numbers[0], numbers[2]}
    assert SetAsideStorage(scene.database).count() == 1
