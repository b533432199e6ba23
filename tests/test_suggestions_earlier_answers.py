"""What became of the suggestions of earlier answers, as far as drafts tell."""

from datetime import UTC, datetime, timedelta
from typing import Any

from backend.suggestions.drawing import Drawn
from backend.suggestions.earlier_answers import SAVED_WITHIN, EarlierAnswers, earlier_answers
from backend.suggestions.interactive_records import InteractiveAnswer, PlacedSoFar

SENT = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = SENT + timedelta(seconds=6)
PLACED, TAIL, EYE = ({"id": name, "value": {}} for name in ("placed", "tail", "eye"))


def answer(
    *sent: dict[str, Any], prompts: tuple[str, ...] = ("placed",), at: datetime = SENT
) -> InteractiveAnswer:
    request = PlacedSoFar(100, 100, None, {}, None, prompts)
    return InteractiveAnswer(1, "3.1", 1, "/a.png", request, "ready", None, "v", None, sent, at, at)


ANSWER = answer(PLACED, TAIL, EYE)


def earlier(answers: list[InteractiveAnswer], drawn: Drawn) -> EarlierAnswers:
    return earlier_answers(answers, drawn, LATER)


def draft(*regions: dict[str, Any], saved_at: datetime = LATER) -> Drawn:
    return Drawn(regions={each["id"]: each for each in regions}, saved_at=saved_at)


def test_until_a_draft_is_saved_suggestions_are_undecided() -> None:
    for drawn in (Drawn(), draft(PLACED, saved_at=SENT - timedelta(seconds=1))):
        found = earlier([ANSWER], drawn)
        assert found.undecided.keys() == {"tail", "eye"}
        assert found.prompts.keys() == {"placed"}


def test_a_draft_with_some_of_them_accepts_these_and_deletes_the_others() -> None:
    found = earlier([ANSWER], draft(PLACED, TAIL))
    assert (found.undecided, found.prompts, found.accepted) == ({}, {}, {})
    assert found.deleted.keys() == {"eye"}


def test_a_draft_with_none_of_them_leaves_them_undecided() -> None:
    found = earlier([ANSWER], draft(PLACED))
    assert found.undecided.keys() == {"tail", "eye"}
    assert found.prompts.keys() == {"placed"}


def test_an_answer_of_which_a_later_draft_has_nothing_is_about_another_annotation() -> None:
    assert earlier([ANSWER], draft()) == EarlierAnswers()


def test_without_a_draft_an_old_answer_is_about_another_annotation() -> None:
    late = SENT + SAVED_WITHIN + timedelta(seconds=1)
    assert earlier_answers([ANSWER], Drawn(), late) == EarlierAnswers()


def test_a_placed_region_is_repeated_where_the_draft_has_it() -> None:
    moved = {**PLACED, "value": {"x": 3}}
    assert earlier([ANSWER], draft(moved)).prompts == {"placed": moved}


def test_once_what_was_placed_is_gone_suggestions_count_as_accepted() -> None:
    found = earlier([ANSWER, answer(prompts=(), at=LATER)], Drawn())
    assert found.accepted.keys() == {"tail", "eye"}
    assert (found.undecided, found.prompts) == ({}, {})


def test_once_what_was_placed_is_gone_a_later_draft_without_them_rejects_them() -> None:
    gone = answer(prompts=(), at=SENT + timedelta(seconds=1))
    found = earlier([ANSWER, gone], draft())
    assert (found.accepted, found.undecided, found.prompts) == ({}, {}, {})


def test_the_newest_answer_says_where_a_repeated_suggestion_is() -> None:
    sharper = {"id": "tail", "value": {"x": 2}}
    second = answer({"id": "second"}, PLACED, sharper, prompts=("placed", "second"))
    found = earlier([ANSWER, second], Drawn())
    assert found.undecided == {"eye": EYE, "tail": sharper}
    assert found.prompts.keys() == {"placed", "second"}
