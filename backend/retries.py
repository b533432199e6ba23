"""The retry policy: every backoff, retry limit and test for temporary failures of the backend."""

import math
from dataclasses import dataclass
from datetime import timedelta

import requests


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

    def pauses(self, retries: int) -> list[float]:
        """Return the pauses, in s, before each of a number of retries."""
        return [self.pause(failures) for failures in range(retries)]


# A detection job that failed temporarily; the setting JOB_RETRIES gives the number of retries.
DETECTION_JOB = Backoff(first=5.0, factor=3.0, longest=300.0)
# Largest number of starts of a detection job whose worker dies, perhaps for lack of memory.
MOST_DETECTION_ATTEMPTS = 10

# Largest number of starts of a training whose process dies without finishing an epoch.
MOST_TRAINING_ATTEMPTS = 3

# A prediction that could not be delivered to Label Studio; given up a day after it was made.
DELIVERY = Backoff(first=15.0, factor=2.0, longest=600.0)
DELIVERY_GIVEN_UP_AFTER = timedelta(days=1)

# An image of a training that could not be fetched because of a temporary failure.
TRAINING_IMAGE = Backoff(first=1.0, factor=5.0, longest=5.0)
TRAINING_IMAGE_RETRIES = 2

# A worker that lost Redis keeps reconnecting; pauses start over after a connection that lasted
# longer than the longest pause.
WORKER_REDIS = Backoff(first=0.5, factor=2.0, longest=10.0)

# A command of the web process to Redis: one quick retry, because a person waits for the answer.
WEB_REDIS = Backoff(first=0.05)
WEB_REDIS_RETRIES = 1

# The switch of an SQLite database to write-ahead, while another process makes the same switch.
SQLITE_JOURNAL = Backoff(first=0.01)

# A child process of `serve` that died; pauses start over after it has run steadily for this long.
CHILD_PROCESS = Backoff(first=0.5, factor=2.0, longest=30.0)
CHILD_STEADY_SECONDS = 60.0


def status_may_pass(status: int) -> bool:
    """Return whether an HTTP status is temporary: timeouts, rate limits and server errors."""
    return status in (408, 425, 429) or status >= 500


def error_may_pass(error: Exception) -> bool:
    """Return whether an HTTP request that got no answer may succeed later.

    Malformed addresses (ValueErrors of requests and urllib3) and refused certificates are
    permanent failures.
    """
    return not isinstance(error, ValueError | requests.exceptions.SSLError)
