"""The token goes to what these functions call Label Studio's own, so attackers test them too."""

import pytest

from backend.labelstudio.addresses import Location, locate, same_origin


@pytest.mark.parametrize(
    ("url", "owned"),
    [
        ("http://labels:8080/data/upload/1/a.png", True),
        ("HTTP://LABELS:8080", True),
        ("http://anna:pw@labels:8080/", True),
        ("http://labels/", False),
        ("https://labels:8080/", False),
        ("http://labels.example:8080/", False),
        ("http://labels:8080@elsewhere/", False),
        ("http://labels:8080.elsewhere/", False),
        ("http://elsewhere\\@labels:8080/", False),
        ("http://elsewhere#@labels:8080/", False),
        ("/data/upload/1/a.png", False),
        ("data:,x", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_which_addresses_are_label_studios_own(url: str, owned: bool):
    assert same_origin(url, "http://labels:8080") is owned


def test_ports_that_are_left_out_are_the_usual_ones():
    assert same_origin("https://labels", "https://labels:443/x")
    assert same_origin("http://labels:80", "http://labels/x")
    assert not same_origin("nonsense", "nonsense")


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("/data/upload/1/a b.png", "http://inside:8080/ls/data/upload/1/a b.png"),
        ("/ls/data/upload/1/a.png", "http://inside:8080/ls/data/upload/1/a.png"),
        ("/lsx/a.png", "http://inside:8080/ls/lsx/a.png"),
        ("//elsewhere/a.png", "http://elsewhere/a.png"),
        ("//localhost:8080/data/?d=a", "http://inside:8080/ls/data/?d=a"),
        ("http://localhost:8080/data/?d=a%20b", "http://inside:8080/ls/data/?d=a%20b"),
        ("http://LOCALHOST:8080/data/?d=a", "http://inside:8080/ls/data/?d=a"),
        ("https://labels.example/pub/data/?d=a", "http://inside:8080/ls/data/?d=a"),
        ("http://inside:8080/other/a.png", "http://inside:8080/other/a.png"),
        ("http://localhost:8081/a.png", "http://localhost:8081/a.png"),
        ("data:image/png;base64,AAAA", "data:image/png;base64,AAAA"),
        ("s3://bucket/a.png", "s3://bucket/a.png"),
    ],
)
def test_where_an_address_is_reached_from_here(address: str, found: str):
    known_as = ["http://localhost:8080", "https://labels.example/pub", "", "nonsense"]
    assert locate(address, "http://inside:8080/ls", known_as).url == found


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("/data/upload/1/a.png", True),
        ("//elsewhere/a.png", False),
        ("//inside:8080/a.png", True),
        ("http://localhost:8080/a.png", True),
        ("http://inside:8080/a.png", True),
        ("http://inside/a.png", False),
        ("http://elsewhere\\@inside:8080/a.png", False),
        ("http://inside:8080@elsewhere/a.png", False),
        ("http://elsewhere\\@localhost:8080/a.png", False),
        ("data:image/png;base64,AAAA", False),
        ("", False),
    ],
)
def test_which_located_addresses_may_get_the_token(address: str, own: bool):
    assert locate(address, "http://inside:8080", ["http://localhost:8080"]).own is own


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (Location("http://anna:pw@bucket/a.png?key=secret#part", own=False), "http://bucket/a.png"),
        (Location("http://labels/data/?d=a.png", own=True), "http://labels/data/?d=a.png"),
        (Location("http://[/a.png", own=False), "an address that cannot be read"),
    ],
)
def test_an_address_is_shown_without_password_and_key(location: Location, shown: str):
    assert location.shown == shown
