"""Files and folders that appear whole or not at all, whatever happens to the process that writes them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from plainfilm.data.files import locked, written_whole
from plainfilm.errors import UsageError

WRITE_HALF_AND_WAIT = """
import sys, time
from pathlib import Path
from plainfilm.data.files import written_whole
with written_whole(Path(sys.argv[1])) as partial:
    if sys.argv[2] == "folder":
        partial.mkdir()
        (partial / "half").write_text("half")
    else:
        partial.write_text("half")
    print("half", flush=True)
    time.sleep(3600)
"""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def half_written(path: Path, kind: str = "file") -> subprocess.Popen[str]:
    """A process that has written half of `path` and waits."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE_HALF_AND_WAIT, str(path), kind], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "half\n"
    return writer


def kill(writer: subprocess.Popen[str]) -> None:
    writer.send_signal(signal.SIGKILL)
    writer.communicate()


def pid_of_nobody() -> int:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return gone.pid


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "deep" / "a.txt"
    with written_whole(path) as partial:
        assert partial.parent == path.parent
        partial.write_text("text")
        assert not path.exists()
    assert path.read_text() == "text"
    assert names(path.parent) == {"a.txt"}


def test_a_folder_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    with written_whole(path) as partial:
        (partial / "figures").mkdir(parents=True)
        (partial / "figures" / "one.png").write_bytes(b"1")
        assert names(path) == set()
    assert (path / "figures" / "one.png").read_bytes() == b"1"
    assert names(tmp_path) == {"run"}


def test_a_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with written_whole(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_one_and_nothing_beside_it(tmp_path, kind, error):
    path = tmp_path / "a"
    path.write_text("old")

    def fail_halfway() -> None:
        with written_whole(path) as partial:
            if kind == "folder":
                partial.mkdir()
                (partial / "half").write_text("half")
            else:
                partial.write_text("half")
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert path.read_text() == "old"
    assert names(tmp_path) == {"a"}


def test_a_full_folder_is_never_replaced(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    (path / "precious").write_text("kept")
    with pytest.raises(OSError, match="not empty"), written_whole(path) as partial:
        partial.mkdir()
    assert names(path) == {"precious"}
    assert names(tmp_path) == {"run"}


def test_forgetting_to_write_is_an_error_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), written_whole(path):
        pass
    assert path.read_text() == "old"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_after_a_kill_the_old_file_is_whole_and_the_next_run_tidies_up(tmp_path, kind):
    path = tmp_path / "a"
    path.write_text("old")
    kill(half_written(path, kind))
    assert path.read_text() == "old"
    assert len(names(tmp_path)) == 2
    with written_whole(path) as partial:
        assert names(tmp_path) == {"a"}
        partial.write_text("new")
    assert path.read_text() == "new"
    assert names(tmp_path) == {"a"}


def test_what_a_running_process_writes_is_left_alone(tmp_path):
    path = tmp_path / "a"
    writer = half_written(path)
    try:
        with written_whole(path) as partial:
            partial.write_text("ours")
        assert path.read_text() == "ours"
        assert names(tmp_path) == {"a", f".a.{writer.pid}.partial"}
    finally:
        kill(writer)


def test_a_leftover_under_our_own_process_number_is_not_taken_for_ours(tmp_path):
    # Containers count their processes from 1: the killed one and the next have the same number.
    path = tmp_path / "run"
    leftover = tmp_path / f".run.{os.getpid()}.partial"
    leftover.mkdir()
    (leftover / "stale").write_text("half")
    with written_whole(path) as partial:
        partial.mkdir()
        (partial / "fresh").write_text("whole")
    assert names(path) == {"fresh"}


def test_names_with_signs_of_patterns_are_taken_literally(tmp_path):
    gone = pid_of_nobody()
    leftover = tmp_path / f".a[1].h5.{gone}.partial"
    others = tmp_path / f".a1.h5.{gone}.partial"
    leftover.write_text("half")
    others.write_text("half")
    with written_whole(tmp_path / "a[1].h5") as partial:
        partial.write_text("new")
    assert names(tmp_path) == {"a[1].h5", others.name}


def test_files_that_only_look_like_leftovers_are_kept(tmp_path):
    gone = pid_of_nobody()
    mine = {".a.h5.mine.partial", f".a.h5.{gone}.partial.txt", f".a.h5.log.{gone}.partial", f"a.h5.{gone}.partial"}
    for name in mine:
        (tmp_path / name).write_text("mine")
    with written_whole(tmp_path / "a.h5") as partial:
        partial.write_text("new")
    assert names(tmp_path) == mine | {"a.h5"}


LOCK_AND_WAIT = """
import sys, time
from pathlib import Path
from plainfilm.data.files import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(3600)
"""


def test_a_folder_is_one_runs_until_that_is_killed(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", LOCK_AND_WAIT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    with pytest.raises(UsageError, match="no other run writes to"), locked(tmp_path):
        pass
    holder.kill()
    holder.wait()
    for _ in range(2):
        with locked(tmp_path):
            (tmp_path / "file").write_text("ours")
