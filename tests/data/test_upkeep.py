"""What is taken out of the cache: what was not used for longest, nothing that is used, nothing that cannot be made anew."""

import gc
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plainfilm.data import cache, claims, upkeep
from plainfilm.errors import UsageError

DAY = 86_400


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(upkeep.LIMIT_VARIABLE, raising=False)
    return tmp_path / "cache"


def made(kind: str, name: str, size: int = 1000, days: float = 0) -> Path:
    """An entry that was last used some days ago."""
    path = upkeep.files.cache_folder() / kind / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path


def gone(kinds=()) -> list[str]:
    return sorted(entry.paths[0].name for entry in upkeep.prune(upkeep.entries(kinds)).gone)


def test_entries_are_listed_by_kind_with_size_and_last_use(folder):
    made("features", "a.npy", 5, days=2)
    made("stores", "films-0123.h5", 7)
    made("stores", "films-0123.h5.log", 1)
    made("stores", "films-0123.problems.csv", 2)
    made("maps/key", "0.bin", 11)
    made("openings/films", "one", 0)
    (folder / "features" / ".a.npy.host.00000000.1.0000000000000000.partial").write_bytes(b"hidden")
    found = {entry.kind: entry for entry in upkeep.entries()}
    assert {kind: (len(entry.paths), entry.bytes) for kind, entry in found.items()} == {
        "features": (1, 5), "stores": (3, 10), "maps": (1, 11), "openings": (1, 0),
    }  # fmt: skip
    assert 1.9 * DAY < time.time() - found["features"].used_s < 2.1 * DAY


def left_by_a_kill(path: Path) -> Path:
    """What a process that was killed had begun to write."""
    program = "import os, sys\nfrom pathlib import Path\nfrom plainfilm.data.files import written_whole\n" \
              "with written_whole(Path(sys.argv[1])) as partial:\n    partial.write_bytes(bytes(100))\n    os.kill(os.getpid(), 9)"  # fmt: skip
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    [partial] = path.parent.glob(f".{path.name}.*.partial")
    return partial


def test_what_a_killed_command_left_is_listed_and_goes(folder):
    parts, reading = made("features/key.parts", "0.f4", 30), made("stores/.films-1.h5.shards", "a.npy", 40)
    half = [left_by_a_kill(folder / kind / "new") for kind in ("encoders", "weights")]
    found = {entry.kind: entry.bytes for entry in upkeep.entries()}
    assert found == {"features": 30, "reading": 40, "left": 100}
    assert sum(entry.bytes for entry in upkeep.entries(["left"])) == 200
    with claims.turn(folder / "features" / "key.npy"), claims.turn(folder / "stores" / "films-1.h5"):
        assert gone(["features", "reading"]) == []
    with claims.claimed(parts):
        assert gone(["features"]) == []
    assert gone(["features"]) == ["key.parts"]
    assert len(gone()) == 3
    assert not any(path.exists() for path in (parts, reading, *half))


def test_an_entry_that_is_used_is_noted_and_its_content_stays_known(folder):
    path = folder / "features" / "a"
    cache.write(path, b"content")
    os.utime(path, (0, 0))
    assert cache.has(path)
    assert time.time() - path.stat().st_atime < 60
    assert path.stat().st_mtime == 0
    assert upkeep.entries()[0].used_s > time.time() - 60


def test_what_an_object_holds_is_left_until_it_is_no_more(folder):
    path = made("features", "a.npy")

    class User:
        pass

    user = User()
    with cache.held(path) as keep:
        assert upkeep.prune(upkeep.entries()).in_use[0].paths == (path,)
        keep(user)
    gc.collect()
    assert gone() == []
    del user
    gc.collect()
    assert gone() == ["a.npy"]
    assert [each.name for each in (folder / "features").iterdir()] == []


READER = """
import socket, sys
from pathlib import Path
from plainfilm.data import cache, claims
socket.gethostname = lambda: "another-container"
claims._kernel = lambda: sys.argv[2]
class User: pass
user = User()
with cache.held(Path(sys.argv[1])) as keep:
    keep(user)
print(flush=True)
input()
print(Path(sys.argv[1]).stat().st_size, flush=True)
"""


