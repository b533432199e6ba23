"""What the doctor finds, a line each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was found, and, for a problem, what to do."""

    kind: str
    about: str
    text: str

    @property
    def is_problem(self) -> bool:
        """Whether something has to be mended."""
        return self.kind == "problem"

    def __str__(self) -> str:
        return f"{self.kind:8} {self.about}: {self.text}"


def ok(about: str, text: str) -> Finding:
    """As it should be."""
    return Finding("ok", about, text)


def note(about: str, text: str) -> Finding:
    """Not wrong, but good to know."""
    return Finding("note", about, text)


def problem(about: str, text: str) -> Finding:
    """To be mended; `text` says how."""
    return Finding("problem", about, text)
