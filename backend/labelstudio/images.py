"""Images of tasks: where they may come from, how large they may be, and their pixels.

Addresses come from task data, which anyone who imports tasks can write. So private hosts are
refused (see `guarded_connections`), and Label Studio's token is sent to its own origin only.
"""

import base64
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import parse_qsl, urljoin, urlsplit

import numpy as np
import requests
from numpy.typing import NDArray
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from backend.durations.recorder import measured_stage
from backend.labelstudio.addresses import Location
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.data_uris import content_of, too_large
from backend.labelstudio.decoders import DecodingLimits, decoders
from backend.labelstudio.errors import (
    LabelStudioError,
    RequestFailed,
    error_may_pass,
    innermost,
    is_refused_connection,
    retry_after,
    status_may_pass,
    watched,
)
from backend.labelstudio.guarded_connections import GuardedConnections, PrivateAddressError
from backend.labelstudio.image_paths import is_file, is_image, refusal
from backend.labelstudio.projects import LabelStudios, Project
from backend.labelstudio.web_pages import START, first_line, is_web_page
from backend.settings import Settings

WHOLE_TIMEOUT = 120.0  # s, including redirects
REDIRECTS = 5
READ_BYTES = 1 << 16  # bytes read at a time
CODINGS = ("", "identity", "gzip", "x-gzip", "deflate", "br")  # of `Content-Encoding`

# Storage for which Label Studio itself has the keys.
CLOUD = ("s3", "gs", "azure-blob")
RESOLVE = "/resolve/?fileuri="


class ImageFetchError(RequestFailed):
    """An image could not be fetched; str() is a sentence for a person."""


class Images:
    """Images of tasks, fetched and decoded under the same rules for jobs, training and report.

    The rules are the settings MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS, DECODE_TIMEOUT and
    IMAGE_HOSTS.
    """

    def __init__(self, settings: Settings, studios: LabelStudios) -> None:
        self._settings = settings
        self._studios = studios
        self._limits = DecodingLimits(settings.decode_timeout, settings.max_image_pixels)

    def content(self, project: Project, image_url: str, task_id: int) -> bytes:
        """Fetch the bytes of a task's image, whatever they are.

        Args:
            project: whose Label Studio the image belongs to.
            image_url: the address in the task data; see `fetch`.
            task_id: id of the task that shows the image.

        Raises:
            ImageFetchError: the image cannot be fetched, or its address is not allowed.
            NotDeliverable: the image is in Label Studio, whose address is not known.
        """
        return fetch(
            image_url,
            self._studios.for_image(project, image_url),
            max_bytes=self._settings.max_image_bytes,
            hosts=self._settings.image_hosts,
            task_id=task_id,
        )

    def decode(self, content: bytes) -> NDArray[np.uint8]:
        """Decode the bytes of an image in a process that may be killed (see `decoders`).

        Returns:
            (H, W, 3) uint8, RGB, upright.

        Raises:
            UnreadableImage: the bytes are not an image, are damaged, have too many pixels, or take
                too long or too much memory.
            MemoryError, OSError: the machine has no memory or processes for it now.
        """
        return decoders(self._limits).decode(content)

    def picture(self, project: Project, image_url: str, task_id: int) -> NDArray[np.uint8]:
        """Fetch and decode a task's image; arguments and errors as of `content` and `decode`.

        Returns:
            (H, W, 3) uint8, RGB, upright.
        """
        with measured_stage("fetch"):
            content = self.content(project, image_url, task_id)
        with measured_stage("decode"):
            return self.decode(content)


def fetch(
    url: str,
    label_studio: LabelStudio,
    *,
    max_bytes: int,
    hosts: Sequence[str] = (),
    task_id: int | None = None,
) -> bytes:
    """Fetch the bytes of an image, whatever they are.

    Args:
        url: the address in the task data: an upload or local file of Label Studio, http(s),
            `data:`, or, with `task_id`, an object of cloud storage for which Label Studio has keys.
        label_studio: whose files and token are used.
        max_bytes: larger answers are refused.
        hosts: names of hosts that may have private addresses, besides Label Studio's.
        task_id: id of the task that shows the image.

    Raises:
        ImageFetchError: the image cannot be fetched, or its address is not allowed.
    """
    if not isinstance(url, str) or not url.strip():
        raise ImageFetchError(f"expected the address of an image, got {url!r}")
    url = url.strip()
    scheme = url.partition(":")[0].lower()
    if scheme == "data":
        try:
            return content_of(url, max_bytes)
        except ValueError as error:
            raise ImageFetchError(str(error)) from None
    if scheme in CLOUD and task_id is not None:
        uri = base64.urlsafe_b64encode(url.encode()).decode()
        url = f"/tasks/{task_id}{RESOLVE}{uri}"
    location = label_studio.location(url)
    with watched(label_studio.breaker, _service(location), ImageFetchError):
        return _fetch(location, label_studio, max_bytes, hosts)


def _service(location: Location) -> str:
    """Name the host that has an image, for the breaker."""
    try:
        parts = parse_url(location.url)
    except ValueError:
        return "image host at an address that cannot be read"
    return f"image host {parts.scheme}://{parts.netloc}"


def _fetch(
    location: Location, label_studio: LabelStudio, max_bytes: int, hosts: Sequence[str]
) -> bytes:
    with GuardedConnections(WHOLE_TIMEOUT) as connections:
        try:
            content = _download(connections, location, label_studio, max_bytes, hosts)
        except PrivateAddressError as error:
            raise _private(error) from None
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            if not connections.timed_out:
                raise _no_answer(error, location.shown) from None
    if connections.timed_out:
        raise ImageFetchError(
            f"expected all of {location.shown} within {WHOLE_TIMEOUT:g} s, got only a part of it",
            retryable=True,
        )
    return content


