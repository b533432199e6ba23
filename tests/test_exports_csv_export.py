import csv
import io

from exporting import exported
from verdict_data import annotation, detection, event, predict, relabelled


def test_a_label_is_no_formula_for_a_spreadsheet(any_database):
    regions = predict(any_database, 1, detection((10, 10)))
    event(any_database, annotation(1, [relabelled(regions[0], "=1+1")]))
    rows = list(csv.DictReader(io.StringIO(exported(any_database, "csv").decode("utf-8-sig"))))
    assert "'=1+1" in [row["final_label"] for row in rows]
