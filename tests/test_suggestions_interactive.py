"""What an annotator who places a point or a rectangle gets; the test takes the worker's part."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from conftest import wait_until
from label_studio_fake import UID
from learning_data import learn
from redis import Redis
from rq import Queue

from backend.database.connection import Database, now
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import Project, ProjectStorage
from backend.learning.cost_storage import CostStorage
from backend.settings import Settings
from backend.suggestions.answers import PredictService
from backend.suggestions.holdout import HoldoutStorage
from backend.suggestions.interactive_queue import make_interactive_queue
from backend.suggestions.interactive_records import InteractiveAnswer
from backend.suggestions.interactive_storage import InteractiveStorage
from backend.suggestions.queue import make_queue
from model.keypoint import Box, Detection, Keypoint, NamedKeypoint

VERSION = "small-0123456789"
LABELS = ("beak", "eye", "tail", "foot")
CONFIG = (
    '<View><Image name="image" value="$image"/><KeyPointLabels name="kp" toName="image" '
    'smart="true" maxUsages="2">'
    + "".join(f'<Label value="{label}"/>' for label in LABELS)
    + "</KeyPointLabels></View>"
)
SURE = {"beak": (20, 40), "eye": (30, 30), "tail": (80, 60), "foot": (50, 80)}


def point(region_id: str, label: str, x: float, y: float, **more: Any) -> dict[str, Any]:
    """A point at a place in percent, on an image of 100 × 100 px."""
    return {
        "id": region_id,
        "type": "keypointlabels",
        "to_name": "image",
        "from_name": "kp",
        "origin": "manual",
        "original_width": 100,
        "original_height": 100,
        "value": {"x": x, "y": y, "width": 1, "keypointlabels": [label]},
        **more,
    }


def box(region_id: str, x: float, y: float, width: float, height: float) -> dict[str, Any]:
    value = {"x": x, "y": y, "width": width, "height": height}
    return {**point(region_id, "", 0, 0), "type": "rectangle", "from_name": "box", "value": value}


def learnt(**places: tuple[float, float]) -> Detection:
    named = tuple(NamedKeypoint(x, y, 0.9, label, 0.95) for label, (x, y) in places.items())
    return Detection("", 0.0, (), 100, 100, Box(0, 0, 100, 100), named)


class Scene:
    """A backend without workers."""

    def __init__(self, database: Database, queue: Queue, config: str = CONFIG, **settings: Any):
        self.database, self.queue = database, queue
        settings = {"predict_wait_one": 60, **settings}
        self.service = PredictService(Settings(**settings), database, queue, lambda uid: VERSION)
        self.answers = InteractiveStorage(database)
        ProjectStorage(database).save_label_config(UID, config)
        self.task: dict[str, Any] = {"id": 1, "data": {"image": "/data/upload/3/1.png"}}
        self.asked: InteractiveAnswer | None = None

    @property
    def project(self) -> Project:
        found = ProjectStorage(self.database).project(UID)
        assert found is not None
        return found

    def ask(self, *regions: object) -> dict[str, Any]:
        """What Label Studio gets, once a worker has answered, or not at all."""
        control = keypoint_control(self.project.label_config or "")
        context = {"result": list(regions)}
        found = self.service.answer_interactive(self.project, control, self.task, context)
        return dict(found)

    def place(self, *regions: dict[str, Any], find: Detection) -> dict[str, dict[str, Any]]:
        """Region id → region of an answer for which a worker finds something."""
        jobs = make_interactive_queue(self.queue.connection)
        jobs.empty()
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(self.ask, *regions)
            wait_until(lambda: jobs.count == 1)
            number = int(jobs.get_job_ids()[0].split("-")[1])
            self.asked = self.answers.answer(number)
            self.answers.finish(number, f"{VERSION}+3-1", find)
            found = answer.result(30)
        assert len({each["id"] for each in found["result"]}) == len(found["result"])
        return {each["id"]: each for each in found["result"]}

    def save_draft(self, *regions: dict[str, Any]) -> None:
        saved = {"result": list(regions), "updated_at": now().isoformat()}
        self.task["drafts"] = [saved]


@pytest.fixture
def scene(database: Database, queue: Queue) -> Scene:
    return Scene(database, queue)


def labels(regions: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Label → id of its region."""
    return {each["value"]["keypointlabels"][0]: key for key, each in regions.items()}


