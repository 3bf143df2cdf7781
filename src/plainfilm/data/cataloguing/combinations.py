"""Classes that are combinations of findings: how they are known, and images of them as images with findings."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.cataloguing.entry import Entry, counted, trimmed
from plainfilm.data.cataloguing.level_names import is_finding, is_negative
from plainfilm.data.spelling import did_you_mean, listed, spelling_key
from plainfilm.data.tables.findings import ABSENT, NOT_STATED, PRESENT
from plainfilm.errors import CatalogError, Problem
from plainfilm.results.task import BETWEEN, Task, combination

_BETWEEN = (r"\|", ";", r"\+", "&", r"\band\b", r"\bwith\b", "_and_")  # such a part may be a finding that is no class
_MAY_BE_BETWEEN = (",", "/", "_")  # each part must be a class too
_BLANKS = "blank-is-absent"
_MOST = 3  # combinations that a question names


@dataclass(frozen=True, slots=True)
class Stated:
    """Entries with the state of each of `names`; `trained` are the findings that are to be told, in order."""

    entries: list[Entry]
    names: tuple[str, ...]
    trained: tuple[str, ...]
    problems: list[Problem]


def parts_of(label: str, classes: Collection[str]) -> tuple[str, ...]:
    """Give the findings that the name of a class puts together, one or more; `classes` are all classes beside it.

    `Effusion|Mass`, `Effusion + Mass` and `Effusion and Mass` do where each part is a class or known as a finding; with a
    comma, a slash or an underscore between them where each part is a class.
    """
    keys = {spelling_key(name) for name in classes}
    for separators, also in ((_BETWEEN, is_finding), (_MAY_BE_BETWEEN, lambda _: False)):
        for separator in separators:
            parts = [part for part in map(trimmed, re.split(separator, label)) if part]
            if len(parts) > 1 and all(spelling_key(part) in keys or also(part) for part in parts):
                return tuple(parts)
    return (label,)


def check_no_combinations(classes: Sequence[str], task: Task | None) -> None:
    """Ask whether classes that look like combinations of findings are meant as classes; silent once `--task` has answered.

    Raises
    ------
    CatalogError
        Some do.
    """
    found = {name: parts for name in classes if len(parts := parts_of(name, classes)) > 1}
    if found and task is None:
        names = list(found)[:_MOST]
        raise CatalogError(
            f"Expected classes of which each image has one; received {listed(names)}, which {'looks' if len(found) == 1 else 'look'} like "
            f"findings that stand together ({' and '.join(found[names[0]])}). Set --task findings to tell each finding by itself, or "
            "--task classes to train them as classes of their own."
        )


def as_findings(
    entries: Sequence[Entry], names: Sequence[str], asked: Collection[str] | None, *, fewest: int = 2
) -> Stated:
    """Give each entry the state of every finding, those of names such as `Effusion|Mass` too, and the findings to be told.

    A name that denies, such as `No Finding`, is none of them: where it is present, whatever is not stated is absent. Where
    no entry states that anything is absent, so is what is not stated.

    Raises
    ------
    CatalogError
        `asked`, the findings to train on, names one that is not there; or there are fewer than `fewest`.
    """
    labels = sorted({entry.label for entry in entries if entry.label is not None and not entry.findings})
    parts = {label: parts_of(label, labels) for label in labels}
    keys = {spelling_key(name): name for name in names}
    every = (*names, *dict.fromkeys(part for own in parts.values() for part in own if spelling_key(part) not in keys))
    states = _states(
        entries, every, len(names), {label: {spelling_key(p) for p in own} for label, own in parts.items()}
    )
    is_none = np.array([is_negative(name) for name in every], bool)
    denied = (states[:, is_none] == PRESENT).any(axis=1)
    states[denied[:, None] & (states == NOT_STATED) & ~is_none] = ABSENT
    problems = [_absent_where_blank(states, is_none)] if _never_absent(states, is_none) else []
    trained = _chosen([name for name in every if not is_negative(name)], asked, fewest)
    columns = [every.index(name) for name in trained]
    told = [
        replace(entry, findings=own.tobytes(), label=_label(own[columns], trained))
        for entry, own in zip(entries, states, strict=True)
    ]
    return Stated(told, every, trained, problems)


def _states(
    entries: Sequence[Entry], every: Sequence[str], stated: int, parts: dict[str, set[str]]
) -> NDArray[np.int8]:
    """State of each finding of each entry, int8 (n, k): of the first `stated` as a table says, else as the label's parts do."""
    states = np.full((len(entries), len(every)), NOT_STATED, np.int8)
    keys = [spelling_key(name) for name in every]
    for row, entry in enumerate(entries):
        if entry.findings:
            states[row, :stated] = np.frombuffer(entry.findings, np.int8)
        elif entry.label is not None:
            states[row] = [PRESENT if key in parts[entry.label] else ABSENT for key in keys]
    return states


def _never_absent(states: NDArray[np.int8], is_none: NDArray[np.bool_]) -> bool:
    return not (states[:, ~is_none] == ABSENT).any()


def _absent_where_blank(states: NDArray[np.int8], is_none: NDArray[np.bool_]) -> Problem:
    """Take what is not stated for absent, where a table writes what is present alone."""
    blank = (states == NOT_STATED) & ~is_none
    states[blank] = ABSENT
    sentence = "The table writes only which findings are present; what it leaves blank is taken for absent."
    return Problem("findings", _BLANKS, sentence, fatal=False)


def _chosen(names: Sequence[str], asked: Collection[str] | None, fewest: int) -> tuple[str, ...]:
    by_key = {spelling_key(name): name for name in names}
    for name in asked or ():
        if spelling_key(name) not in by_key:
            raise CatalogError(
                f"Expected findings among {listed(sorted(names))}; received {trimmed(name)}. {did_you_mean(name, names)}Correct it."
            )
    chosen = tuple(sorted(names if asked is None else {by_key[spelling_key(name)] for name in asked}))
    if joining := next((name for name in chosen if BETWEEN in name), ""):
        raise CatalogError(
            f"Expected names of findings without {BETWEEN}, which stands between several of them; received {trimmed(joining)}. Rename its column."
        )
    if len(chosen) < fewest:
        raise CatalogError(
            f"Expected {'two findings or more' if fewest > 1 else 'a finding'} to tell; received {counted(len(chosen), 'finding')}: {listed(chosen) or 'none'}. "
            "Ask for one by itself with --label-of."
        )
    return chosen


def _label(states: NDArray[np.int8], names: Iterable[str]) -> str | None:
    """Write what an image has, `Effusion|Mass` or `No Finding`, as far as it is known; None where nothing of `names` is."""
    has = [name for name, state in zip(names, states, strict=True) if state == PRESENT]
    return combination(has) if has or (states == ABSENT).any() else None
