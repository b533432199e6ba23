"""What decoding in another process costs: `PYTHONPATH=.:tests python tests/decoding_cost.py`.

Prints, for each size, the median and the fastest of alternating calls, here and in a decoding
process. On a busy machine the fastest say what it costs, and the medians how long one waits for a
processor.
"""

import io
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from PIL import Image

from backend.labelstudio.decoders import Decoders, DecodingLimits
from model.decoding import decode

SIZES = ((640, 480), (1920, 1080), (4000, 3000))
CALLS = 51


def photograph(width: int, height: int) -> bytes:
    """A JPEG about as hard to decode as a photograph of this size."""
    coarse = np.random.default_rng(0).integers(
        0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8
    )
    stream = io.BytesIO()
    Image.fromarray(coarse).resize((width, height)).save(stream, "JPEG", quality=85)
    return stream.getvalue()


def milliseconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return 1e3 * (time.perf_counter() - began)


def main() -> None:
    decoders = Decoders(DecodingLimits(10.0, 50_000_000))
    decoders.decode(photograph(64, 64))  # starts the process
    for width, height in SIZES:
        data = photograph(width, height)
        pairs = [
            (milliseconds(lambda: decode(data)), milliseconds(lambda: decoders.decode(data)))  # noqa: B023
            for _ in range(CALLS)
        ]
        here, there = zip(*pairs, strict=True)
        print(
            f"{width} × {height}: median {median(here):.1f} ms here, {median(there):.1f} there; "
            f"fastest {min(here):.1f} ms here, {min(there):.1f} there"
        )
    decoders.close()


if __name__ == "__main__":
    main()
