"""Names of image files, from the addresses that Label Studio has for them."""

import re
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

LOCAL_FILES = "/local-files/"  # Label Studio serves files of its own disk here, named by `d`
CVAT_FRAME = re.compile(r"/api/tasks/\d+/data/$")  # see `cvat_frames.frame_address`
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def file_name(url: str) -> str:
    """Return the decoded path of an image, without its signature; of a data URI only its type.

    >>> file_name("/data/local-files/?v=2&d=set/a%20b.jpg")
    'set/a b.jpg'
    >>> file_name("http://cvat/api/tasks/7/data/?type=frame&number=3#set/a%20b.jpg")
    'set/a b.jpg'
    """
    if url.startswith("data:"):
        return url.partition(",")[0]
    parts = urlsplit(url)
    if parts.path.endswith(LOCAL_FILES):
        named = parse_qs(parts.query).get("d")
        if named:
            return named[0]
    if parts.fragment and CVAT_FRAME.search(parts.path):
        return unquote(parts.fragment)
    return unquote(parts.path).lstrip("/") or url


def image_suffix(url: str) -> str:
    """Return the ending of the image's file name, such as ".png"; ".jpg" if it has no known one."""
    if url.startswith("data:image/"):
        suffix = "." + re.split("[;,]", url.removeprefix("data:image/"), maxsplit=1)[0]
    else:
        suffix = PurePosixPath(file_name(url)).suffix
    return suffix.lower() if suffix.lower() in SUFFIXES else ".jpg"


def image_stem(project_uid: str, task_id: int, image_number: int = 0) -> str:
    """Return a name for an image that is safe in paths and differs from all others.

    Args:
        image_number: which image of the task, from 0.
    """
    stem = f"{re.sub('[^A-Za-z0-9]', '-', project_uid)}-{task_id}"
    return f"{stem}-{image_number}" if image_number else stem
