"""Figures in running text."""

import math
from collections.abc import Sequence

from backend.agreement.clustered import Estimate

MOST_DIGITS = 3


def percent(share: Estimate) -> str:
    """Return a share such as "72 %", with more digits where its interval is narrow."""
    assert share.value is not None
    return f"{_written(100 * share.value, _digits(share, 100))} %"


def percent_with_interval(share: Estimate) -> str:
    """Return a share such as "72 % (64 to 79 %)"."""
    return f"{percent(share)} ({_range(share, 100)} %)"


def points_with_interval(difference: Estimate) -> str:
    """Return a difference of shares such as "5 points (2 to 8)"."""
    assert difference.value is not None
    return f"{_written(100 * difference.value, _digits(difference, 100))} points" + (
        f" ({_range(difference, 100)})"
    )


def number_with_interval(figure: Estimate, unit: str) -> str:
    """Return any other figure such as "2.5 actions an image (1.2 to 3.8)"."""
    assert figure.value is not None
    return f"{_written(figure.value, _digits(figure, 1))} {unit} ({_range(figure, 1)})"


def plain_number(value: float) -> str:
    """Return a number of three significant digits."""
    return f"{value:.3g}"


def enumerate_names(names: Sequence[str]) -> str:
    """Return names such as "1, 2 and 3"."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _range(figure: Estimate, scale: float) -> str:
    assert figure.low is not None and figure.high is not None
    digits = _digits(figure, scale)
    return " to ".join(_written(scale * end, digits) for end in (figure.low, figure.high))


def _digits(figure: Estimate, scale: float) -> int:
    """Return how many decimals keep the ends apart from the value, and from an exact 0 or 100 %.

    An interval of 0.4 to 3 % must not read "0 to 3 %".
    """
    assert figure.value is not None
    numbers = [scale * each for each in (figure.low, figure.value, figure.high) if each is not None]
    exact = (0.0, 100.0) if scale == 100 else (0.0,)
    fewest = 1 if scale == 1 and abs(figure.value) < 10 else 0
    for digits in range(fewest, MOST_DIGITS):
        rounded = [round(each, digits) for each in numbers]
        false = any(
            shown in exact and not math.isclose(shown, each, abs_tol=1e-12)
            for shown, each in zip(rounded, numbers, strict=True)
        )
        if not false and len(set(rounded)) == len(set(numbers)):
            return digits
    return MOST_DIGITS


def _written(value: float, digits: int) -> str:
    """Return a number with its thousands separated, and without a minus before 0."""
    return f"{round(value, digits) + 0.0:,.{digits}f}"
