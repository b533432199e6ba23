from collections.abc import Iterator

import pytest
from cvat_fake import TASK, TOKEN, CvatFake, cvat_fake, label
from cvat_scene import pictures
from loopback_server import Answer, as_json, loopback_server

from backend.hosts.cvat_client import Cvat, CvatError, cvat_of
from backend.hosts.cvat_schemas import Label
from backend.settings import Settings


@pytest.fixture
def birds() -> Iterator[CvatFake]:
    with cvat_fake(pictures(3)) as fake:
        yield fake


def labels_of(fake: CvatFake) -> list[Label]:
    cvat = Cvat(fake.url, TOKEN)
    return cvat.labels(cvat.task(TASK))


def test_lists_are_read_to_their_last_page(birds):
    birds.labels = [label(number, f"l{number}", "points") for number in range(1, 251)]
    assert [each.id for each in labels_of(birds)] == list(range(1, 251))
    assert birds.violations == []


def test_jobs_that_measure_the_quality_of_others_are_left_out(birds):
    birds.add_job(2, 0, 1, type="ground_truth")
    cvat = Cvat(birds.url, TOKEN)
    assert [each.id for each in cvat.jobs(cvat.task(TASK))] == [1]


@pytest.mark.parametrize("organization", [None, 9])
def test_labels_are_looked_for_in_the_organization_of_the_task(birds, organization):
    birds.task = {"organization": organization}
    assert [each.name for each in labels_of(birds)] == ["beak", "tail", "box"]


def test_no_answer_says_what_to_set():
    with pytest.raises(CvatError, match=r"Connection refused: start it, or correct CVAT_URL"):
        Cvat("http://127.0.0.1:9", TOKEN).version()


def test_a_refused_token_says_what_to_set(birds):
    with pytest.raises(CvatError, match="status 401: set CVAT_ACCESS_TOKEN") as raised:
        Cvat(birds.url, "wrong").task(TASK)
    assert "wrong" not in str(raised.value)


def test_an_unknown_task_says_so(birds):
    with pytest.raises(CvatError, match="status 404: there is none with this number"):
        Cvat(birds.url, TOKEN).task(99)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200, b"<html>"), "is CVAT_URL the address of CVAT"),
        (as_json({"id": "seven"}), "written for CVAT 2.80"),
        (as_json([]), "written for CVAT 2.80"),
    ],
)
def test_an_answer_of_something_else_says_so(answer, expected):
    with (
        loopback_server(lambda *_: answer) as server,
        pytest.raises(CvatError, match=expected),
    ):
        Cvat(server.url, TOKEN).task(TASK)


def test_the_token_does_not_follow_a_redirect():
    with loopback_server(lambda *_: as_json({})) as elsewhere:
        away = Answer(302, headers={"Location": elsewhere.url})
        with (
            loopback_server(lambda *_: away) as server,
            pytest.raises(CvatError, match="got status 302"),
        ):
            Cvat(server.url, TOKEN).version()
        assert elsewhere.requests == []


def test_settings_without_address_or_token_say_what_to_set():
    for settings in (Settings(), Settings(cvat_url="http://localhost:8080")):
        with pytest.raises(CvatError, match="CVAT_URL or CVAT_ACCESS_TOKEN is not set"):
            cvat_of(settings)
