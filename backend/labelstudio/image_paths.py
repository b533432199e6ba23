"""Which paths of Label Studio task data may name: its files, and not its API.

Task data is written by anyone who may import tasks. Without this check it could have the backend
fetch any page of Label Studio, with a token that may do more than whoever wrote the task.
"""

import re
from urllib.parse import unquote, urlsplit

from urllib3.util import parse_url

# Uploads and local files, files of cloud storage (redirects to signed addresses), stored files, and
# the frames of CVAT's tasks, a path that Label Studio does not have.
_FILES = re.compile(
    r"/data/upload/.+|/data/local-files/?|/(tasks|projects)/\d+/(resolve|presign)/?"
    r"|/storage-data/uploaded/?|/api/tasks/\d+/data/"
)
# Another server may serve images beside Label Studio, behind the same proxy.
_IMAGE = re.compile(
    r"/.+\.(avif|bmp|gif|heic|heif|ico|jpe?g|jxl|png|ppm|tiff?|webp)", re.IGNORECASE
)
_API = re.compile(r"/(api|admin|django-rq)(/.*)?", re.IGNORECASE)
_MOST_UNQUOTING = 3


def is_file(url: str, studio: str) -> bool:
    """Return whether an address at Label Studio's origin is one of its files, which need a token.

    Args:
        url: absolute address at the origin of `studio`.
        studio: address of Label Studio, perhaps with a path.
    """
    path = _path(url, studio)
    return path is not None and bool(_FILES.fullmatch(path))


def is_image(url: str, studio: str) -> bool:
    """Return whether an address at Label Studio's origin may be fetched as an image.

    Besides Label Studio's files these are paths that end like an image, outside of its API.
    """
    path = _path(url, studio)
    if path is None:
        return False
    return bool(_FILES.fullmatch(path) or (_IMAGE.fullmatch(path) and not _API.fullmatch(path)))


def refusal(shown: str) -> str:
    """Return the message for an address at Label Studio that task data may not name."""
    return (
        f"expected an upload, a local file or a file of cloud storage in Label Studio, got {shown}"
        ": task data may name images, and nothing else of Label Studio"
    )


def _path(url: str, studio: str) -> str | None:
    """Return the path below Label Studio's own; None if servers may read it in several ways."""
    path, prefix = parse_url(url).path or "/", urlsplit(studio).path.rstrip("/")
    if prefix and path.startswith(f"{prefix}/"):
        path = path[len(prefix) :]
    for _ in range(_MOST_UNQUOTING):
        path = unquote(path)
    doubtful = "%" in path and unquote(path) != path
    segments = path.replace("\\", "/").split("/")
    if doubtful or ".." in segments or "." in segments or "" in segments[1:-1]:
        return None
    return path
