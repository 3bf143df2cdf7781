"""Several findings in one cell, and one column a finding."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.spelling import spelling_key

PRESENT, ABSENT, UNCERTAIN, NOT_STATED = 1, 0, -1, -2
NO_VALUE = frozenset({"", "nan", "null", "n/a", "na", "#n/a", "<na>", "-"})

_STATES = {
    **dict.fromkeys(("1", "1.0", "1,0", "true", "yes", "y", "positive", "pos", "present"), PRESENT),
    **dict.fromkeys(("0", "0.0", "0,0", "false", "no", "n", "negative", "neg", "absent"), ABSENT),
    **dict.fromkeys(("-1", "-1.0", "-1,0", "u", "?", "unknown", "uncertain", "unclear", "unsure"), UNCERTAIN),
    **dict.fromkeys((*NO_VALUE, "none"), NOT_STATED),
}
_QUOTED = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'""")
_RECUR = 0.8  # share of what stands in lists that must recur for its separator to be one


def finding_state(cell: str) -> int:
    """Give 1 present, 0 absent, -1 uncertain or -2 not stated (also for what is no such value)."""
    return _STATES.get(cell.strip().lower(), NOT_STATED)


def class_by(finding: str, state: int) -> str | None:
    """Give the class of an image by the state of one finding: `FINDING`, `no FINDING`, or None where it is uncertain."""
    return None if state == UNCERTAIN else finding if state == PRESENT else f"no {finding}"


def joined(states: Sequence[NDArray[np.int8]]) -> NDArray[np.int8]:
    """State (n) of a finding that others stand for: present where one of them is, absent where all are, else uncertain."""
    each = np.stack(states)
    absent = np.where((each == ABSENT).all(axis=0), ABSENT, UNCERTAIN)
    return np.where((each == PRESENT).any(axis=0), PRESENT, absent).astype(np.int8)


def states_findings(cells: Collection[str]) -> bool:
    """Whether the distinct cells of a column are all 0, 1, -1, true, no and the like, or empty, and not just one 1, nor words for unknown alone."""
    if not all(map(is_state, cells)):
        return False
    found = {finding_state(cell) for cell in cells}
    return found != {PRESENT} and (not found <= {NOT_STATED, UNCERTAIN} or any(cell.startswith("-1") for cell in cells))


def is_state(cell: str) -> bool:
    """Whether a cell says of a finding that it is present, absent, uncertain or not stated."""
    return len(cell) <= 9 and cell.lower() in _STATES


def list_separator(cells: Iterable[str], asked: str | None = None) -> str | None:
    """Separator of the findings in a column of labels, None where each cell names one.

    `|` always is one. Within brackets so are `;` and `,`, else a blank where its parts recur. Elsewhere `;` and `,` are where
    a finding that is `asked` for is a part of a cell, or where most parts stand in other cells too, of `,` some of them
    first and elsewhere later: `Effusion, Mass` beside `Mass`. So `Pneumonia, viral` stays one class.
    """
    distinct = {cell for cell in set(cells) if cell}
    if any("|" in cell for cell in distinct):
        return "|"
    plain = [cell for cell in distinct if not _QUOTED.search(cell)]
    bare = {_without_brackets(cell) for cell in plain}
    bracketed = {_without_brackets(cell) for cell in plain if _is_bracketed(cell)}
    for separator in (";", ","):
        is_meant = any(separator in cell for cell in bracketed) and 2 * len(bracketed) > len(bare)
        if is_meant or _holds(separator, bare, asked) or _separates(separator, bare):
            return separator
    return " " if _separates(" ", bracketed) else None


def _holds(separator: str, cells: Collection[str], asked: str | None) -> bool:
    """Whether a finding is one of several parts of some cell."""
    if asked is None:
        return False
    lists = (parts for cell in cells if len(parts := _split(cell, separator)) > 1)
    return any(spelling_key(part) == spelling_key(asked) for parts in lists for part in parts)


def _separates(separator: str, cells: Collection[str]) -> bool:
    lists = {tuple(_split(cell, separator)) for cell in cells}
    stands_in = Counter(part for parts in {frozenset(parts) for parts in lists} for part in parts)
    in_lists = [part for parts in lists if len(parts) > 1 for part in parts]
    first, later = {parts[0] for parts in lists if parts}, {part for parts in lists for part in parts[1:]}
    is_free = separator != "," or bool(first & later)  # an adjective stands behind its noun alone
    return is_free and sum(stands_in[part] > 1 for part in in_lists) >= max(1, _RECUR * len(in_lists))


@lru_cache(10_000)
def findings_of(cell: str, separator: str | None = None) -> tuple[str, ...]:
    """Names of the findings in a cell, each once, sorted: `A|B` and `B|A` are one.

    Lists in brackets with quotes (JSON, Python, NumPy) need no separator; others are split at the one that
    `list_separator` gives for their column. No name at all gives ().
    """
    inner = _without_brackets(cell)
    if _is_bracketed(cell) and _QUOTED.search(inner) and not re.sub(r"[\s,]", "", _QUOTED.sub("", inner)):
        names = _quoted(cell, inner)
    else:
        blank_counts = separator == " " and not _is_bracketed(cell)
        names = [inner] if separator is None or blank_counts else _split(inner, separator)
    kept = {" ".join(name.split()) for name in names}
    return tuple(
        sorted((name for name in kept if name.lower() not in NO_VALUE), key=lambda name: (name.casefold(), name))
    )


def _quoted(cell: str, inner: str) -> list[str]:
    try:
        return [str(name) for name in json.loads(cell)]
    except (ValueError, RecursionError):
        return [re.sub(r"\\(.)", r"\1", double or single) for double, single in _QUOTED.findall(inner)]


def _split(text: str, separator: str) -> list[str]:
    return [part for part in map(str.strip, text.split(separator)) if part]


def _is_bracketed(cell: str) -> bool:
    return len(cell) > 1 and (cell[0], cell[-1]) in {("[", "]"), ("(", ")"), ("{", "}")}


def _without_brackets(cell: str) -> str:
    return cell[1:-1].strip() if _is_bracketed(cell) else cell.strip()
