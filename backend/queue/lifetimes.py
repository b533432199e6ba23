"""How long RQ keeps jobs, and which states of a job are its last."""

KEEP_RESULT_SECONDS = 600
KEEP_FAILURE_SECONDS = 7 * 24 * 3600
# States of a job that RQ has done with; in every other state it is still to come.
OVER = ("finished", "failed", "stopped", "canceled")
