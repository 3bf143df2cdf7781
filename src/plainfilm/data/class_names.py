"""Which of two classes is the positive one, by their names."""

import re

from plainfilm.data.cataloguing.level_names import is_finding, is_negative, letters_of, tokens

_DENIALS = frozenset("no non not without minus free absent absence negative neg ohne kein keine sans sin".split())
_DEGREES = {"mild", "moderate", "severe", "acute", "chronic", "early", "late", "typical", "atypical", "active", "old"}


def positive_of(first: str, second: str) -> str | None:
    """Give the positive one of two classes: the one whose name denies no finding.

    A name denies one if it is normal, negative and the like, if it begins with non-, not-, no-, un- or without, or if it
    holds the name of the other class. `Viral pneumonia` beside `pneumonia` denies nothing. None where neither or both do.
    """
    for said in ([is_negative(first), is_negative(second)], [_has_denial(first, second), _has_denial(second, first)]):
        if any(said):
            return None if all(said) else second if said[0] else first
    return None


def _has_denial(name: str, other: str) -> bool:
    if any(word in _DENIALS for word in tokens(name)):
        return True
    letters, others = letters_of(name), letters_of(other)
    denied = re.match(r"(?:non|not|un)(.{3,})", letters)
    if denied and (denied[1] in others or is_finding(denied[1])):
        return True
    rest = letters.replace(others, "", 1)
    return letters not in {others, rest} and not is_finding(rest) and rest not in _DEGREES
