import pytest

from backend.agreement.exports.file_names import file_name, image_stem, image_suffix


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/data/upload/1/a%20b.jpg", "data/upload/1/a b.jpg"),
        ("/data/local-files/?d=set/a%20b.jpg", "set/a b.jpg"),
        ("/data/local-files/?token=x&d=set%2Fa+b.jpg", "set/a b.jpg"),
        ("/prefix/data/local-files/?d=set/%C3%A9.jpg&v=2", "set/é.jpg"),
        ("/data/local-files/?v=2", "data/local-files/"),
        ("https://host/images/1.png?signature=secret&d=no", "images/1.png"),
        ("s3://bucket/folder/a%2Bb.png", "folder/a+b.png"),
        ("data:image/png;base64,AAAA", "data:image/png;base64"),
        ("https://host?id=5", "https://host?id=5"),
    ],
)
def test_a_file_name_is_decoded_and_has_no_signature(url, expected):
    assert file_name(url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/a/b.PNG?x=1", ".png"),
        ("data:image/webp;base64,AA", ".webp"),
        ("data:image/svg+xml,AA", ".jpg"),
        ("/data/local-files/?d=a.tif", ".tif"),
        ("/image?id=5", ".jpg"),
        ("/a/evil.png%2F..%2Fsecret", ".jpg"),
    ],
)
def test_a_suffix_is_that_of_the_image_or_jpg(url, expected):
    assert image_suffix(url) == expected


def test_a_stem_is_safe_in_every_path_and_differs_from_task_to_task():
    assert image_stem("3.1763812800", 5) == "3-1763812800-5"
    assert image_stem("../../etc", 5) == "------etc-5"
