"""Lifetimes of ended jobs in RQ, and the states that mean that a job has ended."""

KEEP_RESULT_SECONDS = 600
KEEP_FAILURE_SECONDS = 7 * 24 * 3600
# In any other state, RQ will still run the job.
FINAL_STATES = ("finished", "failed", "stopped", "canceled")
