"""No token or password reaches a log line."""

import pytest

from backend.log_filters.secret_masking import SecretMask

LEGACY = "0123456789abcdef0123456789abcdef01234567"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.Zm9vYmFyYmF6"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"Authorization: Token {LEGACY}", LEGACY),
        (f"{{'Authorization': 'Bearer {JWT}', 'Accept': '*/*'}}", JWT),
        ("authorization=Basic YW5uYTpzZWNyZXQ=", "YW5uYTpzZWNyZXQ"),
        ("Header X-Api-Key: s3cr3t", "s3cr3t"),
        ("connection to postgresql://keypoints:s3cr3t@db/x failed", "s3cr3t"),
        ("redis://:s3cr3t@redis:6379/0 is away", "s3cr3t"),
        ("http://host/a.png?X-Amz-Signature=s3cr3t&x=1", "s3cr3t"),
        ("http://host/a.png?X-Amz-Credential=s3cr3t", "s3cr3t"),
        ('{"access_token": "s3cr3t", "hostname": "x"}', "s3cr3t"),
        ("password=s3cr3t", "s3cr3t"),
        (f"the token is {LEGACY}, says somebody", LEGACY),
        (f"a refresh token {JWT}", JWT),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, secret: str) -> None:
    masked = SecretMask().apply(text)
    assert secret not in masked
    assert "***" in masked


@pytest.mark.parametrize("shown", ['pä"ss/word', "p%C3%A4%22ss%2Fword", 'p\\u00e4\\"ss/word'])
def test_a_known_secret_is_masked_however_it_is_written(shown: str) -> None:
    assert SecretMask(['pä"ss/word']).apply(f"refused {shown} here") == "refused *** here"


@pytest.mark.parametrize(
    "text",
    [
        "Task 17 of project 3.1795347724: 4 keypoints of class duck, 2 landmarks",
        "http://localhost:8080/api/tasks?page=2: expected status 200, got 500",
        "set LABEL_STUDIO_API_KEY to a personal or legacy token of Label Studio",
        "the basic authentication of its form, and an access token",
        "small-0d9f7b2c3a1e: a token expired",
        "Label Studio refuses the token: expected status 200, got 401",
        "LABEL_STUDIO_API_KEY: expected a token, got nothing",
        "Project 3: contact mailto:anna@example.org",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert SecretMask(["correct horse"]).apply(text) == text


def test_a_known_secret_that_is_a_common_word_is_masked_where_it_is_one() -> None:
    mask = SecretMask(["ls"])
    assert mask.apply("false: redis://:ls@host") == "false: redis://***@host"
