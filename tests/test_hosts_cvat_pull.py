from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from cvat_fake import ANNA, BEAK, HEAD, TAIL
from cvat_scene import HEIGHT, WIDTH, Scene, scene
from rq import Queue
from sqlalchemy import select

from backend.agreement.figures import measure_agreement
from backend.database.connection import Database
from backend.learning.tables import examples
from backend.verdicts.lesson_storage import LessonStorage
from backend.verdicts.records import Filters
from backend.verdicts.sync import sync, sync_due
from backend.verdicts.tables import states, verdicts


@pytest.fixture
def birds(database: Database, queue: Queue, tmp_path: Path) -> Iterator[Scene]:
    with scene(database, queue, tmp_path) as found:
        yield found


def verdicts_of(birds: Scene) -> Counter[str]:
    """The verdicts of the newest state of each frame."""
    with birds.database.reading() as connection:
        newest = {
            row.annotation_id: row.id
            for row in connection.execute(select(states).order_by(states.c.id))
        }
        rows = connection.execute(select(verdicts).where(verdicts.c.state_id.in_(newest.values())))
        return Counter(row.verdict for row in rows)


def annotations_in_report(birds: Scene) -> int:
    return measure_agreement(birds.database, Filters()).overall.figures.annotations


def count_states(birds: Scene) -> int:
    with birds.database.reading() as connection:
        return len(connection.execute(select(states.c.id)).all())


def test_each_change_of_an_annotator_becomes_its_verdict(birds: Scene) -> None:
    birds.push()
    first, second, _ = (birds.fake.shapes_on(frame) for frame in range(3))
    birds.fake.move(first[0]["id"], 5, 4)
    birds.fake.relabel(first[1]["id"], TAIL if first[1]["label_id"] == BEAK else BEAK)
    birds.fake.delete(second[0]["id"])
    birds.fake.draw(1, 2, TAIL, 30, 40)
    birds.fake.finish(1)
    found = birds.pull()
    assert (found.run.annotations, found.run.added, found.done, found.jobs) == (3, 3, 1, 1)
    assert verdicts_of(birds) == {
        "moved": 1,
        "relabelled": 1,
        "deleted": 1,
        "added": 1,
        "accepted": 9,
    }


def test_where_a_point_came_from_and_went_to_is_kept_in_px(birds: Scene) -> None:
    birds.push()
    _, x, y = birds.points_on(0)[0]
    after = birds.fake.move(birds.fake.shapes_on(0)[0]["id"], 3, 4)
    birds.fake.finish(1)
    birds.pull()
    with birds.database.reading() as connection:
        [row] = connection.execute(select(verdicts).where(verdicts.c.verdict == "moved"))
    assert row.displacement == pytest.approx(5, abs=1e-3)
    assert (row.suggested_x, row.suggested_y) == (
        pytest.approx(x - 0.5, abs=1e-3),
        pytest.approx(y - 0.5, abs=1e-3),
    )
    assert (row.final_x, row.final_y) == (
        pytest.approx(after[0] - 0.5, abs=1e-3),
        pytest.approx(after[1] - 0.5, abs=1e-3),
    )


def test_the_report_counts_them(birds: Scene) -> None:
    birds.push()
    birds.fake.delete(birds.fake.shapes_on(0)[0]["id"])
    birds.fake.finish(1)
    birds.pull()
    figures = measure_agreement(birds.database, Filters()).overall.figures
    assert figures.annotations == 3
    counts = figures.agreement.points
    assert (counts.suggested, counts.judged) == (12, 12)
    assert {name: count for name, count in counts.by_verdict.items() if count} == {
        "accepted": 11,
        "deleted": 1,
    }
    with birds.database.reading() as connection:
        assert set(connection.scalars(select(states.c.annotator))) == {-ANNA}
        assert set(connection.execute(select(states.c.width, states.c.height)).all()) == {
            (WIDTH, HEIGHT)
        }


def test_pulling_twice_adds_nothing(birds: Scene) -> None:
    birds.push()
    birds.fake.finish(1)
    birds.pull()
    before = count_states(birds)
    birds.fake.jobs[1]["stage"] = "validation"
    birds.fake._touch(1)  # CVAT then reports another time of the last change
    again = birds.pull()
    assert (again.run.annotations, again.run.added) == (3, 0)
    assert count_states(birds) == before


