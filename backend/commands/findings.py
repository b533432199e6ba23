"""Findings of the doctor, printed one per line."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """What was checked, what was found, and, for a problem, what to do."""

    kind: Literal["ok", "note", "problem"]
    subject: str
    text: str

    @property
    def is_problem(self) -> bool:
        """Whether somebody has to act."""
        return self.kind == "problem"

    def __str__(self) -> str:
        return f"{self.kind:8} {self.subject}: {self.text}"


def ok(subject: str, text: str) -> Finding:
    """Return a finding that all is well."""
    return Finding("ok", subject, text)


def note(subject: str, text: str) -> Finding:
    """Return a finding that is not a problem, but good to know."""
    return Finding("note", subject, text)


def problem(subject: str, text: str) -> Finding:
    """Return a problem; `text` says how to solve it."""
    return Finding("problem", subject, text)
