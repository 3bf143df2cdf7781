"""A process that is killed at a chosen system call that changes files: SIGKILL before the k-th, in a forked child."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from plainfilm.data import files

_EVENTS = frozenset(
    "open os.rename os.remove os.mkdir os.rmdir os.link os.symlink os.utime os.truncate os.chmod fcntl.flock".split()
)


def killed(act: Callable[[], object], at: int) -> bool:
    """Run `act` in a child that is killed before its call number `at` (from 0); False where it ended before that many.

    Opening, renaming, removing, making and linking are heard by Python's audit events; writing to a claim, flushing to disk and
    exchanging two names have none, and are counted where they are called.
    """
    child = os.fork()
    if child == 0:
        try:
            _count_down(at)
            act()
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "see the traceback of the child"
    return False


def _count_down(at: int) -> None:
    left = at

    def called() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    def counting(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*told: Any, **more: Any) -> Any:
            called()
            return call(*told, **more)

        return counted

    os.fsync, os.write = counting(os.fsync), counting(os.write)
    files._exchange = counting(files._exchange)
    sys.addaudithook(lambda event, _: called() if event in _EVENTS else None)


def every_kill(prepare: Callable[[], object], act: Callable[[], object]) -> Iterator[int]:
    """Prepare and kill at each call in turn, until `act` ends by itself; the caller looks after each."""
    at = 0
    while True:
        prepare()
        was_killed = killed(act, at)
        yield at
        if not was_killed:
            return
        at += 1


def contents(folder: Path) -> dict[str, str]:
    """Read every file below a folder, hidden ones too, by its path in it."""
    return {str(file.relative_to(folder)): file.read_text() for file in sorted(folder.rglob("*")) if file.is_file()}
