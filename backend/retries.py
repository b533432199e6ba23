"""The retry policy: every backoff and retry limit of the backend."""

import math
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between attempts, each a fixed multiple of the one before, up to a limit.

    Attributes:
        first: pause after the first failure, s.
        factor: ratio of one pause to the one before; 1 for equal pauses.
        longest: no pause is longer, s.
    """

    first: float
    factor: float = 1.0
    longest: float = math.inf

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after one more failure.

        Args:
            failures: how many failures in a row came before this one.
        """
        try:
            return min(self.first * self.factor**failures, self.longest)
        except OverflowError:
            return self.longest

    def grown(self, waited: float) -> float:
        """Return the seconds to wait after failures that have lasted for so long.

        Each pause is as long as all before it together.
        """
        return min(max(self.first, waited), self.longest)

    def pauses(self, retries: int) -> list[float]:
        """Return the pauses, in s, before each of a number of retries."""
        return [self.pause(failures) for failures in range(retries)]


def jittered(pause: float) -> float:
    """Return a pause up to a quarter shorter or longer, so that many do not end at once."""
    return pause * random.uniform(0.75, 1.25)


# No pause of this module is longer, s; nor one that a service asks for with Retry-After.
LONGEST_PAUSE = 3600.0

# A job that failed: for an unknown reason, as often as the setting JOB_RETRIES says; for a reason
# that lies outside of its task, for as long as GIVE_UP_AFTER says.
DETECTION_JOB = Backoff(first=5.0, factor=3.0, longest=300.0)
WAIT = Backoff(first=5.0, factor=2.0, longest=300.0)

# A service that is away gets one request at a time, after these pauses, to find out whether it is
# back. Errors of single requests make it away only if there are so many in a row.
PROBE = Backoff(first=2.0, factor=2.0, longest=10.0)
FAILURES_UNTIL_AWAY = 3
# Largest number of starts of a detection job whose worker dies, perhaps for lack of memory.
MOST_DETECTION_ATTEMPTS = 10

# Largest number of starts of a training whose process dies without finishing an epoch.
MOST_TRAINING_ATTEMPTS = 3

# A prediction that could not be delivered to Label Studio; given up after GIVE_UP_AFTER.
DELIVERY = Backoff(first=15.0, factor=2.0, longest=600.0)

# A pull of annotations that failed; it is never further away than the next regular one.
PULL = Backoff(first=15.0, factor=2.0, longest=3600.0)

# An image of a training that could not be fetched because of a temporary failure.
TRAINING_IMAGE = Backoff(first=1.0, factor=5.0, longest=5.0)
TRAINING_IMAGE_RETRIES = 2

# A worker that lost Redis keeps reconnecting; pauses start over after a connection that lasted
# longer than the longest pause.
WORKER_REDIS = Backoff(first=0.5, factor=2.0, longest=10.0)

# A command of the web process to Redis: one quick retry, because a person waits for the answer.
WEB_REDIS = Backoff(first=0.05)
WEB_REDIS_RETRIES = 1

# A Redis that cannot count the requests of projects is asked again.
REQUEST_LIMIT = Backoff(first=5.0)

# The switch of an SQLite database to write-ahead, while another process makes the same switch.
SQLITE_JOURNAL = Backoff(first=0.01)
# A transaction that writes to SQLite, while another one does.
SQLITE_LOCK = Backoff(first=0.002)

# A child process of `serve` that died; pauses start over after it has run steadily for this long.
CHILD_PROCESS = Backoff(first=0.5, factor=2.0, longest=30.0)
CHILD_STEADY_SECONDS = 60.0
