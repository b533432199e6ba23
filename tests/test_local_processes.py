import os
import signal
import subprocess
import sys

import pytest
from serving import ROOT, eventually, lives

from backend.local.processes import end, spawn

# Prints its process id and then does nothing for longer than any test lasts.
SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"

DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEPER


def test_a_process_that_does_not_listen_is_killed_after_its_grace(tmp_path):
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = spawn([sys.executable, "-c", DEAF], output=output)
    assert eventually(lambda: log.read_bytes() != b"")

    end(process, grace=0.1)

    assert process.returncode == -signal.SIGKILL


def test_what_a_process_started_ends_with_it(tmp_path):
    log = tmp_path / "log"
    starts_another = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {DEAF!r}])"
    with log.open("wb") as output:
        process = spawn([sys.executable, "-c", starts_another], output=output)
    assert eventually(lambda: log.read_bytes().endswith(b"\n"))
    grandchild = int(log.read_text())

    end(process, grace=5)

    assert eventually(lambda: not lives(grandchild))


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a child of its parent's death"
)
@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_does_not_outlive_a_parent_that_dies_by(death, tmp_path):
    parent_script = (
        "import sys, time; from backend.local.processes import spawn;"
        f"spawn([sys.executable, '-c', {SLEEPER!r}]); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", parent_script], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert lives(child)

    os.kill(parent.pid, death)
    parent.wait()
    parent.stdout.close()

    assert eventually(lambda: not lives(child))
