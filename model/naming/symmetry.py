"""What a landmark is called in the mirror image."""

import re

_OPPOSITE = {"left": "right", "right": "left", "l": "r", "r": "l"}
# A whole word, between spaces, dashes, underscores, dots or digits.
_WORD = re.compile(r"(?<![^\W\d_])(left|right|l|r)(?![^\W\d_])", re.IGNORECASE)
# A word of a name in camel case.
_CAMEL = re.compile(r"(?<=[a-z])(Left|Right|L|R)(?![a-z])|^(left|right)(?=[A-Z])")


def mirrored_name(label: str) -> str:
    """Return the name of a landmark in the mirror image: left and right change places.

    >>> mirrored_name("left eye"), mirrored_name("eye_R"), mirrored_name("wheelLeft")
    ('right eye', 'eye_L', 'wheelRight')
    >>> mirrored_name("beak"), mirrored_name("bright spot")
    ('beak', 'bright spot')
    """
    renamed = _WORD.sub(_opposite, label)
    return renamed if renamed != label else _CAMEL.sub(_opposite, label)


def _opposite(found: re.Match[str]) -> str:
    """Return the opposite side, in the same case."""
    word = found.group()
    other = _OPPOSITE[word.lower()]
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other
