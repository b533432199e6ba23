import pytest

from backend.labelstudio.errors import innermost, malformed
from backend.labelstudio.shapes import ShapeError


def test_a_malformed_answer_is_one_sentence_with_field_request_and_address():
    cause = ShapeError("expected a whole number in 'id', got nothing", "id")
    error = malformed(cause, "GET /api/projects/3/", "http://studio")
    assert str(error) == (
        "expected a whole number in 'id', got nothing in the answer of http://studio to GET "
        "/api/projects/3/: is this the address of a Label Studio, and of a version that this "
        "backend supports?"
    )
    assert (error.retryable, error.status) == (False, 200)


def test_the_innermost_error_is_the_cause():
    with pytest.raises(RuntimeError) as caught:
        try:
            raise OSError("Connection refused")
        except OSError as error:
            raise RuntimeError("cannot connect") from error
    assert innermost(caught.value) == "Connection refused"
    assert innermost(KeyError()) == "KeyError"
