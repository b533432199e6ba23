import io
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest
from verdict_data import annotation, detection, event, moved, predict, relabelled

from backend.agreement.exports.formats import FORMATS, Format
from backend.settings import Settings
from backend.web.app import create_app


@pytest.fixture
def client(database, queue):
    regions = predict(database, 1, detection((10, 10), (30, 30)))
    event(database, annotation(1, [regions[0], moved(regions[1], 4)]))
    return create_app(Settings(), database, queue).test_client()


def test_an_event_that_came_a_moment_ago_is_counted(client, database):
    points = client.get("/agreement").json["overall"]["points"]
    assert (points["suggested"], points["accepted"], points["moved"]) == (2, 1, 1)
    regions = predict(database, 2, detection((10, 10)))
    body = {
        "action": "ANNOTATION_CREATED",
        "annotation": annotation(2, regions),
        "project": {"id": 3, "created_at": "2026-11-22T12:00:00Z"},
    }
    assert client.post("/webhook", json=body).status_code == 200
    assert client.get("/agreement").json["overall"]["points"]["suggested"] == 3


def test_nan_in_a_webhook_is_kept_and_shown_as_not_used(client, database):
    regions = predict(database, 2, detection((10, 10)))
    broken = {**regions[0], "value": {"x": float("nan"), "y": 1e300, "width": 1}}
    body = {
        "action": "ANNOTATION_CREATED",
        "annotation": annotation(2, [broken]),
        "project": {"id": 3, "created_at": "2026-11-22T12:00:00Z"},
    }
    text = json.dumps(body).replace("1e+300", "1e999")
    assert client.post("/webhook", data=text).status_code == 200
    reasons = [each["reason"] for each in client.get("/agreement").json["not_used"]]
    assert reasons == ["a point without usable numbers"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("annotator=anna", "expected annotator to be a user's number"),
        ("annotator=99999999999999999999", "expected annotator"),
        ("project=cars", "expected project to be its number"),
        ("since=yesterday", "expected since to be a day or a moment"),
        ("until=2026-13-01", "expected until"),
        ("since=2026-02-01&until=2026-01-01", "expected since before until"),
        ("label=", "expected a value for label"),
        ("label=a&label=b", "once"),
        ("colour=red", "expected filters among project"),
        ("until=9999-12-31", "expected until"),
        ("label=%00", "expected a value for label"),
    ],
)
@pytest.mark.parametrize("path", ["/agreement", "/report", "/export"])
def test_a_filter_that_means_nothing_is_refused_in_a_sentence(client, path, query, expected):
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 400
    assert expected in answer.json["error"]


@pytest.mark.parametrize(
    ("query", "suggested"),
    [
        ("project=3", 2),
        ("annotator=1&label=car", 2),
        ("annotator=2", 0),
        ("since=2026-01-01T00:00:00Z", 2),
        ("since=2026-01-01T00:00:00%2B02:00", 2),
        ("until=2026-01-01", 0),
        ("model_version=small-abc", 2),
    ],
)
def test_filters_are_query_parameters(client, query, suggested):
    answer = client.get(f"/agreement?{query}")
    assert answer.json["overall"]["points"]["suggested"] == suggested


def test_a_day_as_the_end_is_the_whole_day(client):
    made = client.get("/export?format=json").json[0]["updated_at"][:10]
    found = client.get(f"/agreement?since={made}&until={made}").json
    assert found["overall"]["points"]["suggested"] == 2


def test_exports_are_files(client):
    answer = client.get("/export?format=parquet")
    assert pyarrow.parquet.read_table(io.BytesIO(answer.data)).num_rows == 3
    assert answer.headers["Content-Disposition"] == 'attachment; filename="verdicts.parquet"'
    assert client.get("/export?format=coco").json["annotations"]
    assert client.get("/export?format=csv&what=statistics").data.startswith(
        b"\xef\xbb\xbfdimension"
    )
    refused = client.get("/export?format=xml")
    assert refused.status_code == 400
    assert "csv, json, jsonl, parquet" in refused.json["error"]
    assert client.get("/export").status_code == 400


def test_options_of_an_export_are_flags_of_its_address(client, database):
    regions = predict(database, 2, detection((10, 10)))
    for number in (2, 3):
        label = [relabelled(regions[0], "=1+1")]
        event(database, annotation(2, label, number=number, minutes=number))
    assert "'=1+1" in client.get("/export?format=csv&excel=1").text
    assert "'=1+1" not in client.get("/export?format=csv&excel=0").text
    images = client.get("/export?format=coco&one_per_image=1").json["images"]
    assert [each["annotation"] for each in images] == [1, 3]
    assert len(client.get("/export?format=coco").json["images"]) == 3
    refused = client.get("/export?format=csv&excel=yes")
    assert (refused.status_code, refused.json["error"]) == (
        400,
        "expected 1 or 0 for excel, got 'yes'",
    )
    assert client.get("/export?format=coco&excel=1").status_code == 400


def test_every_format_can_be_downloaded_from_the_start_page_and_from_the_report(
    client, monkeypatch
):
    toy = Format("Toy", "text/plain", "txt", ("verdicts",), lambda content: iter([b"toy"]))
    monkeypatch.setitem(FORMATS, "toy", toy)
    pages = [client.get("/", headers={"Accept": "text/html"}), client.get("/report?project=3")]
    for name, format_ in FORMATS.items():
        assert f'<a href="export?format={name}">{format_.title}</a>' in pages[0].text
        assert f'<a href="export?format={name}&amp;project=3">{format_.title}</a>' in pages[1].text
    assert client.get("/export?format=toy").data == b"toy"


def test_a_browser_is_shown_the_way_to_the_report_and_a_program_json(client):
    page = client.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
    assert 'href="report"' in page.text
    assert client.get("/", headers={"Accept": "*/*"}).json["report"] == "/report"


def test_all_of_it_asks_for_the_login_that_is_set(database, queue):
    settings = Settings(basic_auth_user="me", basic_auth_pass="secret")
    client = create_app(settings, database, queue).test_client()
    for path in ("/", "/agreement", "/report", "/export?format=csv"):
        assert client.get(path).status_code == 401
        assert client.get(path, auth=("me", "secret")).status_code == 200


def test_the_report_needs_no_network_and_runs_no_script_but_its_own(client):
    answer = client.get("/report")
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    nonce = policy.partition("nonce-")[2].partition("'")[0]
    assert f'<script nonce="{nonce}">' in answer.text
    for loads in ("<link", "@import", "url(http", 'src="http', "<iframe"):
        assert loads not in answer.text


def test_the_web_process_starts_without_the_libraries_that_only_a_report_needs():
    code = (
        "import sys, backend.web.app; "
        "print([name for name in ('torch', 'scipy', 'matplotlib', 'pyarrow', 'krippendorff') "
        "if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert told.stdout.strip() == "[]"