def test_what_is_corrected_later_takes_the_place_of_what_was_said_before(birds: Scene) -> None:
    birds.push()
    birds.fake.finish(1)
    birds.pull()
    assert verdicts_of(birds) == {"accepted": 12}
    birds.fake.delete(birds.fake.shapes_on(0)[0]["id"])
    assert birds.pull().run.added == 1
    assert verdicts_of(birds) == {"accepted": 11, "deleted": 1}
    assert annotations_in_report(birds) == 3


def test_where_everything_was_deleted_the_last_suggestions_were(birds: Scene) -> None:
    """Nothing that is left names the suggestions then."""
    birds.push()
    birds.set(detector_max_keypoints=2)
    birds.push()
    for shape in birds.fake.shapes_on(0):
        birds.fake.delete(shape["id"])
    birds.fake.finish(1)
    birds.pull()
    assert verdicts_of(birds) == {"deleted": 2, "accepted": 4}


def test_open_jobs_are_not_read(birds: Scene) -> None:
    """CVAT does not say which of their frames somebody has looked at."""
    birds.push()
    found = birds.pull()
    assert (found.run.annotations, found.done, found.jobs) == (0, 0, 1)
    assert count_states(birds) == 0


def test_a_deletion_that_was_undone_is_none(birds: Scene) -> None:
    """CVAT gives the shape a new id."""
    birds.push()
    shape = birds.fake.shapes_on(0)[0]
    birds.fake.delete(shape["id"])
    birds.fake.undo_deletion(1, shape)
    birds.fake.finish(1)
    birds.pull()
    assert verdicts_of(birds) == {"accepted": 12}


def test_frames_without_suggestions_are_learnt_and_not_judged(birds: Scene) -> None:
    birds.fake.draw(1, 0, BEAK, 10, 12)
    birds.fake.draw(1, 0, TAIL, 30, 32)
    birds.fake.finish(1)
    assert birds.pull().run.added == 3
    assert verdicts_of(birds) == {}
    LessonStorage(birds.database, limit=200).pass_on()
    with birds.database.reading() as connection:
        [row] = connection.execute(select(examples))
    assert row.points == {
        "beak": pytest.approx([9.5, 11.5]),
        "tail": pytest.approx([29.5, 31.5]),
    }
    assert row.image_url == birds.task().image_of(0)


def test_corrections_become_examples_of_the_project(birds: Scene) -> None:
    birds.push()
    for frame in range(3):
        birds.correct(frame)
    birds.fake.finish(1)
    birds.pull()
    LessonStorage(birds.database, limit=200).pass_on()
    with birds.database.reading() as connection:
        rows = connection.execute(select(examples)).all()
    assert len(rows) == 3
    assert {row.project_uid for row in rows} == {birds.task().uid}
    assert all(set(row.points) == {"beak", "tail"} for row in rows)


def test_withheld_frames_are_compared_with_what_they_would_have_got(birds: Scene) -> None:
    birds.set(holdout_share=1.0)
    birds.push()
    birds.fake.draw(1, 0, BEAK, 10, 12)
    birds.fake.finish(1)
    birds.pull()
    with birds.database.reading() as connection:
        assert set(connection.scalars(select(states.c.shown))) == {False}


def test_a_point_of_a_skeleton_is_judged_like_any_other(
    database: Database, queue: Queue, tmp_path: Path
) -> None:
    with scene(database, queue, tmp_path, frames=2, skeleton=True) as birds:
        birds.push()
        [whole] = birds.fake.shapes_on(0)
        [head] = [each for each in whole["elements"] if each["label_id"] == HEAD]
        birds.fake.move(head["id"], 4, 3)
        birds.fake.finish(1)
        birds.pull()
        assert verdicts_of(birds) == {"moved": 1, "accepted": 1}


def test_annotations_of_a_job_that_was_deleted_count_no_more(birds: Scene) -> None:
    birds.fake.add_job(2, 2, 2)
    birds.fake.jobs[1]["stop"] = 1
    birds.push()
    birds.fake.finish(1)
    birds.fake.finish(2)
    birds.pull()
    del birds.fake.jobs[2], birds.fake.shapes[2]
    found = birds.pull()
    assert found.run.retracted == 1
    assert annotations_in_report(birds) == 2
    assert birds.pull().run.retracted == 0


def test_a_pull_from_label_studio_leaves_projects_of_cvat_out(birds: Scene) -> None:
    birds.push()
    assert sync(birds.settings, birds.database) == []
    assert not sync_due(birds.settings, birds.database)
