"""The figures of one world, recomputed from its exports with other people's libraries.

What `GET /agreement` answers is compared with what pandas, statsmodels, SciPy, pycocotools and
krippendorff make of the Parquet and COCO files of `GET /export`. Nothing of the backend's own
statistics is used here.
"""

import io
import math
import random
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pandas as pd
import pytest
import redis
from flask.testing import FlaskClient
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rq import Queue
from rq.serializers import JSONSerializer
from scipy import stats
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial.distance import cdist
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import (
    proportion_confint,
    proportions_chisquare,
    samplesize_confint_proportion,
)
from verdict_data import (
    UID,
    added,
    annotation,
    detection,
    event,
    moved,
    predict,
    relabelled,
)

from backend.database.connection import Database, now
from backend.settings import Settings
from backend.suggestions.holdout import HoldoutStorage
from backend.web.app import create_app

LABELS = ("car", "nose", "tail")
WIDTH, HEIGHT, SIDE = 200, 100, 200.0  # px; the image is not square
OBJECT = {"x": 5, "y": 10, "width": 60, "height": 80}  # percent: 120 × 80 px
NEAR, LEVEL, HALF_WIDTH = 0.05, 0.95, 0.05
FAR = 1e7  # px, where no suggestion is
SHOWN, WITHHELD = range(1, 46), range(46, 66)


@pytest.fixture(scope="module")
def client(migrated_sqlite: Path, tmp_path_factory, redis_url: str) -> Iterator[FlaskClient]:
    path = tmp_path_factory.mktemp("world") / "backend.sqlite3"
    path.write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{path}")
    fill(database, random.Random(5))
    with redis.Redis.from_url(redis_url) as connection:
        queue = Queue("predictions", connection=connection, serializer=JSONSerializer)
        yield create_app(Settings(), database, queue).test_client()
    database.close()


def fill(database: Database, draw: random.Random) -> None:
    """Three annotators of unequal care; images of unequal difficulty; a part withheld."""
    HoldoutStorage(database).withhold(UID, WITHHELD, now())
    for task in (*SHOWN, *WITHHELD):
        places = [(30 + 30 * n + draw.uniform(0, 9), draw.uniform(20, 80)) for n in range(3)]
        found = detection(*places, width=WIDTH, height=HEIGHT)
        regions = predict(database, task, found, deliver=task in SHOWN)
        hard = draw.choice((0.05, 0.1, 0.8))
        for annotator in (1, 2) if task in WITHHELD else ((1, 2, 3) if task % 3 == 0 else (1,)):
            drawn = (
                judged(draw, regions, min(0.95, hard * 0.8 + 0.1 * (annotator - 1) ** 2))
                if task in SHOWN
                else alone(draw, places)
            )
            body = annotation(
                task,
                [*drawn, rectangle(annotator)],
                number=1000 * annotator + task,
                annotator=annotator,
                made=10 * (37 * task % 67),
                parent=7 if task in SHOWN else None,
                lead_time=draw.lognormvariate(2.5, 0.7),
            )
            event(database, body)


def judged(draw: random.Random, regions: list[dict[str, Any]], rate: float) -> list[dict[str, Any]]:
    """What an annotator leaves of the suggestions."""
    left = []
    for region, label in zip(regions, LABELS, strict=False):
        chosen = relabelled(region, label) if draw.random() < rate / 3 else region
        if draw.random() < rate:
            chosen = moved(chosen, draw.expovariate(0.4), draw.expovariate(0.4))
        if draw.random() > rate / 3:
            left.append(chosen)
    if draw.random() < rate / 2:
        left.append(added(draw.uniform(8, 60), draw.uniform(15, 85), draw.choice(LABELS)))
    return left


def alone(draw: random.Random, places: list[tuple[float, float]]) -> list[dict[str, Any]]:
    """What an annotator draws without the suggestions: near them, and not always so named."""
    return [
        {
            **added(
                100 * (x + draw.gauss(0, 4)) / WIDTH,
                100 * (y + draw.gauss(0, 4)) / HEIGHT,
                label if draw.random() < 0.8 else draw.choice(LABELS),
                region_id=f"alone{number}",
            ),
            "original_width": WIDTH,
            "original_height": HEIGHT,
        }
        for number, ((x, y), label) in enumerate(zip(places, LABELS, strict=True))
    ]