PLACED = point("placed", "beak", 20.5, 40.5)


def test_the_placed_point_is_repeated_and_the_others_follow_with_new_ids(scene: Scene) -> None:
    found = scene.place(PLACED, find=learnt(eye=(30, 30), tail=(80, 60)))
    assert found["placed"] == PLACED
    assert labels(found).keys() == {"beak", "eye", "tail"}
    tail = found[labels(found)["tail"]]
    assert (tail["value"]["x"], tail["value"]["y"]) == (80.5, 60.5)
    assert (tail["origin"], tail["score"]) == ("prediction", 0.9)
    assert scene.asked and scene.asked.request.given == {"beak": (20.0, 40.0)}
    again = scene.place(point("other", "beak", 20, 40), find=learnt())
    assert again.keys() & found.keys() <= {"placed", *labels(found).values()}


def test_what_is_on_the_image_is_not_returned_and_confirmed_points_are_told(scene: Scene) -> None:
    moved = point("p1", "eye", 33, 33, origin="prediction-changed")
    kept = point("p2", "tail", 70, 70, origin="prediction")
    scene.save_draft(moved, kept)
    found = scene.place(PLACED, find=learnt(**SURE))
    assert labels(found).keys() == {"beak", "foot"}
    assert scene.asked
    assert scene.asked.request.given.keys() == {"beak", "eye"}


def test_undecided_suggestions_move_with_the_second_point_and_keep_their_ids(scene: Scene) -> None:
    first = scene.place(PLACED, find=learnt(eye=(30, 30), tail=(80, 60)))
    second = scene.place(point("second", "foot", 50, 80), find=learnt(eye=(31, 30), tail=(75, 60)))
    assert second.keys() == {*first, "second"}
    assert second[labels(first)["tail"]]["value"]["x"] == 75.5
    assert scene.asked and scene.asked.request.given.keys() == {"beak", "foot"}


def test_accepted_suggestions_stay_and_deleted_ones_do_not_come_back(scene: Scene) -> None:
    first = scene.place(PLACED, find=learnt(eye=(30, 30), tail=(80, 60)))
    scene.save_draft(PLACED, first[labels(first)["eye"]])
    second = scene.place(point("second", "foot", 50, 80), find=learnt(**SURE))
    assert second.keys() == {"second"}


def test_a_prediction_that_is_shown_keeps_its_regions(scene: Scene) -> None:
    shown = [point("s1", "eye", 30, 30), point("s2", "tail", 80, 60)]
    scene.task["predictions"] = [{"id": 7, "result": shown, "model_version": VERSION}]
    found = scene.place(PLACED, find=learnt(**SURE))
    assert labels(found).keys() == {"beak", "foot"}
    assert not found.keys() & {"s1", "s2"}


def test_a_second_object_gets_a_set_of_its_own(scene: Scene) -> None:
    first = scene.place(PLACED, find=learnt(eye=(10, 10), tail=(20, 20)))
    scene.save_draft(*first.values())
    second = scene.place(point("second", "beak", 90, 90), find=learnt(eye=(80, 80), tail=(85, 85)))
    assert labels(second).keys() == {"beak", "eye", "tail"}
    assert scene.asked and scene.asked.request.given == {"beak": (89.5, 89.5)}


def test_no_more_points_than_the_editor_allows_follow(scene: Scene) -> None:
    full = [point(f"t{number}", "tail", number, 5) for number in range(2)]
    scene.save_draft(*full, point("far", "beak", 5, 5))
    found = scene.place(point("second", "beak", 90, 90), find=learnt(eye=(80, 80), tail=(85, 85)))
    assert labels(found).keys() == {"beak", "eye"}


def test_a_placed_rectangle_brings_its_points_and_knows_those_inside(scene: Scene) -> None:
    scene.save_draft(point("in", "eye", 30, 30), point("out", "beak", 90, 90))
    found = scene.place(box("box", 10, 10, 50, 80), find=learnt(**SURE))
    assert scene.asked
    assert scene.asked.request.box == Box(10, 10, 50, 80)
    assert (scene.asked.request.given, scene.asked.request.anchor) == ({"eye": (29.5, 29.5)}, None)
    named = [each for each in found.values() if each["type"] == "keypointlabels"]
    assert {each["value"]["keypointlabels"][0] for each in named} == {"beak", "tail", "foot"}
    assert found["box"]["type"] == "rectangle"


