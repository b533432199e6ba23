"""Results of the doctor's checks, printed one per line."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class CheckResult:
    """The result of one check; for a problem, `text` says how to solve it."""

    kind: Literal["ok", "note", "problem"]
    subject: str
    text: str

    @property
    def is_problem(self) -> bool:
        """Whether the deployment has to be changed."""
        return self.kind == "problem"

    def __str__(self) -> str:
        return f"{self.kind:8} {self.subject}: {self.text}"


def ok(subject: str, text: str) -> CheckResult:
    """Return the result of a check that passed."""
    return CheckResult("ok", subject, text)


def note(subject: str, text: str) -> CheckResult:
    """Return information that is not a problem."""
    return CheckResult("note", subject, text)


def problem(subject: str, text: str) -> CheckResult:
    """Return a problem; `text` says how to solve it."""
    return CheckResult("problem", subject, text)
