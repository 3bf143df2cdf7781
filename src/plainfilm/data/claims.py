"""Who makes a file: claims that their owners renew, right for two containers or two hosts on one folder.

A process number says nothing in another container or on another host. An owner touches its claim every few seconds, and the
claim's age is told by the file system's own clock; where owner and onlooker share a kernel, a lock on the claim tells at once.
"""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from plainfilm.errors import UsageError

LEASE_S = 60.0  # an owner that has not renewed its claim for so long is waited for no longer
_RENEWED_EVERY_S = LEASE_S / 6
WEEK_S = 604_800.0
_LEFT_S = 900.0  # since the last renewal; then what an owner on this host left is removed
_LEFT_ELSEWHERE_S = WEEK_S  # of another host
_LOOKED_EVERY_S = 0.2
_LONGEST = 160  # bytes of a name that a claim's may begin with; file systems allow 255 in all
TOKEN = r"[A-Za-z0-9-]{1,24}\.[0-9a-f]{8}\.[0-9]+\.[0-9a-f]{16}"
_LEFT = re.compile(rf"\.(?P<name>.+)\.(?P<token>{TOKEN})\.(?P<kind>claim|partial|old|stale)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of this process on a path: `token` is host, kernel, process and random number."""

    path: Path
    token: str

    @property
    def file(self) -> Path:
        """The file that is renewed."""
        return self.beside(self.path, "claim")

    def beside(self, path: Path, kind: str) -> Path:
        """Give a name beside a path that nobody else uses: "partial", "old" or "stale"; swept when the claim's owner is gone."""
        return beside(path, f"{self.token}.{kind}")

    def now(self) -> float:
        """Tell the time as the file system has it: other hosts' clocks may differ."""
        os.utime(self.file)
        return self.file.stat().st_mtime


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of the owner of a claim: its token, when it was last heard of, and whether it lives (None: nobody knows)."""

    token: str
    age_s: float
    lives: bool | None

    @property
    def may_live(self) -> bool:
        return bool(self.lives) or (self.lives is None and self.age_s <= LEASE_S)

    @property
    def is_gone(self) -> bool:
        """Whether what it left may be removed."""
        limit = _LEFT_S if self.token.split(".")[0] == _host() else _LEFT_ELSEWHERE_S
        return self.lives is False or (self.lives is None and self.age_s > limit)


def beside(path: Path, kind: str) -> Path:
    """Give the hidden name beside a path for what is known of it."""
    if path.name in {"", ".."}:
        path = path.resolve()
    name = path.name
    if len(os.fsencode(name)) > _LONGEST:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return path.parent / f".{name}.{kind}"


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[Claim]:
    """Claim names beside a path, in a folder that is there, until the block ends. Others may do so too, under their own tokens."""
    own = Claim(path, f"{_host()}.{_kernel() or '0' * 8}.{os.getpid()}.{secrets.token_hex(8)}")
    with _locked(own.file, own.token), _renewed(own.file):
        yield own


@contextlib.contextmanager
def turn(
    path: Path, *, waits: bool = True, insists: bool = True, waiting: Callable[[], None] = lambda: None
) -> Iterator[Claim]:
    """Let one process at a time make a path, on whatever host.

    Parameters
    ----------
    path
        What is made, in a folder that is there.
    waits
        Wait for another's turn to end; or refuse.
    insists
        Wait as long as the other lives. Otherwise go on beside one that was stopped and has not been heard of for `LEASE_S`:
        for what may be made twice.
    waiting
        Called again and again meanwhile.

    Raises
    ------
    UsageError
        It is another's turn, and `waits` is False.
    """
    place = beside(path, "claim")
    with claimed(path) as own, contextlib.ExitStack() as held:
        while not _take(place, own, held):
            seen = _look(place, own.now())
            if seen is None or not seen.may_live:
                if not _take_away(place, own):
                    if insists:
                        raise _anothers(place)
                    break
                sweep(own)
            elif not waits:
                raise _busy(path, seen)
            elif not insists and seen.age_s > LEASE_S:
                break
            else:
                waiting()
                time.sleep(_LOOKED_EVERY_S)
        yield own


def is_taken(path: Path) -> bool:
    """Whether another process has its turn to make a path."""
    return _owner(path) is not None


def check_free(path: Path) -> None:
    """Raise UsageError where another process has its turn to make a path."""
    if seen := _owner(path):
        raise _busy(path, seen)


def is_used(folder: Path) -> bool:
    """Whether any process has a claim in a folder, or may have one."""
    if not folder.is_dir():
        return False
    with claimed(folder / "look") as own:
        sweep(own)
        return any(file.suffix == ".claim" and file != own.file for file in folder.iterdir())


def names_in(folder: Path, *, but: Claim | None = None) -> frozenset[str]:
    """Give the names in a folder that any process, this one too, has claimed, or may have, as `name_of` gives them."""
    if not folder.is_dir():
        return frozenset()
    with claimed(folder / "look") as own:
        sweep(own)
        aside = {own.file.name, but.file.name if but else ""}
        held = [file.name for file in folder.iterdir() if file.suffix == ".claim" and file.name not in aside]
    found = [(_LEFT.fullmatch(name), name) for name in held]
    return frozenset(match["name"] if match else name[1 : -len(".claim")] for match, name in found)


def name_of(path: Path) -> str:
    """Give the name that claims on a path begin with."""
    return beside(path, "").name[1:-1]


def _owner(path: Path) -> _Seen | None:
    place = beside(path, "claim")
    if not place.exists():
        return None
    with claimed(path) as own:
        seen = _look(place, own.now())
    return seen if seen is not None and seen.may_live else None


def left_in(folder: Path) -> list[Path]:
    """Give what commands left half made in a folder that are surely gone: the next one that writes there removes it."""
    with contextlib.suppress(OSError), claimed(folder / "look") as own:
        return [file for file in _left(_hidden(own), own) if file.suffix != ".claim"]
    return []


def sweep(own: Claim) -> None:
    """Remove what others left in a claim's folder once they are surely gone, but for what waits to be put in its place."""
    hidden, now = _hidden(own), own.now()
    for file in _left(hidden, own):
        remove(file)
    for file in hidden:
        if file.suffix == ".claim" and not _LEFT.fullmatch(file.name):
            _sweep_turn(file, own, now)


def _hidden(own: Claim) -> list[Path]:
    folder = own.path.parent
    return [folder / entry.name for entry in os.scandir(folder) if entry.name.startswith(".")]


def _left(hidden: Sequence[Path], own: Claim) -> Iterator[Path]:
    now = own.now()
    left = [(found["token"], found["kind"], file) for file in hidden if (found := _LEFT.fullmatch(file.name))]
    owners = {token: _look(file, now, token) for token, kind, file in left if kind == "claim"}
    kept = {own.token, *_waiting(hidden)}
    left.sort(key=lambda each: each[1] == "claim")  # last: what is beside it is known by it
    for token, _, file in left:
        seen = owners.get(token) or _unclaimed(file, token, now)
        if token not in kept and seen is not None and seen.is_gone:
            yield file


def _waiting(hidden: Sequence[Path]) -> Iterator[str]:
    """Give the tokens under which something waits for the next command that looks at its place."""
    for file in hidden:
        if file.suffix == ".ready":
            with contextlib.suppress(OSError):
                yield from re.findall(TOKEN, file.read_text(encoding="utf-8", errors="replace"))


def _sweep_turn(place: Path, own: Claim, now: float) -> None:
    seen = _look(place, now)
    if seen is not None and re.fullmatch(TOKEN, seen.token) and seen.is_gone:
        _take_away(place, own)


def _unclaimed(file: Path, token: str, now: float) -> _Seen | None:
    with contextlib.suppress(OSError):
        return _Seen(token, now - file.lstat().st_mtime, None)
    return None


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there and may be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:24] or "host"