def _download(
    connections: GuardedConnections,
    location: Location,
    label_studio: LabelStudio,
    max_bytes: int,
    hosts: Sequence[str],
) -> bytes:
    trusted, studio = True, label_studio.url
    for redirected in range(REDIRECTS + 1):
        if not location.url.lower().startswith(("http://", "https://")):
            raise ImageFetchError(_unsupported(location.url))
        # Label Studio itself may redirect to any of its paths, such as the page to log in at.
        if location.own and not ((redirected and trusted) or is_image(location.url, studio)):
            raise ImageFetchError(refusal(replace(location, own=False).shown))  # without its query
        # Another host's redirect chose the target, so the token is not sent from here on.
        trusted = trusted and location.own
        with_token = trusted and is_file(location.url, studio)
        host = (parse_url(location.url).host or "").lower()
        connections.allow_private = location.own or host in hosts
        headers = {
            "Accept": "image/*, */*;q=0.1",
            "Accept-Encoding": "identity",
            "User-Agent": label_studio.agent,
        }
        if with_token:
            headers |= _authorization(label_studio)
        with connections.get(location.url, headers) as answer:
            if not answer.is_redirect:
                _check_status(answer, location, trusted=with_token)
                return _body(answer, location.shown, max_bytes)
            target = urljoin(location.url, _text_of_header(answer.headers["Location"]))
        location = label_studio.location(target)
    raise ImageFetchError(
        f"expected at most {REDIRECTS} redirects, got more, the last to {location.shown}"
    )


def _authorization(label_studio: LabelStudio) -> dict[str, str]:
    try:
        return label_studio.authorization()
    except LabelStudioError as error:
        raise ImageFetchError(str(error), retryable=error.retryable) from None


def _text_of_header(value: str) -> str:
    """Read a header as browsers do: as UTF-8, if it is; `requests` always reads Latin-1."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _check_status(answer: requests.Response, location: Location, *, trusted: bool) -> None:
    """Raise `ImageFetchError`, with a hint at what to do, unless the status is one of success.

    Proxies that change images answer 203. With 206, only a part would come.
    """
    status = answer.status_code
    if status in (200, 203):
        return
    hint = ""
    if status in (401, 403) and trusted:
        hint = ": Label Studio does not accept the token; python -m backend doctor says what to set"
    elif status == 404 and trusted and RESOLVE in location.url:
        hint = ": is the cloud storage that the task came from still connected to its project?"
    said = _what_was_said(answer, location)
    raise ImageFetchError(
        f"expected an image at {location.shown}, got status {status}{said}{hint}",
        retryable=status_may_pass(status),
        status=status,
        retry_after=retry_after(answer.headers),
    )


def _what_was_said(answer: requests.Response, location: Location) -> str:
    """Return the first line of an answer without an image, in quotation marks; empty for none."""
    try:
        content = next(answer.iter_content(START), b"")
    except (requests.RequestException, HTTPError, OSError):  # the status says enough
        return ""
    parts = urlsplit(location.url)
    values = [value for _, value in parse_qsl(parts.query)]
    line = first_line(content, [parts.query, *values, parts.password or ""])
    return f" and “{line}”" if line else ""


def _body(answer: requests.Response, shown: str, max_bytes: int) -> bytes:
    """Read the body of an answer, refusing one that is too large or a web page."""
    announced = answer.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise ImageFetchError(too_large(shown, max_bytes))
    coding = answer.headers.get("Content-Encoding", "").strip().lower()
    if coding not in CODINGS:
        raise ImageFetchError(
            f"expected an image at {shown} as it is or packed by gzip, deflate or br, got it "
            f"packed by {coding[:40]!r}: set up its server to send images unpacked"
        )
    content = bytearray()
    for part in answer.iter_content(READ_BYTES):
        content += part
        if len(content) > max_bytes:
            raise ImageFetchError(too_large(shown, max_bytes))
    if is_web_page(content):
        raise ImageFetchError(
            f"expected an image at {shown}, got a web page, perhaps one to log in at: "
            "images must be readable without a browser's session",
            retryable=True,
        )
    return bytes(content)


def _unsupported(url: str) -> str:
    """Return the message for an address that cannot be fetched: what to do instead."""
    scheme = url.partition(":")[0].lower()
    got = f"expected an address that can be fetched, got {url[:100]}"
    if scheme in CLOUD:
        return (
            f"{got}: switch on pre-signed URLs in the project's cloud storage settings in Label "
            "Studio, so that it hands out https addresses"
        )
    if scheme == "file":
        return (
            f"{got}: files on a disk come through Label Studio; add their folder to the project as "
            "local storage (LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true)"
        )
    return f"{got}: expected http://, https://, data: or a path of Label Studio such as /data/..."


def _private(error: PrivateAddressError) -> ImageFetchError:
    return ImageFetchError(
        f"expected an image at a public address or at Label Studio's, got {error}: if that is "
        f"Label Studio, set LABEL_STUDIO_URL; if images are stored there, add {error.host} to "
        "IMAGE_HOSTS"
    )


def _no_answer(error: Exception, shown: str) -> ImageFetchError:
    if isinstance(error, ValueError):
        message = f"expected the address of an image, got {shown}: {error}"
    elif isinstance(error, requests.exceptions.SSLError):
        message = (
            f"expected a certificate of {shown} that can be trusted, got {innermost(error)}: "
            "set REQUESTS_CA_BUNDLE to a file with the certificate of its authority"
        )
    else:
        message = f"expected an image at {shown}, got no complete answer: {innermost(error)}"
    return ImageFetchError(
        message,
        retryable=error_may_pass(error),
        refused_connection=is_refused_connection(error),
    )
