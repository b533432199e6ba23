"""Numbers and times in words, for the status page."""

from datetime import datetime

_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def say_duration(seconds: float) -> str:
    """Say a duration with its largest unit, and the next one where that matters."""
    left = max(0.0, seconds)
    for place, (size, unit) in enumerate(_UNITS):
        if left >= size:
            whole, rest = divmod(left, size)
            smaller, name = _UNITS[place + 1] if place + 1 < len(_UNITS) else (1.0, "s")
            more = int(rest // smaller)
            return (
                f"{int(whole)} {unit} {more} {name}"
                if whole < 10 and more
                else f"{whole:.0f} {unit}"
            )
    return f"{left:.0f} s"


def say_age(since: datetime | None, moment: datetime) -> str:
    """Say how long ago something was; a dash for never."""
    return "–" if since is None else say_duration((moment - since).total_seconds())


def say_count(count: int, noun: str) -> str:
    """Say a number of things, with thousands apart."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"
