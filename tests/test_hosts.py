"""Workers on hosts of their own, in a short form of `hosts_run`, with real network namespaces."""

from pathlib import Path

import pytest
from hosts_run import Arrived, Case, as_table, numbers_for, run, why_not

REASON = why_not()


@pytest.mark.skipif(REASON is not None, reason=REASON or "")
def test_a_worker_that_loses_the_network_for_a_while_harms_nothing(tmp_path: Path) -> None:
    arrived = run(tmp_path, workers=2, tasks=60, seconds=12)
    assert (arrived.predictions, arrived.doubles) == (60, 0)
    assert arrived.during > 0
    assert arrived.seconds is not None
    assert arrived.tracebacks == 0


def test_rates_are_compared_with_that_of_one_host_where_nothing_was_cut() -> None:
    spent = {"worker": 35.46, "web process": 0.25, "Redis": 0.73}
    one = (Case(1, 300), Arrived(300, 0, 0, 30.0, spent, 0.1, 0))
    two = (Case(2, 300), Arrived(300, 0, 0, 20.0, spent, 0.2, 0))
    cut = (Case(2, 300, 60.0), Arrived(299, 1, 250, None, spent, 0.2, 3))
    assert as_table([one, two, cut]).splitlines()[2:] == [
        "| 1 host, nothing is cut | 300 of 300 | 0 | – | 30 | 10.0, 1.00 "
        "| 35.5 | 0.2 | 0.7 | 0.10 | 0 |",
        "| 2 hosts, nothing is cut | 300 of 300 | 0 | – | 20 | 15.0, 1.50 "
        "| 35.5 | 0.2 | 0.7 | 0.20 | 0 |",
        "| 2 hosts, the network of one is cut for 60 s | 299 of 300 | 1 | 250 | never | – "
        "| 35.5 | 0.2 | 0.7 | 0.20 | 3 |",
    ]
    assert (numbers_for(2), numbers_for(16)) == ([1, 2], [1, 2, 4, 8])
