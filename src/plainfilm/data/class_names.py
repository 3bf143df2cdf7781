"""Which of two classes is the positive one, by their names."""

import re

from plainfilm.data.cataloguing.level_names import is_finding, tokens
from plainfilm.data.spelling import spelling_key

_NEGATIVE = frozenset(
    "normal normals negative negatives neg healthy control controls no none clear benign false absent unremarkable 0 - "
    "nofinding nofindings nodisease gesund unauffaellig unauffällig sain saine sano sana negativ negatif négatif negativo".split()
)
_DENIALS = frozenset("no non not without minus free absent absence negative neg ohne kein keine sans sin".split())
_DEGREES = {"mild", "moderate", "severe", "acute", "chronic", "early", "late", "typical", "atypical", "active", "old"}


def positive_of(first: str, second: str) -> str | None:
    """Give the positive one of two classes: the one whose name denies no finding.

    A name denies one if it is normal, negative and the like, if it begins with non-, not-, no-, un- or without, or if it
    holds the name of the other class. `Viral pneumonia` beside `pneumonia` denies nothing. None where neither or both do.
    """
    for denies in (_is_negative, _has_denial):
        said = [denies(first, second), denies(second, first)]
        if any(said):
            return None if all(said) else second if said[0] else first
    return None


def _is_negative(name: str, _other: str) -> bool:
    return _letters(spelling_key(name)) in _NEGATIVE or name.strip() in _NEGATIVE


def _has_denial(name: str, other: str) -> bool:
    if any(word in _DENIALS for word in tokens(name)):
        return True
    letters, others = _letters(name), _letters(other)
    denied = re.match(r"(?:non|not|un)(.{3,})", letters)
    if denied and (denied[1] in others or is_finding(denied[1])):
        return True
    rest = letters.replace(others, "", 1)
    return letters not in {others, rest} and not is_finding(rest) and rest not in _DEGREES


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())
