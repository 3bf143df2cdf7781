"""Labels out of file names by the user's pattern, which may be one that never ends on some name."""

import re
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from plainfilm.data.cataloguing.entry import trimmed
from plainfilm.errors import UsageError

SECONDS_A_NAME = 5.0


def labels_in(names: Iterable[str], pattern: re.Pattern[str]) -> dict[str, str | None]:
    """Give the label in each name: the group `label` of the pattern, or its first; None where it does not match.

    Raises
    ------
    UsageError
        The pattern takes more than `SECONDS_A_NAME` on one name (seen in the main thread, and not on Windows).
    """
    group: str | int = "label" if "label" in pattern.groupindex else 1
    labels: dict[str, str | None] = {}
    with _watched(labels, pattern):
        for name in names:
            found = pattern.search(name)
            labels[name] = trimmed(found[group] or "") or None if found else None
    return labels


@contextmanager
def _watched(labels: dict[str, str | None], pattern: re.Pattern[str]) -> Iterator[None]:
    """End a search during which `labels` does not grow."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = -1

    def look(_signal: int, _frame: Any) -> None:
        nonlocal before
        if len(labels) == before:
            raise UsageError(
                f"Expected a --label-pattern that is soon through with a name; received one that takes over {SECONDS_A_NAME:g} s "
                f"on one: {pattern.pattern[:80]}. Repeat nothing that is repeated already, as in (a+)+."
            )
        before = len(labels)

    old = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, SECONDS_A_NAME, SECONDS_A_NAME)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
