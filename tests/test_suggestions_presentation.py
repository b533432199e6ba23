"""Which points of a stored detection are sent, by the settings of the project."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from label_studio_fake import CONFIG, UID
from prediction_rows import DETECTION, VERSION, fetched, wanted
from sqlalchemy import delete

from backend.database.connection import Database, now
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.project_settings import ProjectSettings
from backend.labelstudio.projects import Project, ProjectStorage
from backend.labelstudio.rectangles import Rectangle
from backend.settings import Settings
from backend.suggestions.objects import StoredObject
from backend.suggestions.presentation import Presentation
from backend.suggestions.records import MOST_CANDIDATES, pack_points, unpack_points
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.tables import candidates
from model.keypoint import Box, Detection, Keypoint, NamedKeypoint

SCORES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05)
POINTS = tuple(Keypoint(10.1 * n, 7.3 * n, score, "bus") for n, score in enumerate(SCORES, 1))


def detection(shown: int) -> Detection:
    """The ten points, of which the detector's settings show the first ones."""
    return replace(DETECTION, keypoints=POINTS[:shown], candidates=POINTS)


class Scene:
    """A prediction that is ready, and what is sent of it with some settings."""

    def __init__(self, database: Database) -> None:
        self.database = database
        ProjectStorage(database).save_label_config(UID, CONFIG)

    def store(
        self,
        found: Detection,
        costs: Mapping[str, float] | None = None,
        objects: Sequence[StoredObject] = (),
    ) -> int:
        [row] = PredictionStorage(self.database).request(
            UID, VERSION, [wanted(1)], retry_failed_before=now()
        )
        PredictionStorage(self.database).finish(row.id, found, costs, objects)
        return row.id

    def sent(
        self,
        row: int,
        config: str = CONFIG,
        deployment: Settings | None = None,
        **settings: Any,
    ) -> list[dict[str, Any]]:
        """The regions that are sent."""
        project = Project(UID, None, None, config, ProjectSettings(**settings))
        deployment = deployment or Settings(suggest="always")
        presentation = Presentation(deployment, self.database)
        made = presentation.as_sent(fetched(self.database, row), project, keypoint_control(config))
        return made["result"]

    def scores(self, row: int, **more: Any) -> list[float]:
        return [round(region["score"], 6) for region in self.sent(row, **more)]


@pytest.fixture
def scene(any_database: Database) -> Scene:
    return Scene(any_database)


@pytest.fixture
def row(scene: Scene) -> int:
    return scene.store(detection(4))


def test_without_settings_the_points_that_the_detector_shows_are_sent(
    scene: Scene, row: int
) -> None:
    assert scene.scores(row) == list(SCORES[:4])
    assert scene.scores(row, suggest="always", tolerance=0.1) == list(SCORES[:4])


def test_more_points_than_the_detector_shows_can_be_sent_without_detecting_again(
    scene: Scene, row: int
) -> None:
    assert scene.scores(row, max_keypoints=7) == list(SCORES[:7])
    assert scene.scores(row, max_keypoints="none") == list(SCORES)


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"threshold": 0.7}, 3),
        ({"threshold": 0.0}, 10),
        ({"threshold": 1.0}, 0),
        ({"max_keypoints": 1}, 1),
        ({"keep": 0.41}, 5),  # rounded up, as DETECTOR_KEEP is
        ({"keep": 0.41, "max_keypoints": 2}, 2),
        ({"keep": 0.41, "threshold": 0.75}, 2),
        ({"threshold": 0.7, "thresholds": {"bus": 0.15}}, 8),
        ({"threshold": 0.7, "thresholds": {"BUS": 0.15}}, 8),
        ({"thresholds": {"nose": 0.15}}, 10),
        ({"threshold": 0.7, "thresholds": {"gone": 0.15}}, 3),
    ],
)
def test_each_setting_chooses_points(
    scene: Scene, row: int, settings: dict[str, Any], count: int
) -> None:
    assert scene.scores(row, **settings) == list(SCORES[:count])


def test_where_a_project_has_no_setting_the_detectors_holds(scene: Scene, row: int) -> None:
    deployment = Settings(detector_max_keypoints=6, detector_min_score=0.45)
    assert scene.scores(row, deployment=deployment, keep=1.0) == list(SCORES[:5])
    assert scene.scores(row, deployment=deployment, threshold=0.0) == list(SCORES[:6])


