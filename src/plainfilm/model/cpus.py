"""How many processors this process may use: those that the system lets it run on, within its container's quota."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_most: ContextVar[int] = ContextVar("most", default=0)


def processors(root: Path = Path("/")) -> int:
    """Count the processors that this process may use, at least 1; a part of one, as containers may grant it, is counted whole.

    Parameters
    ----------
    root : path
        Where Linux keeps `proc` and `sys`; the quota of control groups is looked for there (cgroups(7), both versions).
    """
    found = math.ceil(min([may_run_on(), *map(_quota, _groups(root))]))
    return min(found, _most.get() or found)


@contextmanager
def limited(most: int) -> Iterator[None]:
    """Let `processors` count at most so many until the block ends, as in a job beside others; 0 for no limit."""
    before = _most.set(most)
    try:
        yield
    finally:
        _most.reset(before)


def may_run_on() -> int:
    """Count the processors that the system lets this process run on, whatever its container's quota."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _groups(root: Path) -> Iterator[Path]:
    """Folders of this process's control groups that may bound its time, and of all groups around them.

    In a container the own group is often mounted in place of the root, while `/proc` names it as the host does.
    """
    mount = root / "sys/fs/cgroup"
    yield from (mount, mount / "cpu")
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers or "cpu" in controllers.split(","):  # version 2 names none
            group = mount / "cpu" if controllers else mount
            for name in path.split("/"):
                group = group if name == ".." else group / name
                yield group


def _quota(group: Path) -> float:
    """Processors that a group may keep busy; infinite where nothing bounds it."""
    words = _text(group / "cpu.max") or _text(group / "cpu.cfs_quota_us") + " " + _text(group / "cpu.cfs_period_us")
    try:
        quota_us, period_us = map(int, words.split())
        quota = quota_us / period_us
    except (ValueError, ArithmeticError):  # "max", or no such files
        return math.inf
    return quota if quota > 0 else math.inf


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