def test_the_rectangle_around_the_object_is_the_parent_of_its_points(scene: Scene) -> None:
    """What was just placed is repeated with it; a parent that the annotator has set stays."""
    scene.save_draft(box("drawn", 10, 10, 50, 80), box("other", 70, 10, 20, 80))
    placed = [PLACED, point("outside", "foot", 95, 95), point("own", "eye", 30, 30, parentID="x")]
    found = scene.place(*placed[1:], PLACED, find=learnt(tail=(40, 40)))
    assert {key: each.get("parentID") for key, each in found.items()} == {
        "placed": "drawn",
        "outside": None,
        "own": "x",
        labels(found)["tail"]: "drawn",
    }


def test_a_placed_rectangle_is_the_parent_of_what_follows_and_lies_below_it(scene: Scene) -> None:
    found = scene.place(box("box", 10, 10, 50, 80), find=learnt(eye=(30, 30)))
    assert [each.get("parentID") for each in found.values()] == ["box", None]
    assert list(found)[-1] == "box"


def test_without_a_rectangle_a_point_has_no_parent(scene: Scene) -> None:
    found = scene.place(PLACED, find=learnt(eye=(30, 30)))
    assert [each.get("parentID") for each in found.values()] == [None, None]


def test_improbable_landmarks_are_left_out(scene: Scene) -> None:
    found = scene.place(
        PLACED,
        find=Detection(
            "", 0, (), 100, 100, Box(0, 0, 9, 9), (NamedKeypoint(1, 1, 0.01, "eye", 0.02),)
        ),
    )
    assert found.keys() == {"placed"}


def test_a_point_of_a_control_for_prompts_becomes_one_that_stays(
    database: Database, queue: Queue
) -> None:
    prompts = CONFIG.replace('name="kp"', 'name="ask" smartOnly="true"')
    both = CONFIG.replace(' smart="true"', "").removesuffix("</View>")
    config = both + prompts.partition('"$image"/>')[2]
    scene = Scene(database, queue, config)
    found = scene.place({**PLACED, "from_name": "ask"}, find=learnt(eye=(30, 30)))
    assert {each["from_name"] for each in found.values()} == {"kp"}


# Before anything is learnt

EVIDENCE = Detection(
    "beak",
    0.75,
    (Keypoint(21, 41, 0.9, "beak"), Keypoint(30, 30, 0.8, "beak"), Keypoint(60, 60, 0.7, "beak")),
    100,
    100,
    Box(0, 0, 100, 100),
)


def test_the_class_evidence_gives_points_only_where_its_class_is_a_label(scene: Scene) -> None:
    found = scene.place(PLACED, find=EVIDENCE)
    new = [each for key, each in found.items() if key != "placed"]
    assert [each["value"]["x"] for each in new] == [30.5]  # of two more, maxUsages allows one
    assert new[0]["value"]["keypointlabels"] == ["beak"]


def test_the_class_evidence_gives_nothing_where_landmarks_cannot_be_told(
    database: Database, queue: Queue
) -> None:
    scene = Scene(database, queue, CONFIG.replace('"beak"', '"bill"'))
    assert scene.place(point("placed", "eye", 1, 1), find=EVIDENCE).keys() == {"placed"}
    generous = Scene(database, queue, CONFIG.replace('"beak"', '"bill"'), suggest="always")
    generous.task["id"] = 2
    assert len(generous.place(point("placed", "eye", 1, 1), find=EVIDENCE)) == 3


# Nothing to suggest


def test_what_was_removed_is_answered_with_nothing(scene: Scene) -> None:
    assert scene.ask()["result"] == []
    assert scene.answers.of_task(UID, 1)[0].sent == []


def test_a_place_that_was_marked_as_wrong_is_answered_with_nothing(scene: Scene) -> None:
    assert scene.ask({**PLACED, "is_positive": False})["result"] == []


def test_an_annotator_is_not_kept_waiting_and_keeps_what_was_placed(
    database: Database, queue: Queue
) -> None:
    scene = Scene(database, queue, predict_wait_one=0)
    answer = scene.ask(PLACED)
    assert answer["result"] == [PLACED]
    assert answer["model_version"] == VERSION


