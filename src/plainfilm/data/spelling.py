"""Names that people write in several ways."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

_REMEMBERED = 10_000
_LETTERS_SHOWN, _LETTERS_IN_ALL = 40, 240


_NO_PATIENT = re.compile(
    r"[\W_]*|x{2,}|(de-?identified|anonym(ous|i[sz]ed)?|anon|pseudonym(i[sz]ed)?|unknown|none|no ?id|n/?a|nan|null|patient|subject|"
    r"patient ?id|name|removed|redacted|default|test|phantom)[\s_^-]*(patient|subject|id|name)?"
)


@lru_cache(_REMEMBERED)
def spelling_key(label: str) -> str:
    """Give what all spellings of a class share: case, spaces, hyphens and underscores do not count; `0` and `0.0` are one, `1` and `-1` are not."""
    if number := re.fullmatch(r"\s*(-?\d+)(\.0*)?\s*", label):
        return number[1]
    return re.sub(r"[\s_-]+", " ", label).strip().casefold()


def without_accents(text: str) -> str:
    """Give a text without accents and other signs over its letters."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFD", text)))


def plain(text: str) -> str:
    """Give a text without case and accents, its blanks single."""
    return " ".join(without_accents(text).casefold().split())


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give `Did you mean NAME? ` for the name that is nearest to a word, "" where none is near."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return f"Did you mean {by_lower[close[0]]}? " if close else ""


def listed(names: Sequence[str], most: int = 20) -> str:
    """Give the first of many names for a message, with commas, no more than it can bear."""
    shown: list[str] = []
    for name in names[:most]:
        short = name if len(name) <= _LETTERS_SHOWN else f"{name[:_LETTERS_SHOWN]}…"
        if shown and sum(map(len, shown)) + len(short) > _LETTERS_IN_ALL:
            break
        shown.append(short)
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def shortened(names: Sequence[str], most: int = 3) -> str:
    """Give the first names of many, with commas."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def plain_id(written: str) -> str:
    """Give what all spellings of a patient's id share, "" for a placeholder such as `Anonymous`."""
    text = " ".join(written.split()).casefold()
    if _NO_PATIENT.fullmatch(text):
        return ""
    return re.sub(r"^0+(?=\d)", "", re.sub(r"^(\d+)\.0+$", r"\1", text))
