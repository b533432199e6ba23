"""Workers on hosts of their own, in a short form of `hosts_run`, with real network namespaces."""

from pathlib import Path

import pytest
from hosts_run import run, why_not

REASON = why_not()


@pytest.mark.skipif(REASON is not None, reason=REASON or "")
def test_a_worker_that_loses_the_network_for_a_while_harms_nothing(tmp_path: Path) -> None:
    arrived = run(tmp_path, workers=2, tasks=60, seconds=12)
    assert (arrived.predictions, arrived.doubles) == (60, 0)
    assert arrived.during > 0
    assert arrived.seconds is not None
    assert arrived.tracebacks == 0
