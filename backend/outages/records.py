"""Outages and waiting work, as the rest of the program sees them."""

from dataclasses import dataclass, replace
from datetime import datetime

# Begins the reason of work that has waited for longer than GIVE_UP_AFTER.
GIVEN_UP = "waited for too long (GIVE_UP_AFTER): "


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which work is meant; None for all.

    Attributes:
        reason: a part of the reason; an … in it stands for any text, as in `WaitCount.reason`.
        with_queued: whether to count what a worker can take as well.
    """

    project_uid: str | None = None
    reason: str | None = None
    with_queued: bool = True


@dataclass(frozen=True, slots=True)
class Outage:
    """A service whose latest requests failed for reasons that lie outside of the tasks.

    Attributes:
        service: what failed, such as `API of http://label-studio:8080`.
        failures: in a row.
        is_away: whether they are enough to send it nothing but probes.
        probe_at: when the next probe may be sent.
        reason: of the latest failure.
    """

    service: str
    since: datetime
    failures: int
    is_away: bool
    probe_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Cause:
    """Why work has to wait, which lies outside of it.

    Attributes:
        away: the service that it waits for; None to try again after a pause.
        sent: whether this work has made a request; False if it found the service away.
        retry_after: s that the service asked to wait.
    """

    reason: str
    away: str | None = None
    sent: bool = True
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class WaitCount:
    """Rows of a table in the same state for the same reason.

    Attributes:
        kind: `prediction`, `delivery`, `corrected image` or `training`.
        state: `queued` if a worker can take them, `waiting` for something outside of them,
            `failed`, or `given up` after waiting for too long.
        reason: without what differs from task to task, such as the path of an image.
        service: the service that they wait for.
        oldest: when the first of them was asked for.
    """

    kind: str
    project_uid: str
    state: str
    reason: str
    service: str | None
    count: int
    oldest: datetime

    def joined(self, other: "WaitCount") -> "WaitCount":
        """Return the count of both, which differ in nothing else."""
        return replace(self, count=self.count + other.count, oldest=min(self.oldest, other.oldest))
