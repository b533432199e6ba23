"""A task of CVAT as the backend sees it: a project of ours, of which each frame is a task."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

from backend.hosts.cvat_client import Cvat, CvatError
from backend.hosts.cvat_labels import PointLabels, point_labels
from backend.hosts.cvat_schemas import Annotations, CvatShape, Frame, Job, Label, Task
from backend.labelstudio.cvat_frames import frame_address
from backend.labelstudio.project_uids import CVAT_PREFIX
from backend.labelstudio.shapes import LONGEST_UID, Json, read_each

# A frame's number as a task of ours is task × MOST_FRAMES + frame, and that of its annotation in a
# job is job × MOST_FRAMES + frame.
MOST_FRAMES = 1_000_000


@dataclass(frozen=True, slots=True)
class CvatTask:
    """A task of images in CVAT.

    Attributes:
        uid: of the project of ours: that of CVAT if the task has one, so that its tasks learn
            together, else the task itself.
        frames: number → frame, without deleted ones.
    """

    id: int
    url: str
    uid: str
    labels: PointLabels
    frames: Mapping[int, Frame]
    jobs: Sequence[Job]

    def number_of(self, frame: int) -> int:
        """Return the id of the task of ours that a frame is."""
        return self.id * MOST_FRAMES + frame

    def image_of(self, frame: int) -> str:
        """Return the address of the image of a frame."""
        return frame_address(self.url, self.id, frame, self.frames[frame].name or "")

    def frames_of(self, job: Job) -> Iterator[int]:
        """Yield the numbers of the frames of a job, without deleted ones."""
        for number in range(job.start_frame, job.stop_frame + 1):
            if number in self.frames:
                yield number


@dataclass(frozen=True, slots=True)
class FrameShapes:
    """What a job has on one frame, of labels of keypoints.

    Attributes:
        raw: the same as `shapes`, as CVAT sent it.
        has_track: whether a track begins there.
    """

    shapes: tuple[CvatShape, ...] = ()
    raw: tuple[Json, ...] = ()
    has_track: bool = False


def load_task(cvat: Cvat, task_id: int, chosen: Sequence[str] = ()) -> CvatTask:
    """Fetch a task with its labels, frames and jobs.

    Args:
        chosen: see `point_labels`.

    Raises:
        CvatError: CVAT cannot be asked, the task is no task of images, or its labels do not suit.
    """
    task = cvat.task(task_id)
    _require_images(task)
    labels = point_labels(cvat.labels(task), chosen)
    meta = cvat.frames(task_id)
    deleted = set(meta.deleted_frames)
    if len(meta.frames) > MOST_FRAMES:
        raise CvatError(
            f"expected a task of at most {MOST_FRAMES} frames, got {len(meta.frames)}: split it"
        )
    frames = {n: frame for n, frame in enumerate(meta.frames) if n not in deleted}
    return CvatTask(task_id, cvat.url, uid_of(cvat.url, task), labels, frames, cvat.jobs(task))


def task_labels(cvat: Cvat, task_id: int) -> tuple[str, list[Label]]:
    """Fetch the uid of the project of ours that a task belongs to, and its labels.

    Raises:
        CvatError: as `load_task`, but for the labels.
    """
    task = cvat.task(task_id)
    _require_images(task)
    return uid_of(cvat.url, task), cvat.labels(task)


def uid_of(url: str, task: Task) -> str:
    """Return the uid of the project of ours for a task: where it is, and of what."""
    parts = urlsplit(url)
    place = f"{parts.netloc}{parts.path}"
    whole = f"task/{task.id}" if task.project_id is None else f"project/{task.project_id}"
    uid = f"{CVAT_PREFIX}{place}/{whole}"
    if len(uid) > LONGEST_UID:
        uid = f"{CVAT_PREFIX}{sha256(place.encode()).hexdigest()[:16]}/{whole}"
    return uid


def shapes_by_frame(found: Annotations, labels: PointLabels) -> dict[int, FrameShapes]:
    """Return what annotations have on each frame, of labels of keypoints."""
    by_frame: dict[int, FrameShapes] = {}
    for raw in found.shapes:
        for shape in read_each(CvatShape, [raw]):
            if shape.label_id not in labels.shape_label_ids:
                continue
            if shape.type not in ("points", "skeleton"):
                continue
            before = by_frame.get(shape.frame, FrameShapes())
            by_frame[shape.frame] = FrameShapes((*before.shapes, shape), (*before.raw, raw))
    for raw in found.tracks:
        if isinstance(frame := raw.get("frame"), int):
            before = by_frame.get(frame, FrameShapes())
            by_frame[frame] = FrameShapes(before.shapes, before.raw, has_track=True)
    return by_frame


def _require_images(task: Task) -> None:
    is_video = task.mode == "interpolation" or task.data_original_chunk_type == "video"
    if is_video or (task.dimension or "2d") != "2d":
        what = "a video" if is_video else "3D data"
        raise CvatError(
            f"expected a task of images, but task {task.id} has {what}: make a task of its frames "
            "as images, such as JPEG files"
        )
    if not task.size:
        raise CvatError(f"expected a task of images, but task {task.id} has none: upload them")
