import pytest
from cvat_fake import POINTS, SKELETON, label, part

from backend.hosts.cvat_client import CvatError
from backend.hosts.cvat_labels import PointLabel, declared_labels, point_labels
from backend.hosts.cvat_schemas import Label


def read(*raw: dict) -> list[Label]:
    return [Label.model_validate(each) for each in raw]


def test_labels_of_points_and_those_within_skeletons_receive_keypoints():
    found = point_labels(read(*POINTS, *SKELETON))
    assert found.labels == (
        PointLabel("beak", 11),
        PointLabel("tail", 12),
        PointLabel("head", 21, 20),
        PointLabel("foot", 22, 20),
    )
    assert found.shape_label_ids == {11, 12, 20}


def test_the_configuration_has_the_same_labels_and_a_skeleton_each_once():
    control = point_labels(read(*POINTS, *SKELETON)).control()
    assert control.labels == ("beak", "tail", "head", "foot")
    assert dict(control.max_usages) == {"head": 1, "foot": 1}


def test_names_that_need_escapes_survive_the_configuration():
    name = 'wing <"left"> & tail'
    assert point_labels(read(label(1, name, "points"))).control().labels == (name,)


def test_labels_of_the_same_name_are_told_apart_by_their_skeletons():
    other = label(30, "dog", "skeleton", sublabels=[part(31, "head")])
    found = point_labels(read(*SKELETON, other))
    assert [each.name for each in found.labels] == ["bird/head", "foot", "dog/head"]


def test_a_chosen_part_of_a_skeleton_chooses_the_whole_of_it():
    found = point_labels(read(*POINTS, *SKELETON), ["head"])
    assert [each.name for each in found.labels] == ["head", "foot"]
    assert point_labels(read(*POINTS, *SKELETON), ["bird"]) == found


def test_a_chosen_label_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(CvatError, match="got beek: it has beak, tail"):
        point_labels(read(*POINTS), ["beek", "tail"])


def test_a_label_of_any_kind_receives_keypoints_too():
    assert point_labels(read(label(1, "beak", "any"))).labels == (PointLabel("beak", 1),)


def test_labels_that_a_person_names_have_ids_of_their_own():
    assert point_labels(declared_labels(["a", "b"], None)).labels == (
        PointLabel("a", 1),
        PointLabel("b", 2),
    )
    assert point_labels(declared_labels(["a", "b"], "c")).labels == (
        PointLabel("a", 1, 3),
        PointLabel("b", 2, 3),
    )


@pytest.mark.parametrize(("names", "got"), [([], "none"), (["a", "b", "a"], "a twice")])
def test_labels_must_be_named_once(names, got):
    with pytest.raises(CvatError, match=f"each once, got {got}"):
        declared_labels(names, None)
