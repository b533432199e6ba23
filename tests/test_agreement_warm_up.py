"""A web process loads what its first report needs before somebody waits for it."""

import subprocess
import sys

import pytest

LIBRARIES = ("scipy.optimize", "scipy.special", "matplotlib.backends.backend_svg")
CODE = """
import sys
from backend.web import gunicorn_hooks
def loaded(): return [name for name in {libraries} if name in sys.modules]
print(loaded())
gunicorn_hooks.post_worker_init(None)
import threading
[each.join() for each in threading.enumerate() if each.name == "warm-up"]
print(loaded())
from backend.agreement.report import _environment
print(_environment().cache.keys() != [])
"""


@pytest.fixture(scope="module")
def printed() -> list[str]:
    code = CODE.format(libraries=LIBRARIES)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_nothing_of_it_is_loaded_at_the_start(printed: list[str]) -> None:
    assert printed[0] == "[]"


def test_it_is_loaded_in_the_background_of_each_process(printed: list[str]) -> None:
    assert printed[1] == str(list(LIBRARIES))
    assert printed[2] == "True"