@pytest.mark.parametrize("kernel", ["0badcafe", ""])
def test_a_reader_in_another_container_or_on_another_host_keeps_its_entry(folder, kernel):
    path = made("features", "a.npy")
    told = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", READER, path, kernel], **told) as reader:
        reader.stdout.readline()
        assert socket.gethostname() != "another-container"
        assert gone() == []
        assert reader.communicate("\n")[0].strip() == "1000"
    assert gone() == ["a.npy"]


MAKER = """
import socket, sys, time
from pathlib import Path
from plainfilm.data import cache, claims
host, path = sys.argv[1], Path(sys.argv[2])
socket.gethostname = lambda: host
claims._kernel = lambda: host[0] * 8
class User: pass
user = User()
with cache.held(path) as keep:
    with cache.missing(path) as is_missing:
        if is_missing:
            with cache.written(path) as file:
                for part in range(20):
                    file.write(bytes([part]) * 1000)
                    time.sleep(0.02)
    keep(user)
for _ in range(50):
    assert path.read_bytes()[:20_000] == b"".join(bytes([part]) * 1000 for part in range(20))
    time.sleep(0.01)
print("read to the end")
"""


def test_two_containers_share_a_cache_that_a_third_prunes(folder):
    path = folder / "features" / "a.npy"
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    makers = [subprocess.Popen([sys.executable, "-c", MAKER, host, path], **told) for host in ("aaa", "bbb")]
    while any(maker.poll() is None for maker in makers):
        upkeep.prune(upkeep.entries())
        time.sleep(0.02)
    assert [maker.communicate() for maker in makers] == [("read to the end\n", "")] * 2
    assert gone() in ([], ["a.npy"])


def test_an_entry_that_is_being_made_is_left(folder):
    path = made("features", "a.npy")
    with claims.turn(path):
        assert gone() == []
    assert gone() == ["a.npy"]


def test_an_entry_that_is_claimed_while_it_is_taken_away_comes_back(folder, monkeypatch):
    path = made("features", "a.npy")
    own, seen = claims.names_in, []

    def names_in(place, **told):
        found = own(place, **told)
        seen.append(found)
        return found if len(seen) == 1 else found | {"a.npy"}  # by a reader that came in between

    monkeypatch.setattr(claims, "names_in", names_in)
    assert gone() == []
    assert path.stat().st_size == 1000


def test_a_folder_of_maps_in_use_is_left(folder):
    made("maps/key", "0.bin")
    with claims.claimed(folder / "maps" / "key" / "use"):
        assert gone() == []
    assert gone() == ["key"]


def test_a_limit_takes_away_what_was_not_used_for_longest_and_what_can_be_made_anew_alone(folder):
    upkeep.set_limit(6000)
    old, new = made("features", "old", 2000, days=9), made("probes", "new", 2000, days=1)
    kept = [
        made("stores", "f-1.h5", 1000, days=99),
        made("openings/films", "x", 1, days=99),
        made("weights", "w", 1, days=99),
    ]
    upkeep._Room().make(1, folder)
    assert old.exists()
    cache.write(folder / "features" / "more", bytes(1000))
    upkeep._Room().make(1000, folder / "features" / "more")
    assert not old.exists()
    assert all(path.exists() for path in (new, *kept, folder / "features" / "more"))


def test_what_was_just_written_stays_even_where_it_alone_is_more_than_the_limit(folder, monkeypatch):
    monkeypatch.setenv(upkeep.LIMIT_VARIABLE, "1kB")
    monkeypatch.setattr(upkeep, "make_room", upkeep._Room().make)
    made("features", "old", 10, days=3)
    cache.write(folder / "features" / "large", bytes(3000))
    assert sorted(path.name for path in (folder / "features").iterdir()) == ["large"]


def test_the_environment_goes_before_what_was_kept_and_none_lifts_it(folder, monkeypatch):
    assert upkeep.limit() is None
    upkeep.set_limit(upkeep.read_size("1.5 GB"))
    assert upkeep.limit() == 1_500_000_000
    monkeypatch.setenv(upkeep.LIMIT_VARIABLE, "20mb")
    assert upkeep.limit() == 20_000_000
    monkeypatch.delenv(upkeep.LIMIT_VARIABLE)
    upkeep.set_limit(None)
    assert upkeep.limit() is None


@pytest.mark.parametrize("text", ["", "none", "20 pounds", "-1GB", "GB", "1e9"])
def test_what_is_no_size_is_one_line(text):
    with pytest.raises(UsageError, match="Expected a size of the cache such as 20GB"):
        upkeep.read_size(text)
