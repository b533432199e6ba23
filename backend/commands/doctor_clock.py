"""The doctor's check of this machine's clock against those of others."""

from collections.abc import Iterator
from datetime import datetime

from backend.commands.doctor_results import CheckResult, problem
from backend.database.connection import now

# Leases, retries and tokens last minutes.
MOST_SECONDS = 60.0


def check_clock(whose: str, moment: datetime) -> Iterator[CheckResult]:
    """Compare this machine's clock with a moment that another one has just named.

    Args:
        whose: such as `Label Studio`.
    """
    ahead = (now() - moment).total_seconds()
    if abs(ahead) > MOST_SECONDS:
        direction = "ahead of" if ahead > 0 else "behind"
        yield problem(
            "Clock",
            f"this machine is {abs(ahead) / 60:.0f} minutes {direction} {whose}: set both clocks "
            "by NTP (timedatectl set-ntp true), because leases and tokens depend on them",
        )
