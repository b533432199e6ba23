"""Ranks in a field of the tasks' data."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_fake import CONFIG, PROJECT, TOKEN, LabelStudioFake, label_studio_fake

from backend.labelstudio.client import LabelStudio
from backend.labelstudio.schemas import Task
from backend.ordering.ranks import (
    MOST_RANKS,
    FieldTaken,
    RankWriter,
    check_field,
    is_rank,
    rank_text,
)

PLACES = st.integers(1, MOST_RANKS)


@given(PLACES, PLACES)
def test_ranks_sort_as_text_as_their_places_do_as_numbers(first: int, second: int) -> None:
    assert (rank_text(first) < rank_text(second)) == (first < second)
    assert is_rank(rank_text(first))


@pytest.mark.parametrize("place", [0, MOST_RANKS + 1])
def test_there_is_no_rank_beyond_the_digits(place: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 999999"):
        rank_text(place)


def tasks(**data: Any) -> list[Task]:
    return [Task(id=7, data={"image": "a.png", **data})]


def test_a_field_that_is_free_or_holds_ranks_can_be_written() -> None:
    check_field("order", CONFIG, tasks())
    check_field("order", CONFIG, tasks(order="000012"))
    check_field("imag", CONFIG, tasks())  # the configuration reads $image


@pytest.mark.parametrize(
    ("field", "data", "reason"),
    [
        ("image", {}, "that nothing reads, got 'image'"),
        ("box", {}, "that nothing reads, got 'box'"),
        ("my order", {}, "letters, digits and _, got 'my order'"),
        ("order", {"order": "by mail"}, "task 7 has 'by mail'"),
        ("order", {"order": 12}, "task 7 has 12"),
    ],
)
def test_a_field_that_something_else_uses_is_refused(
    field: str, data: dict[str, Any], reason: str
) -> None:
    with pytest.raises(FieldTaken, match=reason) as refused:
        check_field(field, CONFIG, tasks(**data))
    assert "--field" in str(refused.value)


@pytest.fixture
def fake() -> Iterator[LabelStudioFake]:
    with label_studio_fake() as fake:
        yield fake


@pytest.fixture
def writer(fake: LabelStudioFake) -> RankWriter:
    return RankWriter(LabelStudio(fake.url, TOKEN), PROJECT, "order")


def test_only_the_field_is_written(fake: LabelStudioFake, writer: RankWriter) -> None:
    fake.add_task(1, b"")
    fake.tasks[1]["data"]["text"] = "kept"
    before = dict(fake.tasks[1]["data"])
    assert writer.write(1, "000001") == "written"
    assert fake.tasks[1]["data"] == {**before, "order": "000001"}
    assert writer.write(1, None) == "written"
    assert fake.tasks[1]["data"] == before


def test_what_is_right_already_is_not_written(fake: LabelStudioFake, writer: RankWriter) -> None:
    fake.add_task(1, b"")
    assert writer.write(1, None) == "same"
    writer.write(1, "000001")
    assert writer.write(1, "000001") == "same"
    assert len(fake.asked("PATCH", "/api/tasks/1/")) == 1


def test_tasks_that_somebody_has_begun_are_left_alone(
    fake: LabelStudioFake, writer: RankWriter
) -> None:
    """Also where the draft is another annotator's, which the task itself does not show."""
    for task in (1, 2):
        fake.add_task(task, b"")
    fake.annotate(1, "bus")
    fake.drafts[2] = [{"id": 1}]
    assert [writer.write(task, "000001") for task in (1, 2)] == ["begun", "begun"]
    assert all("order" not in task["data"] for task in fake.tasks.values())


def test_a_task_that_was_deleted_is_no_error(writer: RankWriter) -> None:
    assert writer.write(9, "000001") == "gone"