def test_the_same_point_has_the_same_id_and_place_whatever_else_is_sent(
    scene: Scene, row: int
) -> None:
    few, usual, all_ = (
        scene.sent(row, max_keypoints=2),
        scene.sent(row),
        scene.sent(row, max_keypoints="none"),
    )
    assert (few, usual) == (all_[:2], all_[:4])
    for region, point in zip(all_, POINTS, strict=True):
        assert region["value"]["x"] == pytest.approx((point.x + 0.5) / 640 * 100, rel=1e-6)
        assert region["value"]["y"] == pytest.approx((point.y + 0.5) / 480 * 100, rel=1e-6)


def test_a_label_is_that_which_the_points_get_and_not_the_class(scene: Scene) -> None:
    points = tuple(replace(point, label="tram") for point in POINTS)
    row = scene.store(replace(DETECTION, class_name="tram", keypoints=points, candidates=points))
    assert scene.scores(row, thresholds={"nose": 0.75}) == [0.9, 0.8]
    named = Settings(default_label="bus")
    assert scene.scores(row, deployment=named, thresholds={"nose": 0.75}) == list(SCORES)


def test_points_without_a_label_have_the_projects_threshold(scene: Scene, row: int) -> None:
    plain = '<View><Image name="image" value="$image"/><KeyPoint name="kp" toName="image"/></View>'
    settings = {"threshold": 0.75, "thresholds": {"bus": 0.1}}
    assert scene.scores(row, config=plain, **settings) == [0.9, 0.8]


def test_of_an_older_prediction_points_can_be_left_out_and_none_added(
    scene: Scene, row: int
) -> None:
    """Earlier versions stored what they showed, and nothing else."""
    with scene.database.writing() as connection:
        connection.execute(delete(candidates))
    assert scene.scores(row) == list(SCORES[:4])
    assert scene.scores(row, max_keypoints="none") == list(SCORES[:4])
    assert scene.scores(row, keep=0.5) == list(SCORES[:4])  # they are a share already
    assert scene.scores(row, threshold=0.75) == [0.9, 0.8]


def test_a_detection_that_is_finished_twice_keeps_its_first_points(scene: Scene, row: int) -> None:
    PredictionStorage(scene.database).finish(row, replace(detection(1), candidates=POINTS[:1]))
    assert len(scene.sent(row, max_keypoints="none")) == len(POINTS)


def test_points_are_packed_to_a_hundredth_of_a_pixel_and_as_many_as_there_is_room_for() -> None:
    far = Keypoint(49_999.015625, 0.0078125, 0.123456789, "bus")
    [found] = unpack_points(pack_points([far]), "bus")
    assert (found.x, found.y) == pytest.approx((far.x, far.y), abs=0.005)
    assert found.score == pytest.approx(far.score, abs=1e-7)
    assert len(pack_points([far] * 3)) == 36
    assert len(unpack_points(pack_points([far] * (MOST_CANDIDATES + 1)), "")) == MOST_CANDIDATES


NAMES = (
    '<View><Image name="image" value="$image"/><KeyPointLabels name="kp" toName="image">'
    '<Label value="nose"/><Label value="tail"/></KeyPointLabels></View>'
)
ONE_NAME = NAMES.replace('<Label value="tail"/>', "")
# Probabilities of being right and visible: one is worth showing, the other is not.
NOSE = NamedKeypoint(5, 6, 0.8, "nose", 0.9)
TAIL = NamedKeypoint(7, 8, 0.1, "tail", 0.3)


def labels(regions: list[dict[str, Any]]) -> list[str]:
    return [region["value"]["keypointlabels"][0] for region in regions]


def test_before_any_correction_the_best_points_are_shown_if_the_class_tells_their_label(
    scene: Scene,
) -> None:
    row = scene.store(detection(10))
    worthwhile = Settings(suggest="worthwhile")
    assert scene.scores(row, deployment=worthwhile) == list(SCORES[:4])
    assert scene.scores(row, config=ONE_NAME, deployment=worthwhile) == list(SCORES[:4])
    assert scene.scores(row, config=NAMES, deployment=worthwhile) == []
    named_by_the_settings = Settings(suggest="worthwhile", default_label="tail")
    assert labels(scene.sent(row, NAMES, named_by_the_settings)) == ["tail"] * 4


