"""Files and folders that appear whole or not at all, whatever happens to the process that writes them."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faults import contents, every_kill, killed
from plainfilm.data import claims, files
from plainfilm.data.files import reserved, settle, written_whole
from plainfilm.errors import UsageError

OWN = f"{claims._host()}.{claims._kernel()}"  # how what this machine makes begins
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
    assert len(names(tmp_path)) == 3  # and the half one with its claim
    with written_whole(path) as partial:
        assert names(tmp_path) == {"a", partial.with_suffix(".claim").name}
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
        kinds = sorted(re.sub(r"[0-9a-f]{16}", "R", name.removeprefix(f".a.{OWN}")) for name in names(tmp_path))
        assert kinds == [f".{writer.pid}.R.claim", f".{writer.pid}.R.partial", "a"]
    finally:
        kill(writer)


def old(path: Path, days: float) -> Path:
    """Make a file or folder as it would be after so many days."""
    then = time.time() - 86_400 * days
    os.utime(path, (then, then))
    return path


def test_what_0_1_left_is_removed_after_a_week_whatever_process_it_names(tmp_path):
    # Its names tell of no host: the same number may be another's, in a container or on another machine.
    for name, days in ((f".run.{os.getpid()}.partial", 6.5), (".run.99999.partial", 7.5), (".run.1.partial", 0)):
        (tmp_path / name).mkdir()
        old(tmp_path / name, days)
    with written_whole(tmp_path / "run") as partial:
        partial.mkdir()
    assert names(tmp_path) == {"run", f".run.{os.getpid()}.partial", ".run.1.partial"}


@pytest.mark.parametrize("name", ["a[1].h5", "line\nbreak.h5", "n" * 200, "é" * 120])
def test_any_name_that_a_file_may_have_is_tidied_up(tmp_path, name):
    path = tmp_path / name
    kill(half_written(path))
    with written_whole(path) as partial:
        partial.write_text("new")
    assert names(tmp_path) == {name}


def test_a_leftover_of_another_name_in_the_folder_is_removed_too(tmp_path):
    # A cache's entry whose key is never asked for again would lie there for ever.
    kill(half_written(tmp_path / "a"))
    with written_whole(tmp_path / "b") as partial:
        partial.write_text("new")
    assert names(tmp_path) == {"b"}


def test_files_that_only_look_like_leftovers_are_kept(tmp_path):
    token = f"{OWN}.123.{'a' * 16}"
    mine = {".a.h5.mine.partial", f".a.h5.{token}.partial.txt", ".a.h5.log.7.partial", f"a.h5.{token}.partial",
            ".claim", ".a.h5.claim", f".a.h5.{token}.mine"}  # fmt: skip
    for name in mine:
        (tmp_path / name).write_text("mine")
        old(tmp_path / name, days=400)
    with written_whole(tmp_path / "a.h5") as partial:
        partial.write_text("new")
    assert names(tmp_path) == mine | {"a.h5"}


# Kills at every system call


@pytest.fixture(autouse=True)
def unsynced(monkeypatch):
    """What is flushed survives a loss of power, which no test can make; a kill does not ask for it."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)


def write_run(path: Path, text: str, *, overwrite: bool = True) -> None:
    with reserved(path, overwrite=overwrite) as (partial,):
        partial.mkdir()
        (partial / "metrics.json").write_text(text)
        (partial / "figures").mkdir()
        (partial / "figures" / "one.svg").write_text(text)


def run_of(text: str) -> dict[str, str]:
    return {"figures/one.svg": text, "metrics.json": text}


@pytest.fixture(params=["exchange", "steps", "steps without second names"])
def system(request, monkeypatch):
    """A system that exchanges two names in one step, as Linux and macOS do; and those that do not, as NFS and Windows."""
    if request.param != "exchange":
        monkeypatch.setattr(files, "_exchange", lambda _one, _other: False)
    if request.param == "steps without second names":
        monkeypatch.setattr(os, "link", no_links)
    return request.param


def no_links(*_told, **_more):
    raise OSError(errno.EPERM, "no second names")


