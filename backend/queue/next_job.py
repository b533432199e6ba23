"""The job that a worker will take next, chosen while it still runs another one.

Each of several workers chooses another job at the front of a queue, and puts it first when it is
about to take one. So jobs are hardly taken in another order. A choice is no promise: another
worker may take the job meanwhile, and a worker that dies has changed nothing that matters.
"""

from rq import Queue
from rq.utils import as_text

CHOSEN_SECONDS = 60
# As many jobs at the front are looked at as all workers together may have chosen.
FRONT = 200
_CHOSEN = "prelabelling:chosen:"
_CHOOSE = """
for _, name in ipairs(redis.call('LRANGE', KEYS[1], 0, ARGV[1])) do
  if redis.call('SET', ARGV[2] .. name, 1, 'NX', 'EX', ARGV[3]) then return name end
end
return false
"""
_PUT_FIRST = """
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('LPUSH', KEYS[1], ARGV[1])
return 1
"""


def choose_next(queue: Queue) -> str | None:
    """Choose the first job of a queue that no worker has chosen, and return its id.

    Raises:
        RedisError: Redis cannot be reached.
    """
    arguments = (queue.key, FRONT - 1, _CHOSEN, CHOSEN_SECONDS)
    chosen = queue.connection.eval(_CHOOSE, 1, *arguments)
    return None if chosen is None else str(as_text(chosen))


def put_first(queue: Queue, job_id: str) -> bool:
    """Put a job first in its queue, and return False if it is no longer there.

    Raises:
        RedisError: Redis cannot be reached.
    """
    return bool(queue.connection.eval(_PUT_FIRST, 1, queue.key, job_id))