def _kernel() -> str:
    """Name the running kernel, which containers share and hosts do not; "" where it has no name."""
    with contextlib.suppress(OSError):
        return hashlib.sha256(Path("/proc/sys/kernel/random/boot_id").read_bytes()).hexdigest()[:8]
    return hashlib.sha256(str(uuid.getnode()).encode()).hexdigest()[:8] if sys.platform == "darwin" else ""


@contextlib.contextmanager
def _locked(file: Path, token: str) -> Iterator[None]:
    """Make a claim's file, with the token in it once the lock is held: then whoever gets the lock knows that the owner is dead."""
    try:
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
    except OSError as error:
        error.filename = os.fspath(file.parent)  # which cannot be written, not a hidden name in it
        raise
    number = os.fstat(handle).st_ino
    try:
        is_locked = bool(_kernel()) and _lock(handle, for_good=True)
        os.write(handle, f"{token}\n{'locked' if is_locked else ''}\n".encode())
        if not is_locked:  # Windows removes no file that is open
            os.close(handle)
            handle = -1
        yield
    finally:
        _give_back(file, number)
        if handle >= 0:
            os.close(handle)


def _lock(handle: int, *, for_good: bool) -> bool | None:
    """Lock a claim, or look whether it is locked; None where files have no locks."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX if for_good else fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextlib.contextmanager
def _renewed(file: Path) -> Iterator[None]:
    done = threading.Event()

    def renew() -> None:
        while not done.wait(_RENEWED_EVERY_S):
            with contextlib.suppress(OSError):
                os.utime(file)

    threading.Thread(target=renew, name=f"renews {file.name}", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _look(file: Path, now: float, named: str = "") -> _Seen | None:
    """Look at a claim, by name of an owner that may not say itself; None where there is none. It is opened each time, or NFS would tell its age as it was a minute ago."""
    try:
        handle = _opened(file)
    except FileNotFoundError:
        return None
    except OSError:  # another user's
        return _unclaimed(file, named, now)
    try:
        could_lock, (token, is_locked) = _lock(handle, for_good=False), _said(handle)
        lives = True if could_lock is False else None
        if could_lock and is_locked and token.split(".")[1] == _kernel():
            lives = False
        return _Seen(token or named, now - os.fstat(handle).st_mtime, lives)
    finally:
        os.close(handle)


def _opened(file: Path) -> int:
    try:
        return os.open(file, os.O_RDWR)
    except PermissionError:
        return os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe of another user would be waited for


def _said(handle: int) -> tuple[str, bool]:
    token, _, rest = os.read(handle, 200).decode(errors="replace").partition("\n")
    return (token, rest.strip() == "locked") if re.fullmatch(TOKEN, token) else ("", False)


def _take(place: Path, own: Claim, held: contextlib.ExitStack) -> bool:
    """Take a turn's place, which only one can: as a second name of the claim, so that its lock is the place's too."""
    try:
        os.link(own.file, place)
    except FileExistsError:
        return False
    except OSError:  # a file system without second names
        return _take_apart(place, own, held)
    held.callback(_give_back, place, own.file.stat().st_ino)
    return True


def _take_apart(place: Path, own: Claim, held: contextlib.ExitStack) -> bool:
    try:
        held.enter_context(_locked(place, own.token))
    except FileExistsError:
        return False
    held.enter_context(_renewed(place))
    return True


def _give_back(place: Path, number: int) -> None:
    """Remove a claim's name, by the file's number, unless another has taken the name meanwhile."""
    with contextlib.suppress(OSError):
        if place.stat().st_ino == number:
            place.unlink()


def _take_away(place: Path, own: Claim) -> bool:
    """Take a dead owner's place away; one that was taken anew in between is given back. False where another user's may not be moved."""
    aside = own.beside(own.path, "stale")
    try:
        place.rename(aside)
        seen = _look(aside, own.now())
        if seen is not None and seen.may_live:
            with contextlib.suppress(OSError):
                os.link(aside, place)
        aside.unlink()
    except FileNotFoundError:
        pass
    except PermissionError:
        return False
    return True


def _anothers(place: Path) -> UsageError:
    return UsageError(
        f"Expected a folder that one user writes to; received {place.parent}, where another user's run was killed. Remove {place.name}, or name "
        "another --out."
    )


def _busy(path: Path, seen: _Seen) -> UsageError:
    host, _, process, _ = seen.token.split(".") if seen.token else ("an unknown host", "", "unknown", "")
    notice = "" if seen.lives else f" One that was killed is noticed within {LEASE_S:.0f} s."
    return UsageError(
        f"Expected a place that no other run writes to; received {path}, where one is running (process {process} on {host}). "
        f"Wait for it, or name another --out.{notice}"
    )