def test_this_system_exchanges_two_names_in_one_step(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "file").touch()
    (tmp_path / "other").mkdir()
    if sys.platform in {"linux", "darwin"}:
        assert files._exchange(tmp_path / "one", tmp_path / "other")
        assert names(tmp_path / "other") == {"file"}
    assert not files._exchange(tmp_path / "one", tmp_path / "nowhere")


def test_a_folder_that_is_replaced_is_old_or_new_whenever_the_kill_comes(tmp_path, system):
    seen = set()

    def prepare() -> None:
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        write_run(tmp_path / "run", "old")

    for at in every_kill(prepare, lambda: write_run(tmp_path / "run", "new")):
        if system == "exchange":  # at every moment, whoever looks
            assert contents(tmp_path / "run") in (run_of("old"), run_of("new")), at
        release(tmp_path / "run")
        settle(tmp_path / "run" / "metrics.json")
        found = contents(tmp_path / "run")
        assert found in (run_of("old"), run_of("new")), at
        seen.add(found["metrics.json"])
        write_run(tmp_path / "run", "newer")
        assert contents(tmp_path / "run") == run_of("newer"), at
        assert names(tmp_path) == {"run"}, at
    assert seen == {"old", "new"}


def release(path: Path) -> None:
    """Let the lease of a killed owner be over, where no lock tells that it is dead."""
    for file in path.parent.glob(f".{path.name}*.claim"):
        old(file, days=30)


def test_a_kill_while_a_replacement_is_completed_loses_nothing_either(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_exchange", lambda _one, _other: False)

    def prepare() -> None:
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        write_run(tmp_path / "run", "old")
        killed(lambda: write_run(tmp_path / "run", "new"), first)
        release(tmp_path / "run")

    pending = []
    for first in range(200):
        prepare()
        if (tmp_path / ".run.ready").exists():
            pending.append(first)
        elif pending:
            break
    assert len(pending) >= 4  # before and after each rename
    for first in pending[::5]:
        for at in every_kill(prepare, lambda: settle(tmp_path / "run")):
            release(tmp_path / "run")
            settle(tmp_path / "run")
            assert contents(tmp_path / "run") == run_of("new"), (first, at)


def test_a_new_folder_is_there_whole_or_not_at_all_whenever_the_kill_comes(tmp_path, system):
    def prepare() -> None:
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()

    for at in every_kill(prepare, lambda: write_run(tmp_path / "run", "new", overwrite=False)):
        release(tmp_path / "run")
        settle(tmp_path / "run")
        assert not (tmp_path / "run").exists() or contents(tmp_path / "run") == run_of("new"), at
        write_run(tmp_path / "run", "newer")
        assert names(tmp_path) == {"run"}, at


def write_two(folder: Path, text: str, *, apart: bool) -> None:
    with reserved(folder / "m.bin", folder / "m.xml", apart=apart) as partials:
        for partial in partials:
            partial.write_text(text)


@pytest.mark.parametrize("apart", [True, False])
def test_two_files_that_belong_together_are_of_one_run_whenever_the_kill_comes(tmp_path, apart):
    def prepare() -> None:
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        write_two(tmp_path, "old", apart=apart)

    for at in every_kill(prepare, lambda: write_two(tmp_path, "new", apart=apart)):
        # Before any command looks: never mixed, or never missing.
        here = {name: (tmp_path / name).read_text() for name in ("m.bin", "m.xml") if (tmp_path / name).exists()}
        assert "m.xml" not in here or here["m.bin"] == here["m.xml"] if apart else len(here) == 2, at
        release(tmp_path / "m.xml")
        settle(tmp_path / "m.xml")
        assert (tmp_path / "m.bin").read_text() == (tmp_path / "m.xml").read_text(), at
        write_two(tmp_path, "newer", apart=apart)
        assert contents(tmp_path) == {"m.bin": "newer", "m.xml": "newer"}, at


def test_a_file_is_old_or_new_whenever_the_kill_comes(tmp_path):
    path = tmp_path / "a"

    def write(text: str) -> None:
        with written_whole(path) as partial:
            partial.write_text(text)

    for at in every_kill(lambda: write("old"), lambda: write("new")):
        assert path.read_text() in {"old", "new"}, at
    release(path)
    write("newer")
    assert names(tmp_path) == {"a"}


def test_a_folder_in_the_place_of_a_file_is_never_removed(tmp_path):
    (tmp_path / "m.xml").mkdir()
    (tmp_path / "m.xml" / "precious").write_text("kept")
    with pytest.raises(OSError, match="directory"):
        write_two(tmp_path, "new", apart=False)
    assert contents(tmp_path) == {"m.xml/precious": "kept"}


@pytest.mark.parametrize(
    "note", ["", "{", "[]", '{"token": 3, "names": []}', '{"token": "../..", "names": [["../a", "b"]]}']
)
def test_a_damaged_note_of_what_is_ready_harms_nothing(tmp_path, note):
    write_run(tmp_path / "run", "old")
    (tmp_path / ".run.ready").write_text(note)
    settle(tmp_path / "run" / "metrics.json")
    assert contents(tmp_path) == {f"run/{name}": "old" for name in run_of("old")}


def test_looking_writes_nothing_where_nothing_was_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "claimed", None)
    settle(tmp_path / "run" / "metrics.json")
    settle(tmp_path / ("n" * 5000))


