"""What a machine has for workers: processor cores and memory."""

import math
import os
from pathlib import Path

# More workers than that are for an operator to choose: each holds networks of its own.
MOST_DETECTION_WORKERS = 4
# For a worker with the largest network of the presets.
MEMORY_OF_A_WORKER = 2 * 2**30

_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")


def processor_cores(cpu_limit: Path = _CPU_LIMIT) -> int:
    """Return the number of cores that this process may use; at least 1.

    Args:
        cpu_limit: file of the limit of a container, as cgroup v2 has it: quota and period, or
            "max" for none.
    """
    cores = len(os.sched_getaffinity(0))
    quota, _, period = _first_line(cpu_limit).partition(" ")
    if quota.isdigit() and period.isdigit():
        cores = min(cores, math.ceil(int(quota) / int(period)))
    return max(1, cores)


def memory(memory_limit: Path = _MEMORY_LIMIT) -> int:
    """Return the bytes of memory of this machine, or of this container if it has a limit."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _first_line(memory_limit)
    return min(found, int(limit)) if limit.isdigit() else found


def detection_workers_for(cores: int, memory: int) -> int:
    """Return how many detection workers suit a machine: one a core, as far as memory allows.

    Two workers of one thread each do more than one worker of two threads, and hold up beside other
    programs: where a core is taken, the threads of one worker wait for each other.
    """
    return max(1, min(cores, MOST_DETECTION_WORKERS, memory // MEMORY_OF_A_WORKER))


def _first_line(path: Path) -> str:
    """Return the first line of a file; empty if there is none."""
    try:
        return path.read_text().partition("\n")[0]
    except OSError:
        return ""