def rectangle(annotator: int) -> dict[str, Any]:
    sides = {"original_width": WIDTH, "original_height": HEIGHT}
    names = {"id": f"object{annotator}", "to_name": "image", "from_name": "r", "type": "rectangle"}
    return {**names, **sides, "value": OBJECT}


@pytest.fixture(scope="module")
def figures(client: FlaskClient) -> dict[str, Any]:
    return client.get("/agreement").json


@pytest.fixture(scope="module")
def points(client: FlaskClient) -> pd.DataFrame:
    """The verdicts about points, from Parquet."""
    table = pd.read_parquet(io.BytesIO(client.get("/export?format=parquet").data))
    return table[table.kind == "point"].reset_index(drop=True)


@pytest.fixture(scope="module")
def shown(points: pd.DataFrame) -> pd.DataFrame:
    return points[points.shown]


@pytest.fixture(scope="module")
def suggested(shown: pd.DataFrame) -> pd.DataFrame:
    return shown[shown.verdict != "added"].assign(
        accepted=lambda rows: (rows.verdict == "accepted").astype(float)
    )


def sums(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Numerator and denominator of each image."""
    return rows.groupby("task_id")[column].agg(["sum", "count"])


def jackknife(table: pd.DataFrame) -> tuple[float, float]:
    """Variance of a ratio by leaving out each image in turn, and its degrees of freedom.

    These are 2m / (κ - 1) - 1, with κ ≥ 3 the kurtosis of the images' influences, at most m - 1
    (see docs/agreement-coverage.md).
    """
    top, bottom = table["sum"].sum(), table["count"].sum()
    without = (top - table["sum"]) / (bottom - table["count"])
    moves = (top / bottom - without).to_numpy()
    images = len(moves)
    kurtosis = max(3.0, images * (moves**4).sum() / (moves**2).sum() ** 2)
    df = min(images - 1.0, max(1.0, 2 * images / (kurtosis - 1) - 1))
    return (images - 1) / images * float((moves**2).sum()), df


def wilson_interval(table: pd.DataFrame, most: float) -> tuple[float, float]:
    share = table["sum"].sum() / table["count"].sum()
    variance, df = jackknife(table)
    quantile = stats.t.ppf((1 + LEVEL) / 2, df)
    factor = stats.norm.ppf((1 + LEVEL) / 2) / quantile
    n = min(most, share * (1 - share) / variance * factor**2)
    low, high = proportion_confint(share * n, n, alpha=1 - LEVEL, method="wilson")
    return float(low), float(high)


def same_share(estimate: dict[str, Any], table: pd.DataFrame) -> None:
    """Compare value, interval, n, images and design effect of a share."""
    share, n = table["sum"].sum() / table["count"].sum(), int(table["count"].sum())
    assert estimate["value"] == pytest.approx(share)
    assert (estimate["n"], estimate["images"]) == (n, len(table))
    assert (estimate["low"], estimate["high"]) == pytest.approx(wilson_interval(table, n))
    variance, _ = jackknife(table)
    assert estimate["deff"] == pytest.approx(variance * n / (share * (1 - share)))


def test_the_world_is_large_enough_to_tell_formulas_apart(figures, points):
    counts = points[points.shown].verdict.value_counts()
    assert (counts >= 2).all() and len(counts) == 6
    assert figures["overall"]["acceptance"]["untouched"]["icc"] > 0.05
    assert points[~points.shown].task_id.nunique() == len(WITHHELD)


def test_counts_are_those_of_the_export(figures, shown, suggested):
    found = figures["overall"]["points"]
    for verdict, count in shown.verdict.value_counts().items():
        assert found[verdict] == count
    assert found["judged"] == len(suggested)
    assert found["suggested"] == len(suggested.drop_duplicates(["prediction_id", "number"]))
    annotations = shown.drop_duplicates("annotation_id")
    assert figures["overall"]["annotations"] == len(annotations)
    assert figures["overall"]["annotators"] == annotations.annotator.nunique()


def test_csv_and_parquet_hold_the_same(client, points):
    csv = pd.read_csv(io.BytesIO(client.get("/export?format=csv").data))
    csv = csv[csv.kind == "point"].reset_index(drop=True)
    for column in ("task_id", "verdict", "final_x", "displacement", "suggested_label"):
        pd.testing.assert_series_equal(
            csv[column], points[column], check_dtype=False, check_exact=False
        )


def test_acceptance_is_wilsons_with_the_effective_n_of_the_jackknife(figures, suggested):
    same_share(figures["overall"]["acceptance"]["untouched"], sums(suggested, "accepted"))
    for name, column in (("annotator", "annotator"), ("label", "suggested_label")):
        for group in figures["by"][name]:
            rows = suggested[suggested[column].astype("string") == group["name"]]
            estimate = group["acceptance"]["untouched"]
            if len(rows) and estimate["low"] is not None:
                same_share(estimate, sums(rows, "accepted"))
    assert len(figures["by"]["annotator"]) == 3


def test_the_intraclass_correlation_is_that_of_an_analysis_of_variance(figures, suggested):
    table = anova_lm(ols("accepted ~ C(task_id)", data=suggested).fit())
    between, within = table["mean_sq"]
    sizes = suggested.groupby("task_id").size()
    size = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(sizes) - 1)
    expected = (between - within) / (between + (size - 1) * within)
    assert figures["overall"]["acceptance"]["untouched"]["icc"] == pytest.approx(expected)


def test_the_images_needed_are_those_of_the_sample_size_at_the_design_effect(figures, suggested):
    table = sums(suggested, "accepted")
    share, n = table["sum"].sum() / table["count"].sum(), table["count"].sum()
    deff = jackknife(table)[0] * n / (share * (1 - share))
    independent = samplesize_confint_proportion(share, HALF_WIDTH, alpha=1 - LEVEL)
    assert figures["enough"]["images_needed"] == math.ceil(
        independent * deff / (n / len(table)) - 1e-9
    )


def matched(rows: pd.DataFrame) -> int:
    """Largest number of pairs of suggestions and final points of an annotation within reach."""
    radius = NEAR * (rows.length.dropna().max() if rows.length.notna().any() else SIDE)
    first = rows[["suggested_x", "suggested_y"]].dropna().to_numpy()
    second = rows[["final_x", "final_y"]].dropna().to_numpy()
    if not len(first) or not len(second):
        return 0
    within = csr_array(cdist(first, second) <= radius)
    return int((maximum_bipartite_matching(within, perm_type="column") >= 0).sum())


def hits(rows: pd.DataFrame) -> pd.DataFrame:
    """Pairs, suggestions and final points of each image."""
    of_annotation = rows.groupby(["task_id", "annotation_id"]).apply(
        lambda each: pd.Series(
            {
                "pairs": matched(each),
                "suggested": each.suggested_x.notna().sum(),
                "final": each.final_x.notna().sum(),
            }
        ),
        include_groups=False,
    )
    return of_annotation.groupby("task_id").sum()


def test_precision_recall_and_f1_match_again_what_the_log_holds(figures, shown):
    table, overall = hits(shown), figures["overall"]

    def ratio(top: pd.Series, bottom: pd.Series) -> pd.DataFrame:
        return pd.DataFrame({"sum": top, "count": bottom})[bottom > 0]

    same_share(overall["precision"], ratio(table.pairs, table.suggested))
    same_share(overall["recall"], ratio(table.pairs, table.final))
    both = ratio(2 * table.pairs, table.suggested + table.final)
    assert overall["f1"]["value"] == pytest.approx(both["sum"].sum() / both["count"].sum())
    assert (overall["f1"]["low"], overall["f1"]["high"]) == pytest.approx(
        wilson_interval(both, math.inf)
    )


def on_the_log_scale(table: pd.DataFrame) -> tuple[float, float]:
    """t interval of the logarithm of a ratio, by the delta method."""
    mean = table["sum"].sum() / table["count"].sum()
    variance, df = jackknife(table)
    factor = math.exp(stats.t.ppf((1 + LEVEL) / 2, df) * math.sqrt(variance) / mean)
    return mean / factor, mean * factor


def test_distances_are_those_between_the_exported_positions(figures, shown):
    both = shown[shown.suggested_x.notna() & shown.final_x.notna()].assign(
        distance=lambda rows: np.hypot(
            rows.final_x - rows.suggested_x, rows.final_y - rows.suggested_y
        )
    )
    overall = figures["overall"]
    for name, length in (("image", SIDE), ("object", both.length)):
        rows = both.assign(error=both.distance / length)
        estimate, table = overall["normalised_error"][name], sums(rows, "error")
        assert estimate["value"] == pytest.approx(rows.error.mean(), abs=1e-9)
        assert (estimate["low"], estimate["high"]) == pytest.approx(on_the_log_scale(table))
    far = both[both.verdict.str.startswith("moved")].distance
    for name, q in (("median", 0.5), ("p90", 0.9)):
        assert overall["displacement_px"][name]["value"] == pytest.approx(far.quantile(q))
    for row in overall["pck"]["image"]:
        within = (both.distance <= row["alpha"] * SIDE).sum()
        assert row["value"] == pytest.approx(within / shown.final_x.notna().sum())


def test_times_are_those_of_the_annotations(figures, shown):
    times = shown.drop_duplicates("annotation_id").assign(log=lambda rows: np.log(rows.lead_time))
    found = figures["overall"]["lead_time"]
    assert found["median"]["value"] == pytest.approx(times.lead_time.median())
    assert found["geometric_mean"]["value"] == pytest.approx(stats.gmean(times.lead_time))
    variance, df = jackknife(sums(times, "log"))
    half = stats.t.ppf((1 + LEVEL) / 2, df) * math.sqrt(variance)
    ends = math.exp(times.log.mean() - half), math.exp(times.log.mean() + half)
    estimate = found["geometric_mean"]
    assert (estimate["low"], estimate["high"]) == pytest.approx(ends)


def test_object_keypoint_similarity_is_that_of_pycocotools(figures, shown):
    final = shown[shown.final_x.notna()]
    sigma = figures["method"]["sigma"]
    found = [similarity(rows, sigma) for _, rows in final.groupby("annotation_id")]
    assert len(found) == figures["overall"]["oks"]["n"] > 50
    assert figures["overall"]["oks"]["value"] == pytest.approx(np.mean(found))


def similarity(rows: pd.DataFrame, sigma: float) -> float:
    """OKS of the suggestions of one annotation, all of one object, against its final points."""
    names = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 1, 1]}
    truth, visible = COCO(), np.full(len(rows), 2.0)
    final = np.column_stack([rows.final_x, rows.final_y, visible]).ravel().tolist()
    truth.dataset = {
        "info": {},
        "images": [{"id": 1}],
        "categories": [{"id": 1, "keypoints": [str(place) for place in range(len(rows))]}],
        "annotations": [
            names | {"area": rows.area.iloc[0], "num_keypoints": len(rows), "keypoints": final}
        ],
    }
    truth.createIndex()
    where = np.column_stack([rows.suggested_x.fillna(FAR), rows.suggested_y.fillna(FAR), visible])
    guess = truth.loadRes([names | {"score": 1.0, "keypoints": where.ravel().tolist()}])
    evaluation = COCOeval(truth, guess, "keypoints")
    evaluation.params.kpt_oks_sigmas = np.full(len(rows), sigma)
    evaluation.params.imgIds, evaluation.params.catIds = [1], [1]
    evaluation._prepare()
    return float(evaluation.computeOks(1, 1)[0, 0])


def test_the_coco_file_holds_the_positions_of_the_verdicts(client, points, tmp_path):
    path = tmp_path / "truth.json"
    path.write_bytes(client.get("/export?format=coco").data)
    truth = COCO(str(path))
    final = points[points.final_x.notna()]
    for image in truth.loadImgs(truth.getImgIds()):
        instances = truth.loadAnns(truth.getAnnIds(imgIds=[image["id"]]))
        found = [np.reshape(each["keypoints"], (-1, 3)) for each in instances]
        where = [tuple(each[:2]) for each in np.concatenate([np.empty((0, 3)), *found]) if each[2]]
        rows = final[final.annotation_id == image["annotation"]]
        # COCO has its origin at the corner of the first pixel.
        expected = zip(rows.final_x + 0.5, rows.final_y + 0.5, strict=True)
        assert np.array(sorted(where)) == pytest.approx(np.array(sorted(expected)), abs=0.01)


def test_annotators_differ_by_the_test_of_statsmodels_and_pairs_by_holms_method(figures, suggested):
    tables = {
        str(int(name)): sums(rows, "accepted") for name, rows in suggested.groupby("annotator")
    }
    counts = np.array([table["sum"].sum() for table in tables.values()])
    points = np.array([table["count"].sum() for table in tables.values()])
    found = [jackknife(table) for table in tables.values()]
    share, df_within = counts.sum() / points.sum(), sum(df for _, df in found)
    of_point = (
        sum(df * variance * n for (variance, df), n in zip(found, points, strict=True)) / df_within
    )
    deff = max(1.0, of_point / (share * (1 - share)))
    chi_square, _, _ = proportions_chisquare(counts, points)
    df = len(tables) - 1
    difference = figures["differences"]["annotator"]
    assert difference["test"]["p"] == pytest.approx(
        stats.f.sf(chi_square / deff / df, df, df_within)
    )
    assert difference["test"]["p"] < 0.05  # so that pairs are compared
    assert {(each["first"], each["second"]): each["p"] for each in difference["pairs"]} == {
        pair: pytest.approx(p) for pair, p in adjusted(tables).items() if p < 0.05
    }


def adjusted(tables: dict[str, pd.DataFrame]) -> dict[tuple[str, str], float]:
    """The score test of each two groups, by Holm's method, in the order of size."""
    names = sorted(tables, key=lambda name: -tables[name]["count"].sum())
    pairs = list(combinations(names, 2))
    p_values = []
    for pair in pairs:
        counts = [tables[name]["sum"].sum() for name in pair]
        points = [tables[name]["count"].sum() for name in pair]
        pooled, terms = sum(counts) / sum(points), []
        for name, count, n in zip(pair, counts, points, strict=True):
            variance, df = jackknife(tables[name])
            deff = max(1.0, variance * n / (count / n * (1 - count / n)))
            terms.append((pooled * (1 - pooled) * deff / n, df))
        variance = sum(term for term, _ in terms)
        df = variance**2 / sum(term**2 / df for term, df in terms)
        apart = abs(counts[0] / points[0] - counts[1] / points[1])
        p_values.append(2 * stats.t.sf(apart / math.sqrt(variance), df))
    return dict(zip(pairs, multipletests(p_values, method="holm")[1], strict=True))


def test_shown_less_withheld_is_the_difference_of_two_f1(figures, points):
    def f1(rows: pd.DataFrame) -> float:
        table = hits(rows)
        return float(2 * table.pairs.sum() / (table.suggested + table.final).sum())

    withheld = points[~points.shown]
    since = withheld.updated_at.min()
    compared = points[points.shown & (points.updated_at >= since)]
    anchoring = figures["anchoring"]
    assert anchoring["withheld"]["f1"]["value"] == pytest.approx(f1(withheld))
    assert len(compared) > 50
    assert anchoring["difference"]["value"] == pytest.approx(f1(compared) - f1(withheld))


def test_labels_of_two_annotators_agree_as_krippendorff_has_it(figures, points):
    withheld = points[~points.shown & points.final_x.notna()]
    first, second = [], []
    codes = {label: code for code, label in enumerate(LABELS)}
    for _, rows in withheld.groupby("task_id"):
        one, other = (rows[rows.annotator == annotator] for annotator in (1, 2))
        radius = NEAR * rows.length.max()
        apart = cdist(one[["final_x", "final_y"]], other[["final_x", "final_y"]])
        partner = maximum_bipartite_matching(csr_array(apart <= radius), perm_type="column")
        for place, match in enumerate(partner):
            if match >= 0:
                first.append(codes[one.final_label.iloc[place]])
                second.append(codes[other.final_label.iloc[match]])
    expected = krippendorff.alpha(reliability_data=[first, second], level_of_measurement="nominal")
    assert len(first) > 20
    found = figures["people"]["human_human"]["label_alpha"]
    assert found["value"] == pytest.approx(expected)
    assert found["n"] == len(first)


def test_landmarks_are_found_as_often_as_the_export_says(figures, shown):
    near = shown[shown.final_x.notna()]
    for row in figures["landmarks"]:
        of_label = near[near.final_label == row["label"]]
        found = of_label.groupby("annotation_id").final_hit.max()
        assert row["annotated"] == len(found)
        assert row["found"]["value"] == pytest.approx(found.astype(float).mean())
