"""Measure the time of each stage of the detector."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class Profile:
    """Seconds that each stage took, summed over all images."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time inside the block, even if it raises an error."""
        begin = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - begin

    def to_text(self, images: int) -> str:
        """Return a line per stage: total seconds, seconds per image, share of the total."""
        total = sum(self.seconds.values()) or 1.0
        lines = [f"{'stage':<12} {'seconds':>9} {'an image':>9} {'share':>6}"]
        lines += [
            f"{name:<12} {seconds:9.3f} {seconds / max(images, 1):9.3f} {seconds / total:6.1%}"
            for name, seconds in self.seconds.items()
        ]
        return "\n".join(lines)