def test_a_projects_own_choice_of_points_comes_before_the_share_that_pays(scene: Scene) -> None:
    row = scene.store(detection(10))
    worthwhile = Settings(suggest="worthwhile")
    assert scene.scores(row, deployment=worthwhile, threshold=0.45) == list(SCORES[:5])


def test_landmarks_are_shown_with_their_labels_where_they_are_worth_it(scene: Scene) -> None:
    row = scene.store(replace(detection(10), named=(TAIL, NOSE)))
    [nose] = scene.sent(row, NAMES, Settings(suggest="worthwhile"))
    assert nose["value"]["keypointlabels"] == ["nose"]
    assert nose["score"] == 0.8
    assert labels(scene.sent(row, NAMES, Settings(suggest="learnt"))) == ["nose"]
    always = labels(scene.sent(row, NAMES, Settings(suggest="always")))
    assert always == ["nose", "tail", *["nose"] * 10]  # bus is no label: the first one


@pytest.mark.parametrize(
    ("named", "score"),
    [
        ((), DETECTION.probability),
        ((replace(NOSE, score=0.8), replace(TAIL, visible_probability=0.6)), 0.9 / 1.5),
    ],
)
def test_the_score_of_a_prediction_is_the_expected_share_of_landmarks_that_are_right(
    scene: Scene, named: tuple[NamedKeypoint, ...], score: float
) -> None:
    """Whether they are shown or not; before any is learnt, it is the class's probability."""
    row = fetched(scene.database, scene.store(replace(detection(10), named=named)))
    project = Project(UID, None, None, NAMES)
    made = Presentation(Settings(), scene.database).as_sent(row, project, keypoint_control(NAMES))
    assert made["score"] == pytest.approx(score)


def test_only_what_was_learnt_is_shown_where_that_is_wanted(scene: Scene) -> None:
    row = scene.store(detection(10))
    assert scene.sent(row, suggest="learnt") == []


def test_the_setting_of_a_project_comes_before_that_of_the_deployment(scene: Scene) -> None:
    row = scene.store(detection(10))
    assert len(scene.sent(row, deployment=Settings(suggest="learnt"), suggest="always")) == 10


def test_thresholds_hold_for_landmarks_too(scene: Scene) -> None:
    row = scene.store(replace(detection(0), named=(NOSE,)))
    assert len(scene.sent(row, NAMES, threshold=0.8, suggest="worthwhile")) == 1
    assert scene.sent(row, NAMES, thresholds={"nose": 0.9}, suggest="worthwhile") == []


def test_a_label_is_sent_no_more_often_than_the_configuration_allows(scene: Scene) -> None:
    row = scene.store(replace(detection(4), named=(NOSE, TAIL)))
    limited = NAMES.replace('<Label value="nose"/>', '<Label value="nose" maxUsages="2"/>')
    assert labels(scene.sent(row, limited)) == ["nose", "tail", "nose"]


@pytest.mark.parametrize(
    ("costs", "shown"),
    [
        ({}, ["nose"]),
        # Without it 0.9 · 3.4 + 0.1 · 0.6 = 3.12 s, with it verify + 0.35 s.
        ({"verify": 2.7}, ["nose"]),
        ({"verify": 2.8}, []),
        # Of the tail 0.3 · place + 0.42 s, against 0.8 + 0.2 · 2.2 + 0.7 · 1.3 = 2.15 s.
        ({"place": 5.7}, ["nose"]),
        ({"place": 5.8}, ["nose", "tail"]),
        ({"place": 5.7, "delete": 1.2}, ["nose", "tail"]),
    ],
)
def test_landmarks_are_judged_by_the_costs_of_their_prediction(
    scene: Scene, costs: dict[str, float], shown: list[str]
) -> None:
    row = scene.store(replace(detection(10), named=(TAIL, NOSE)), costs)
    assert labels(scene.sent(row, NAMES, Settings(suggest="worthwhile"))) == shown
    assert len(scene.sent(row, NAMES, Settings(suggest="always"))) == 12


SEEN = NAMES.replace(
    "</View>",
    '<Choices name="seen" toName="image" perRegion="true"><Choice value="verdeckt"/></Choices>'
    "</View>",
)


