"""Images that lie in CVAT, and how they are fetched.

A task of ours is then a frame of a task of CVAT. Whatever needs its image, such as a detection job,
a learning job or the report, fetches it by the same rules as an image in Label Studio.
"""

from urllib.parse import quote

from backend.labelstudio.client import LabelStudio
from backend.outages.breaker import Breaker

CVAT_NOT_SET = (
    "expected the address of CVAT and a token for it, but CVAT_URL or CVAT_ACCESS_TOKEN is not "
    "set: set both, for the workers as well, which read the images there"
)


def frame_address(url: str, task: int, frame: int, name: str) -> str:
    """Return the address of the image of a frame.

    Args:
        url: address of CVAT.
        frame: index of the frame in its task, from 0.
        name: of its file, which stands in the fragment: it is not sent, and names exported images.
    """
    address = f"{url}/api/tasks/{task}/data/?type=frame&quality=original&number={frame}"
    return f"{address}#{quote(name)}" if name else address


class CvatFrames(LabelStudio):
    """A source of images, in the place of a Label Studio, with the kind of token that CVAT takes.

    Only its address, its files and its authorization are used.
    """

    def __init__(self, url: str, token: str, *, agent: str, breaker: Breaker) -> None:
        super().__init__(url, None, agent=agent, breaker=breaker)
        self._bearer = token

    def authorization(self) -> dict[str, str]:
        """Return the header that authorizes a request."""
        return {"Authorization": f"Bearer {self._bearer}"}
