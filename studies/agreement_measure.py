"""Time one request of the web process and its memory, in a process that does nothing else.

Run as `python -m studies.agreement_measure PATH REPEATS`, with the backend's environment variables.
"""

import json
import re
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Request:
    """What a request took.

    Attributes:
        seconds: the first time, from the request to the last byte.
        processor: seconds of the processor for it.
        repeated: seconds of every further time.
        peak_mb: most memory that the process ever held, with Python and its libraries, 10⁶ bytes.
        answer_mb: size of the answer, 10⁶ bytes.
    """

    seconds: float
    processor: float
    repeated: list[float]
    peak_mb: float
    answer_mb: float


def measure(path: str, repeats: int) -> Request:
    """Request a path from the application that gunicorn serves, again and again.

    Raises:
        RuntimeError: the answer is an error.
    """
    from backend.agreement.warm_up import warm_up
    from backend.web.app import create_from_environment

    warm_up()  # as every web process does in the background
    client = create_from_environment().test_client()
    seconds, processor, size = [], [], 0
    for _ in range(1 + repeats):
        start, working = time.perf_counter(), time.process_time()
        answer = client.get(path, buffered=False)
        size = sum(len(piece) for piece in answer.iter_encoded())
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - working)
        if answer.status_code != 200:
            raise RuntimeError(f"expected an answer to {path}, got status {answer.status_code}")
        answer.close()
    first, *others = seconds
    return Request(first, processor[0], others, peak_mb(), size / 1e6)


def peak_mb() -> float:
    """Return the most memory that this process ever held, 10⁶ bytes.

    Linux counts what the process that started this one held as well in `ru_maxrss`, but not here.
    """
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    kilobytes = int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * 1024 / 1e6


if __name__ == "__main__":
    print(json.dumps(asdict(measure(sys.argv[1], int(sys.argv[2])))))
