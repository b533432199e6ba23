import io

import pandas
import pytest
from exporting import exported
from verdict_data import annotation, detection, event, predict, relabelled


def table_of(content: bytes) -> pandas.DataFrame:
    """Read a table as `deeplabcut.convertcsv2h5` does."""
    head = content.decode().splitlines()[:5]
    rows = 4 if "individuals" in head[1] else 3
    return pandas.read_csv(io.BytesIO(content), index_col=0, header=list(range(rows)))


def test_a_table_of_one_animal_has_a_column_pair_for_each_label(any_database):
    for task in (1, 2):
        image = f"/data/local-files/?d=videos/a%20b,{task}.jpg"
        regions = predict(any_database, task, detection((10, 20), (30, 40)), image=image)
        event(any_database, annotation(task, [regions[0], relabelled(regions[1], "tail")]))
    table = table_of(exported(any_database, "deeplabcut"))
    assert table.columns.names == ["scorer", "bodyparts", "coords"]
    parts = table.columns.get_level_values("bodyparts")
    assert list(dict.fromkeys(parts)) == ["car", "nose", "tail"]
    assert [path.split("/")[2] for path in table.index] == ["a b,1.jpg", "a b,2.jpg"]
    assert len({path.split("/")[1] for path in table.index}) == 2
    points = table.loc[:, "annotators"].iloc[0]
    assert points["car"].tolist() == pytest.approx([10, 20])  # the first pixel's centre is (0, 0)
    assert points["tail"].tolist() == pytest.approx([30, 40])
    assert points["nose"].isna().all()


def test_several_instances_are_individuals(any_database):
    regions = predict(any_database, 1, detection((10, 10), (30, 30)))
    event(any_database, annotation(1, regions))
    regions = predict(any_database, 2, detection((50, 50)))
    event(any_database, annotation(2, regions))
    table = table_of(exported(any_database, "deeplabcut"))
    assert table.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
    both = table["annotators"].stack("individuals", future_stack=True)["car"].dropna()
    assert both.round(6).to_numpy().tolist() == [[10, 10], [30, 30], [50, 50]]


def test_an_empty_log_is_a_table_without_rows(any_database):
    lines = exported(any_database, "deeplabcut").decode().splitlines()
    assert lines == ["scorer", "bodyparts", "coords"]