def test_where_the_last_of_two_cannot_be_replaced_nothing_changes_and_nothing_is_left_to_do(tmp_path, monkeypatch):
    write_two(tmp_path, "old", apart=False)
    replaces = Path.replace

    def refused(self, target):
        if Path(target).name == "m.xml":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(target))
        return replaces(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refused)
        with pytest.raises(PermissionError):
            write_two(tmp_path, "new", apart=False)
    settle(tmp_path / "m.xml")
    assert contents(tmp_path) == {"m.bin": "old", "m.xml": "old"}


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="tells users apart by numbers, which Windows has not")
def test_a_note_of_another_user_moves_nothing(tmp_path, monkeypatch):
    write_run(tmp_path / "run", "old")
    token = claims.Claim(tmp_path / "run", f"{OWN}.1.0123456789abcdef").token
    (tmp_path / ".run.ready").write_text(f'{{"token": "{token}", "names": [["mine", "thesis.txt"]], "apart": false}}')
    (tmp_path / "mine").write_text("theirs")
    (tmp_path / "thesis.txt").write_text("ours")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    settle(tmp_path / "run")
    assert (tmp_path / "thesis.txt").read_text() == "ours"
    monkeypatch.undo()
    settle(tmp_path / "run")  # nor does a note move a file of any other name than a run's own
    assert (tmp_path / "thesis.txt").read_text() == "ours"


def test_a_run_that_holds_files_which_may_not_be_written_is_put_in_its_place(tmp_path):
    with written_whole(tmp_path / "run") as partial:
        partial.mkdir()
        (partial / "note").write_text("read only")
        (partial / "note").chmod(0o444)
        (partial / "link").symlink_to(tmp_path / "nowhere")
    assert (tmp_path / "run" / "note").read_text() == "read only"


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("write", [written_whole, lambda path: reserved(path, overwrite=True)])
def test_what_is_written_to_a_link_lies_where_it_points_and_the_link_stays(write, is_there, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "disk" / "run").mkdir(parents=True) if is_there else None
    link = tmp_path / "here" / "run"
    link.symlink_to(tmp_path / "disk" / "run")
    with write(link) as made:
        partial = made if isinstance(made, Path) else made[0]
        partial.mkdir()
        (partial / "new").write_text("new")
    assert link.is_symlink()
    assert (tmp_path / "disk" / "run" / "new").read_text() == "new"
    assert names(tmp_path / "here") == {"run"} == names(tmp_path / "disk")


def test_a_link_that_leads_to_itself_is_one_line(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageError, match="a link that leads to itself"), written_whole(tmp_path / "loop"):
        pass


def test_what_a_kill_leaves_in_the_temporary_folder_is_removed_by_the_next(tmp_path, monkeypatch):
    program = "import time; from plainfilm.data.files import scratch\nwith scratch() as folder:\n (folder / 'a').write_text('a'); print(folder, flush=True); time.sleep(3600)"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment) as other:
        left = Path(other.stdout.readline().strip())
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with files.scratch() as folder:
            assert left.parent == folder.parent == tmp_path
            assert folder.stat().st_mode & 0o777 == 0o700
            assert (left / "a").exists(), "its owner lives"
        other.kill()
    with files.scratch():
        assert not left.exists()
    assert not names(tmp_path)
