import pytest

from backend.learning.steps import Terms, is_due, name_of, next_step, reached


@pytest.mark.parametrize(
    ("images", "step"),
    [(0, 0), (2, 0), (3, 3), (4, 3), (7, 5), (12, 12), (49, 30), (50, 50), (99, 50), (149, 100)],
)
def test_a_number_of_images_reaches_the_largest_step_below_it(images: int, step: int) -> None:
    assert reached(images) == step


def members(*ids: int) -> list[tuple[int, str]]:
    return [(number, f"digest-{number}") for number in ids]


def test_a_step_is_due_when_its_number_of_images_is_reached() -> None:
    assert not is_due([], 0, members(1, 2), 2)
    assert is_due([], 0, members(1, 2, 3), 3)
    assert not is_due(members(1, 2, 3), 3, members(1, 2, 3, 4), 4)
    assert is_due(members(1, 2, 3), 3, members(1, 2, 3, 4, 5), 5)


def test_a_step_is_due_at_once_when_an_example_in_use_was_changed_or_forgotten() -> None:
    assert is_due(members(1, 2, 3), 3, members(1, 2, 4, 5), 4)
    assert is_due(members(1, 2, 3), 3, [*members(1, 2), (3, "another digest")], 3)


def test_nothing_is_due_when_an_example_that_is_not_in_use_is_forgotten() -> None:
    assert not is_due(members(1, 2, 3), 3, members(1, 2, 3), 3)


def test_a_name_says_the_images_and_differs_with_the_content() -> None:
    name = name_of(3, members(1, 2, 3), "key")
    assert name.startswith("3-")
    assert name == name_of(3, members(3, 2, 1), "key")
    assert name != name_of(3, [*members(1, 2), (3, "changed")], "key")
    assert name != name_of(3, members(1, 2, 3), "another backbone")
    assert name_of(0, [], "key") == ""


def test_the_name_depends_on_the_costs_and_the_tolerance() -> None:
    """Suggestions that were judged by others are another version."""
    terms = [
        Terms(),
        Terms({"place": 2.1}),
        Terms({"place": 2.2}),
        Terms({"drag": 2.1}),
        Terms({}, 0.1),
        Terms({"place": 2.1}, 0.1),
    ]
    names = [name_of(3, members(1, 2, 3), "key", each) for each in terms]
    assert len(set(names)) == len(terms)
    # The order in which a database returns the costs makes no difference.
    both = ({"place": 2.1, "drag": 1.0}, {"drag": 1.0, "place": 2.1})
    assert len({name_of(3, members(1), "key", Terms(each)) for each in both}) == 1


def test_each_step_is_followed_by_the_next() -> None:
    assert [next_step(step) for step in (0, 3, 30, 50, 100)] == [3, 5, 50, 100, 150]
    for images in range(3, 300):
        assert reached(images) <= images < next_step(reached(images))
