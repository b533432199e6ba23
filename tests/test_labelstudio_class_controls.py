import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labelstudio.class_controls import (
    ClassControl,
    Option,
    chosen_paths,
    class_controls,
    names_of_paths,
    paths_of_text,
    text_of_paths,
)

ANIMALS = """
<Choice value="Bird"><Choice value="Duck" alias="anas"/><Choice value="Other"/></Choice>
<Choice value="Insect"><Choice value="Bee"/><Choice value="Other"/></Choice>
"""
PATHS = [
    ("Bird",),
    ("Bird", "anas"),
    ("Bird", "Other"),
    ("Insect",),
    ("Insect", "Bee"),
    ("Insect", "Other"),
]


def only_control(tag: str) -> ClassControl:
    [found] = class_controls(f'<View><Image name="image" value="$image"/>{tag}</View>')
    return found


def taxonomy(more: str = "") -> ClassControl:
    return only_control(f'<Taxonomy name="tree" toName="image" {more}>{ANIMALS}</Taxonomy>')


def test_a_taxonomy_lists_paths():
    control = taxonomy()
    assert (control.kind, control.nested) == ("taxonomy", True)
    assert [option.path for option in control.options] == PATHS


def test_nested_choices_list_paths():
    control = only_control(
        f'<Choices name="tree" toName="image" allowNested="true">{ANIMALS}</Choices>'
    )
    assert (control.kind, control.nested) == ("choices", True)
    assert [option.path for option in control.options] == PATHS
    assert control.value([("Bird", "anas")]) == {"choices": [["Bird", "anas"]]}


def test_choices_inside_of_choices_are_none_unless_nesting_is_allowed():
    control = only_control(f'<Choices name="tree" toName="image">{ANIMALS}</Choices>')
    assert control.classes == ("Bird", "Insect")
    assert control.value([("Bird",)]) == {"choices": ["Bird"]}


@pytest.mark.parametrize(
    ("class_name", "path"),
    [
        ("anas", ("Bird", "anas")),
        ("Duck", ("Bird", "anas")),
        ("duck", ("Bird", "anas")),
        ("Bird / Duck", ("Bird", "anas")),
        ("bird / anas", ("Bird", "anas")),
        ("Bird", ("Bird",)),
        ("Insect / Other", ("Insect", "Other")),
        ("Other", None),
        ("Duck / Bird", None),
        ("", None),
    ],
)
def test_a_class_is_a_path_or_the_only_path_that_ends_so(class_name: str, path: object):
    assert taxonomy().path(class_name) == path


@pytest.mark.parametrize(
    "more", ['perRegion="true"', 'perItem="true"', 'labeling="true"', 'apiUrl="https://x.org"']
)
def test_a_taxonomy_about_a_part_or_known_elsewhere_is_left_alone(more: str):
    tag = f'<Taxonomy name="t" toName="image" {more}/>'
    assert class_controls(f'<View><Image name="image" value="$image"/>{tag}</View>') == []


def test_classes_from_the_data_of_a_task_follow_those_of_the_configuration():
    control = taxonomy('value="$more"')
    items = [{"value": "Fish", "children": [{"value": "Pike", "alias": "esox"}, 4]}, None, {}]
    found = control.with_data({"more": items})
    assert [option.path for option in found.options] == [*PATHS, ("Fish",), ("Fish", "esox")]
    assert found.path("Pike") == ("Fish", "esox")
    assert control.with_data({}) == control
    assert control.with_data({"more": "Fish"}) == control


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ({"choices": ["bus", "van"]}, [("bus",), ("van",)]),
        ({"choices": [["Bird", "Duck"]]}, [("Bird", "Duck")]),
        ({"taxonomy": [["Bird"], ["Bird", "Duck"]]}, [("Bird", "Duck")]),
        ({"taxonomy": [["Bird"], ["Birds", "Duck"]]}, [("Bird",), ("Birds", "Duck")]),
        ({"taxonomy": [[], [3], None]}, []),
        ({"taxonomy": "Bird"}, []),
        (None, []),
    ],
)
def test_what_was_chosen_is_the_end_of_each_path(value: object, paths: object):
    assert chosen_paths(value) == paths


def test_a_class_is_the_last_name_of_its_path_unless_two_share_it():
    paths = [("Bird", "Duck"), ("Bird", "Other"), ("Insect", "Other"), ("Insect",)]
    assert names_of_paths(paths, in_full=False) == {
        ("Bird", "Duck"): "Duck",
        ("Bird", "Other"): "Bird / Other",
        ("Insect", "Other"): "Insect / Other",
        ("Insect",): "Insect",
    }
    assert names_of_paths(paths, in_full=True)["Bird", "Duck"] == "Bird / Duck"


NAMES = st.text("abcé 嘴-", min_size=1, max_size=4).map(str.strip).filter(bool)
TREES = st.lists(st.lists(NAMES, min_size=1, max_size=3).map(tuple), min_size=1, unique=True)


@given(TREES)
def test_the_class_of_a_path_leads_back_to_it(paths: list[tuple[str, ...]]):
    control = ClassControl(
        "tree", "image", "image", "taxonomy", True, tuple(Option(path, path) for path in paths)
    )
    for in_full in (False, True):
        for path, name in names_of_paths(paths, in_full=in_full).items():
            assert control.path(name) == path


@given(TREES)
def test_the_text_of_what_was_chosen_can_be_read_again(paths: list[tuple[str, ...]]):
    assert sorted(paths_of_text(text_of_paths(paths))) == sorted(paths)
