"""What shortens the pauses of a web process, in a process of its own."""

import subprocess
import sys

CODE = """
import gc, threading
from backend.web import app, gunicorn_hooks
print(gc.get_freeze_count())
gunicorn_hooks.post_worker_init(None)
print(gc.get_freeze_count())
[each.join() for each in threading.enumerate() if each.name == "warm-up"]
print(gc.get_freeze_count())
print(len(gc.get_objects()))
"""


def test_collections_of_a_web_process_visit_no_libraries() -> None:
    ended = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    before, loaded, warm, visited = map(int, ended.stdout.split())
    assert before == 0
    assert loaded > 20_000, "objects of the application"
    assert warm > 1.2 * loaded, "and of what the first report needs"
    assert visited < 0.05 * warm
