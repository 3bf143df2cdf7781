"""Claims of processes that die, stop or lie on another host; two of them at one place."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plainfilm.data import claims
from plainfilm.data.claims import LEASE_S, check_free, claimed, turn
from plainfilm.data.files import written_whole
from plainfilm.errors import UsageError

HOUR_S, DAY_S = 3600.0, 86_400.0
HOLD = """
import socket, sys, time
from pathlib import Path
from plainfilm.data import claims
from plainfilm.data.files import written_whole
path, kind, host, kernel = Path(sys.argv[1]), *sys.argv[2:]
if host:
    socket.gethostname = lambda: host
if kernel:
    claims._kernel = lambda: kernel
if kernel == "unlocked":
    claims._kernel, claims._lock = lambda: "", lambda *_, **__: None
with claims.turn(path) if kind == "turn" else written_whole(path) as made:
    if kind != "turn":
        made.write_text("half")
    print("there", flush=True)
    sys.stdin.readline()
    if kind != "turn":
        made.write_text("whole")
"""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


class Holder:
    """A process that writes half a file, or has its turn; of this host or a pretended other."""

    def __init__(self, path: Path, kind: str = "turn", host: str = "", kernel: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path), kind, host, kernel],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "there\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def go_on(self) -> None:
        self.process.communicate("\n")
        assert self.process.returncode == 0


@pytest.fixture
def hold():
    with contextlib.ExitStack() as ended:

        def begin(*told: str | Path) -> Holder:
            holder = Holder(*told)  # type: ignore[arg-type]
            ended.callback(holder.kill)
            return holder

        yield begin


def age(folder: Path, seconds: float) -> None:
    """Let everything in a folder have been touched so long ago, as its own clock tells."""
    then = time.time() - seconds
    for file in folder.iterdir():
        os.utime(file, (then, then))


def pretend(monkeypatch, *, kernel: str, host: str = "") -> None:
    """Be on another machine from now on: with a kernel of its own, whose locks do not reach this one's."""
    monkeypatch.setattr(claims, "_kernel", lambda: kernel)
    monkeypatch.setattr(claims, "_lock", lambda *_told, **_more: None)
    if host:
        monkeypatch.setattr(socket, "gethostname", lambda: host)


def write(path: Path, text: str = "ours") -> None:
    with written_whole(path) as partial:
        partial.write_text(text)


# What is left


def test_what_a_killed_process_left_is_removed_at_once_by_its_own_machine(tmp_path, hold):
    hold(tmp_path / "a", "file").kill()
    write(tmp_path / "b")
    assert names(tmp_path) == {"b"}


def test_what_a_living_process_writes_is_kept_however_old_its_lease_seems(tmp_path, hold):
    # A laptop that slept, a process that was stopped: it goes on, and its file is there.
    holder = hold(tmp_path / "a", "file")
    age(tmp_path, 365 * DAY_S)
    write(tmp_path / "b")
    assert len(names(tmp_path)) == 3
    holder.go_on()
    assert (tmp_path / "a").read_text() == "whole"


@pytest.mark.parametrize(
    ("host", "age_s", "is_kept"),
    [("", 600, True), ("", HOUR_S, False), ("elsewhere", 6.5 * DAY_S, True), ("elsewhere", 7.5 * DAY_S, False)],
)
def test_what_another_machine_left_is_kept_by_the_age_of_its_lease(tmp_path, hold, monkeypatch, host, age_s, is_kept):
    # Two containers may have the same host name and each be process 1; only the kernel's number differs.
    hold(tmp_path / "a", "file").kill()
    age(tmp_path, age_s)
    pretend(monkeypatch, kernel="bbbbbbbb", host=host)
    write(tmp_path / "b")
    assert len(names(tmp_path)) == (3 if is_kept else 1)


def test_a_process_of_the_same_number_elsewhere_is_another(tmp_path, monkeypatch):
    with claimed(tmp_path / "a") as theirs:
        theirs.beside(theirs.path, "partial").write_text("half")
        pretend(monkeypatch, kernel="bbbbbbbb", host="elsewhere")
        assert str(os.getpid()) in theirs.token
        write(tmp_path / "a")
        assert theirs.beside(theirs.path, "partial").read_text() == "half"


def test_two_writers_of_one_name_keep_each_its_own_half(tmp_path, hold):
    one, other = hold(tmp_path / "a", "file"), hold(tmp_path / "a", "file")
    one.go_on()
    assert (tmp_path / "a").read_text() == "whole"
    other.go_on()
    assert (tmp_path / "a").read_text() == "whole"
    assert names(tmp_path) == {"a"}


def test_a_clock_that_is_wrong_makes_no_claim_old(tmp_path, hold, monkeypatch):
    # Ages are differences of two times of the file system.
    hold(tmp_path / "a", "file", "elsewhere", "aaaaaaaa")
    monkeypatch.setattr(time, "time", lambda: 4e9)
    pretend(monkeypatch, kernel="bbbbbbbb")
    write(tmp_path / "b")
    assert len(names(tmp_path)) == 3


