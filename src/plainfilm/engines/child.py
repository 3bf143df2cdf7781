"""What processes have in common that others of plainfilm start, and that answer on stdout."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

ENDING = (signal.SIGINT, signal.SIGTERM)  # the terminal and systemd tell all processes; the parent decides
BUFFER_BYTES = 1 << 18
_FOLLOW_S = 1.0


def started(program: str, *words: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
    """Start a program of Python with this process' search path as its last words: no script needs a `__main__` guard for that.

    Raises
    ------
    OSError
        No process can be started.
    """
    with _held_back(*ENDING):
        return subprocess.Popen(
            [sys.executable, "-c", program, *words, *map(str, sys.path)],
            bufsize=BUFFER_BYTES,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )


@contextmanager
def _held_back(*kinds: int) -> Iterator[None]:
    """Hold signals back: a process that is started meanwhile inherits that, and is not stopped before it can ignore them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, kinds)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def outlive_signals() -> None:
    """Ignore what ends the parent: it decides."""
    for kind in ENDING:
        signal.signal(kind, signal.SIG_IGN)


def follow_parent() -> None:
    """End in the midst of work too, when the parent is gone; on Windows only between two jobs."""
    threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_FOLLOW_S)
    os._exit(1)


def only_answers() -> BinaryIO:
    """Keep stdout for answers: what a library prints goes nowhere."""
    answers = os.fdopen(os.dup(1), "wb", BUFFER_BYTES)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return answers