def test_the_usual_visibility_of_a_landmark_is_a_choice_about_its_point(scene: Scene) -> None:
    row = scene.store(replace(detection(0), named=(replace(NOSE, visibility="occluded"), TAIL)))
    own = {"suggest": "always", "visibility": {"verdeckt": "occluded"}}
    nose, choice, tail = scene.sent(row, SEEN, **own)
    assert (choice["id"], choice["value"]["choices"]) == (nose["id"], ["verdeckt"])
    assert labels([nose, tail]) == ["nose", "tail"]
    assert len(scene.sent(row, SEEN, suggest="always")) == 2  # what the choice means is unknown
    assert len(scene.sent(row, NAMES, suggest="always")) == 2


BOXES = NAMES.replace("</View>", '<Rectangle name="box" toName="image"/></View>')
BETTER_NOSE = NamedKeypoint(50, 60, 0.9, "nose", 0.95)


def rectangle(number: str) -> dict[str, Any]:
    return {"id": number, "from_name": "box", "type": "rectangle", "value": {"x": 1}}


def two_objects(scene: Scene) -> int:
    """A nose in each of two rectangles, and a third without any; of the last one no region."""
    objects = [
        StoredObject(Rectangle(Box(0, 0, 20, 20), (rectangle("r1"),)), 2),
        StoredObject(Rectangle(Box(40, 40, 20, 20), (rectangle("r2"),)), 1),
        StoredObject(Rectangle(Box(70, 70, 20, 20), (rectangle("r3"),)), 0),
        StoredObject(Rectangle(Box(0, 40, 20, 20)), 1),
    ]
    return scene.store(
        replace(detection(0), named=(NOSE, TAIL, BETTER_NOSE, NOSE)), objects=objects
    )


def test_each_object_has_its_landmarks_whose_parent_is_its_rectangle(scene: Scene) -> None:
    row = two_objects(scene)
    sent = scene.sent(row, BOXES, Settings(suggest="worthwhile"))
    first, second = [each for each in sent if each["type"] == "rectangle"]
    assert {first["id"], second["id"]}.isdisjoint({"r1", "r2"})
    points = [each for each in sent if each["type"] == "keypointlabels"]
    assert labels(points) == ["nose", "nose", "nose"]
    assert [each.get("parentID") for each in points] == [second["id"], first["id"], None]
    assert len({each["id"] for each in sent}) == 5
    assert sent == [*points, first, second]  # the editor puts the first on top


def test_rectangles_of_a_control_that_was_removed_are_not_repeated(scene: Scene) -> None:
    sent = scene.sent(two_objects(scene), NAMES, Settings(suggest="worthwhile"))
    assert labels(sent) == ["nose", "nose", "nose"]
    assert not any("parentID" in each for each in sent)


def test_a_label_has_no_more_points_over_all_objects_than_it_may(scene: Scene) -> None:
    limited = BOXES.replace('<Label value="nose"/>', '<Label value="nose" maxUsages="1"/>')
    nose, box = scene.sent(two_objects(scene), limited, Settings(suggest="worthwhile"))
    assert (nose["score"], nose["parentID"]) == (0.9, box["id"])  # the best one


def test_each_object_has_its_own_points_without_a_name(scene: Scene) -> None:
    """The best 40 % of each, or as many as the project's own settings choose; not of all."""
    objects = [
        StoredObject(Rectangle(Box(0, 0, 50, 50), (rectangle("r1"),)), 0),
        StoredObject(Rectangle(Box(50, 0, 60, 90), (rectangle("r2"),)), 0),
    ]
    row = scene.store(detection(10), objects=objects)
    worthwhile = Settings(suggest="worthwhile", default_label="nose")

    def points(deployment: Settings, **settings: Any) -> list[tuple[str, float]]:
        sent = scene.sent(row, BOXES, deployment, **settings)
        first, second = [each["id"] for each in sent if each["type"] == "rectangle"]
        number = {first: "first", second: "second"}
        return [
            (number[each["parentID"]], round(each["score"], 6))
            for each in sent
            if each["type"] == "keypointlabels"
        ]

    assert points(worthwhile) == [
        ("first", 0.9),
        ("first", 0.8),
        ("second", 0.5),
        ("second", 0.4),
        ("second", 0.3),
    ]
    assert points(worthwhile, max_keypoints=1) == [("first", 0.9), ("second", 0.5)]