def test_a_lease_is_renewed_while_its_owner_works(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "_RENEWED_EVERY_S", 0.01)
    with claimed(tmp_path / "a") as own:
        os.utime(own.file, (0, 0))
        while own.file.stat().st_mtime == 0:
            time.sleep(0.01)


def test_a_claim_that_was_killed_before_it_said_who_it_is_goes_with_time(tmp_path):
    kernel, host = claims._kernel(), claims._host()
    file = tmp_path / f".a.{host}.{kernel}.1.{'0' * 16}.claim"
    file.touch()
    write(tmp_path / "b")
    assert file.exists()
    age(tmp_path, HOUR_S)
    write(tmp_path / "b")
    assert names(tmp_path) == {"b"}


# Turns


def test_the_second_is_refused_in_one_line_until_the_first_is_killed(tmp_path, hold):
    path = tmp_path / "run"
    holder = hold(path)
    for ask in (lambda: check_free(path), lambda: turn(path, waits=False).__enter__()):
        with pytest.raises(UsageError) as refused:
            ask()
        said = str(refused.value)
        assert f"{path}, where one is running (process {holder.process.pid} on " in said
        assert said.endswith("Wait for it, or name another `out`.")
    holder.kill()
    check_free(path)
    with turn(path, waits=False):
        pass
    assert names(tmp_path) == set()


def test_the_second_waits_for_the_first(tmp_path, hold):
    holder, told = hold(tmp_path / "run"), []

    def waiting() -> None:
        told.append(names(tmp_path))
        if len(told) == 2:
            holder.go_on()

    with turn(tmp_path / "run", waiting=waiting):
        assert len(told) == 2
    assert names(tmp_path) == set()


def test_a_turn_on_a_machine_that_died_is_over_with_its_lease(tmp_path, hold, monkeypatch):
    hold(tmp_path / "run", "turn", "elsewhere", "aaaaaaaa").kill()
    pretend(monkeypatch, kernel="bbbbbbbb")
    with pytest.raises(UsageError, match=r"on elsewhere\).* One that was killed is noticed within 60 s\."):
        check_free(tmp_path / "run")
    age(tmp_path, LEASE_S + 1)
    check_free(tmp_path / "run")
    with turn(tmp_path / "run", waits=False):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="no process can be stopped")
def test_what_may_be_made_twice_does_not_wait_for_a_stopped_process(tmp_path, hold):
    holder = hold(tmp_path / "entry")
    holder.process.send_signal(signal.SIGSTOP)
    age(tmp_path, LEASE_S + 1)
    with turn(tmp_path / "entry", insists=False):
        assert any(name.endswith(".claim") for name in names(tmp_path))
    with pytest.raises(UsageError, match="where one is running"):
        check_free(tmp_path / "entry")
    holder.process.send_signal(signal.SIGCONT)
    holder.go_on()
    assert names(tmp_path) == set()


@pytest.mark.parametrize("kernel", ["", "unlocked"])
def test_turns_are_one_at_a_time_where_files_have_no_locks_or_no_second_names(tmp_path, hold, monkeypatch, kernel):
    def none(*_told, **_more):
        raise PermissionError

    monkeypatch.setattr(os, "link", none)
    with turn(tmp_path / "run"), pytest.raises(UsageError), turn(tmp_path / "run", waits=False):
        pass
    hold(tmp_path / "other", "turn", "", kernel).kill()
    if kernel:
        with pytest.raises(UsageError, match="is noticed within"):
            check_free(tmp_path / "other")
        age(tmp_path, LEASE_S + 1)
    with turn(tmp_path / "other", waits=False):
        pass


COUNT = """
import sys
from pathlib import Path
from plainfilm.data.claims import turn
folder = Path(sys.argv[1])
for _ in range(25):
    with turn(folder / "entry"):
        count = int((folder / "count").read_text())
        (folder / "inside").mkdir()
        (folder / "count").write_text(str(count + 1))
        (folder / "inside").rmdir()
"""


def test_four_processes_never_have_their_turn_together(tmp_path, monkeypatch):
    (tmp_path / "count").write_text("0")
    each = [subprocess.Popen([sys.executable, "-c", COUNT, str(tmp_path)]) for _ in range(4)]
    assert [process.wait() for process in each] == [0] * 4
    assert (tmp_path / "count").read_text() == "100"
    assert names(tmp_path) == {"count"}


def test_a_turn_that_was_taken_anew_is_given_back_to_its_owner(tmp_path):
    # Two see that an owner is dead; the slower one finds the quicker one's claim in its hands.
    path = tmp_path / "run"
    with turn(path), claimed(path) as slower:
        claims._take_away(claims.beside(path, "claim"), slower)
        with pytest.raises(UsageError):
            check_free(path)
    assert names(tmp_path) == set()