def test_a_withheld_task_gets_no_suggestions(scene: Scene) -> None:
    HoldoutStorage(scene.database).withhold(UID, [1], now())
    assert scene.ask(PLACED)["result"] == [PLACED]
    assert make_interactive_queue(scene.queue.connection).count == 0


def test_without_redis_what_was_placed_stays(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    away = make_queue(Redis(port=1, socket_connect_timeout=1, retry=None))
    with caplog.at_level(logging.ERROR):
        assert Scene(database, away).ask(PLACED)["result"] == [PLACED]
    assert "Redis cannot be reached" in caplog.text


@pytest.mark.parametrize("bad", [None, "text", {}, {"id": 1, "data": {}}])
def test_a_bad_task_gets_nothing(scene: Scene, bad: Any) -> None:
    scene.task = bad
    assert scene.ask(PLACED)["result"] == []


@pytest.mark.parametrize(
    "bad", [3, {}, {"to_name": "image"}, {**PLACED, "value": 3}, {**PLACED, "to_name": "other"}]
)
def test_malformed_regions_count_as_nothing_placed(scene: Scene, bad: Any) -> None:
    assert scene.ask(bad)["result"] == []


def test_the_teams_own_costs_decide_what_follows(scene: Scene) -> None:
    """Where a look takes this team long, a doubtful point no longer pays."""
    doubtful = NamedKeypoint(30, 30, 0.6, "eye", 0.95)
    found = replace(learnt(tail=SURE["tail"]), named=(doubtful,))
    placed = point("a", "beak", 20, 40)
    assert "eye" in labels(scene.place(placed, find=found))
    costs = CostStorage(scene.database)
    assert costs.claim(UID, 0, 60)
    costs.save(UID, {"verify": 3.0})
    learn(scene.database, 1, 2, 3, uid=UID, base=VERSION)
    assert "eye" not in labels(scene.place(placed, find=found))


PAIR = CONFIG.replace(
    "</View>",
    '<Image name="other" value="$other"/><KeyPointLabels name="kp2" toName="other" smart="true">'
    '<Label value="beak"/><Label value="tail"/></KeyPointLabels></View>',
)
ON_OTHER = {"to_name": "other", "from_name": "kp2"}


def pair_scene(database: Database, queue: Queue) -> Scene:
    scene = Scene(database, queue, PAIR)
    scene.task["data"]["other"] = "/data/upload/3/other.png"
    return scene


def test_a_point_on_a_further_image_is_answered_there(database: Database, queue: Queue) -> None:
    scene = pair_scene(database, queue)
    shown = scene.place(point("p", "beak", 10, 10, **ON_OTHER), find=learnt(tail=(50, 50)))
    assert scene.asked is not None and scene.asked.image_url == "/data/upload/3/other.png"
    assert {(each["to_name"], each["from_name"]) for each in shown.values()} == {("other", "kp2")}
    assert "p" in shown and len(shown) == 2


def test_what_is_undecided_on_one_image_stays_while_another_is_asked_about(
    database: Database, queue: Queue
) -> None:
    """Label Studio replaces all suggestions by those of an answer."""
    scene = pair_scene(database, queue)
    first = scene.place(point("p", "beak", 10, 10), find=learnt(tail=(50, 50)))
    both = scene.place(point("q", "beak", 20, 20, **ON_OTHER), find=learnt(tail=(70, 70)))
    assert {key: both[key] for key in first} == first
    own = [each for key, each in both.items() if key not in first]
    assert {each["to_name"] for each in own} == {"other"} and len(own) == 2
    [_, second] = scene.answers.of_task(UID, 1)
    assert {each["to_name"] for each in second.sent or ()} == {"other"}


def test_the_box_in_the_data_is_not_looked_at_on_a_further_image(
    database: Database, queue: Queue
) -> None:
    scene = pair_scene(database, queue)
    scene.task["data"]["box"] = {"x": 0, "y": 0, "width": 50, "height": 50}
    scene.place(point("p", "beak", 10, 10, **ON_OTHER), find=learnt(tail=(50, 50)))
    assert scene.asked is not None and scene.asked.request.box is None
    scene.place(point("q", "beak", 10, 10), find=learnt(tail=(50, 50)))
    assert scene.asked.request.box == Box(0, 0, 50, 50)
