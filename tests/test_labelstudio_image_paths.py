import pytest
from loopback_server import Answer, loopback_server

from backend.labelstudio.client import LabelStudio
from backend.labelstudio.image_paths import is_file, is_image
from backend.labelstudio.images import ImageFetchError, fetch

STUDIO = "http://label-studio:8080"

FILES = [
    "/data/upload/3/45a28b6e-im0.jpg",
    "/data/local-files/?d=set/im0.jpg",
    "/tasks/7/resolve/?fileuri=czM6Ly9h",
    "/tasks/7/presign/?fileuri=czM6Ly9h",
    "/projects/3/resolve/?fileuri=czM6Ly9h",
    "/storage-data/uploaded/?filepath=upload/3/a.jpg",
    "/data/upload/3/two..dots.jpg",
    "/data/upload/3/100%25.jpg",
    "/api/tasks/7/data/?type=frame&quality=original&number=3",  # of CVAT
]
IMAGES_BESIDE = ["/photos/a.png", "/static/samples/sample.JPG"]
REFUSED = [
    "/api/projects/",
    "/api/projects",
    "/api/projects/?x=/data/upload/a.png",
    "/api/projects/1/export/a.png",
    "/API/projects/a.png",
    "/api/current-user/token",
    "/api/tasks/7/data/meta",
    "/api/tasks/7/",
    "/user/account",
    "/",
    "",
    "/data/",
    "/data",
    "/data/../api/projects/",
    "/data/upload/%2e%2e/%2e%2e/api/projects/",
    "/data/upload/%252e%252e/%252e%252e/api/projects/",
    "/data/upload/..%2f..%2fapi/projects/",
    "/data/upload/..%5c..%5capi/projects/",
    "/data/upload\\..\\..\\api\\projects",
    "/data//api/projects/",
    "/%61pi/projects/a.png",
    "/tasks/7/resolve/../../../api/projects/",
    "/tasks/7/",
    "/tasks/x/resolve/",
    "/projects/3/data/export",
    "/data%2525252525252f..",
]


@pytest.mark.parametrize("prefix", ["", "/studio"])
@pytest.mark.parametrize("path", FILES)
def test_files_of_label_studio_may_be_fetched_with_its_token(path: str, prefix: str) -> None:
    studio = STUDIO + prefix
    assert is_file(studio + path, studio)
    assert is_image(studio + path, studio)


@pytest.mark.parametrize("path", IMAGES_BESIDE)
def test_images_beside_label_studio_are_fetched_without_its_token(path: str) -> None:
    assert is_image(STUDIO + path, STUDIO)
    assert not is_file(STUDIO + path, STUDIO)


@pytest.mark.parametrize("path", REFUSED)
def test_task_data_names_no_other_path_of_label_studio(path: str) -> None:
    """Asked through real HTTP, by the path and by the whole address."""
    with loopback_server(lambda request, handler: Answer(body=b"secret")) as studio:
        client = LabelStudio(studio.url, "token", known_as=["http://localhost:8080"])
        for address in (path, studio.url + path, f"http://localhost:8080{path}"):
            with pytest.raises(ImageFetchError):
                fetch(address, client, max_bytes=1000)
        assert studio.requests == []
