"""Folders instead of a store: read once, kept in the cache, found again, read anew where something is damaged or has changed."""

import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest

import plainfilm
from plainfilm.data import cache, phantom
from plainfilm.data.store import Store
from plainfilm.errors import CatalogError, StoreError, UsageError
from plainfilm.workflows import ingest
from plainfilm.workflows.options import TrainOptions
from plainfilm.workflows.progress import silent
from plainfilm.workflows.stored import command_of, open_store
from waiting import WAIT_S, until


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "my films"
    phantom.write_phantoms(folder, n=40, seed=5)
    return folder


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "stores"


@pytest.fixture
def films(made, tmp_path):
    shutil.copytree(made, tmp_path / "my films", copy_function=shutil.copy2)
    return tmp_path / "my films"


def opened(source, progress=silent, **flags):
    store, reading = open_store(source, TrainOptions(source, "run", **{"size": 32, "workers": 1} | flags), progress)
    store.close()
    return store, reading


def seen(folder):
    return [
        path for path in folder.iterdir() if not path.name.startswith(".")
    ]  # but for claims of stores that are open


def test_a_folder_is_read_into_the_cache_and_found_again(films, kept):
    store, reading = opened(films)
    assert (store.path, reading.store) == (reading.store, next(kept.glob("my-films-*.h5")))
    assert (reading.done.images, store.kept_at) == (40, str(store.path))
    again, found = opened(films)
    assert (again.path, found.done, again.fingerprint) == (store.path, None, store.fingerprint)
    assert [path.suffix for path in sorted(seen(kept))] == [".h5", ".csv"]


def test_how_many_processes_decode_makes_no_other_store(films):
    assert opened(films)[0].path == opened(films, workers=2)[0].path


@pytest.mark.parametrize(
    "flags",
    [{"size": 48}, {"fit": "pad"}, {"split_seed": 1}, {"pseudonyms": True}, {"keep": ["view"]}, {"label_of": None}],
    ids=str,
)
def test_each_flag_of_reading_makes_a_store_of_its_own(flags, films):
    first, _ = opened(films)
    other, reading = opened(films, **flags)
    is_another = flags != {"label_of": None}
    assert (other.path != first.path, reading.done is not None) == (is_another, is_another)


def add(films):
    shutil.copy(next(films.glob("COVID/*")), films / "NORMAL" / "one-more.jpg")


def touch(films):
    os.utime(next(films.glob("COVID/*")), (1, 1))


def retable(films):
    table = films / "metadata.csv"
    table.write_text(table.read_text().replace("Harbour", "Elsewhere"))


@pytest.mark.parametrize("change", [add, touch, retable])
def test_a_folder_that_has_changed_is_read_anew(change, films):
    first, _ = opened(films)
    change(films)
    other, reading = opened(films)
    assert other.path != first.path
    assert reading.done is not None


def test_labels_outside_the_folder_count_by_what_is_in_them(films, tmp_path):
    table = tmp_path / "labels.csv"
    names = [f"{path.parent.name}/{path.name}" for path in sorted(films.glob("*/*"))]

    def written(odd, even):
        rows = [f"{name},{odd if number % 2 else even}" for number, name in enumerate(names)]
        table.write_text("\n".join(["file_name,label", *rows]))
        return opened(films, labels=table)

    first, _ = written("a", "b")
    assert written("a", "b")[1].done is None
    assert written("a", "c")[0].classes == ("a", "c")
    assert first.classes == ("a", "b")


def test_folders_of_several_hospitals_are_one_store_and_an_archive_is_read(films, made, tmp_path):
    other = shutil.copytree(made, tmp_path / "other", copy_function=shutil.copy2)
    both, reading = opened([films, other])
    assert reading.done.images + reading.done.conflicts > 40
    archive = shutil.make_archive(str(tmp_path / "films"), "zip", films)
    assert opened(archive)[1].done.images == 40
    assert opened(archive)[1].done is None
    assert both.path != opened(films)[0].path


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    """One pixel of one image: what only reading it shows."""
    data = bytearray(path.read_bytes())
    with Store(path) as store:
        place = data.index(store.images([7])[0].tobytes())
    data[place + 100] ^= 255
    path.write_bytes(bytes(data))


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, flip, empty])
def test_a_damaged_store_is_read_anew(damage, films):
    first, _ = opened(films)
    damage(first.path)
    again, reading = opened(films)
    assert again.path == first.path
    assert reading.done is not None
    assert again.fingerprint == first.fingerprint
    with Store(again.path) as store:
        store.verify()


def test_looking_through_the_cache_takes_no_store_away(films):
    store, _ = opened(films)
    folder = store.path.parent.parent
    assert store.path not in cache.entries(folder)
    assert plainfilm.describe(folder, verify=True)["kind"] == "cache"
    assert opened(films)[1].done is None


def test_two_at_once_read_a_folder_once(films, monkeypatch):
    reads, runs = [], ingest.run
    begun = threading.Event()

    def counted(plan):
        reads.append(plan)
        begun.set()
        return runs(plan)

    monkeypatch.setattr(ingest, "run", counted)
    found = []
    threads = [threading.Thread(target=lambda: found.append(opened(films))) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(WAIT_S)
    assert len(reads) == 1
    assert len({store.path for store, _ in found}) == 1
    assert sorted(reading.done is None for _, reading in found) == [False, True, True]


READ = """
import sys
from plainfilm.workflows.options import TrainOptions
from plainfilm.workflows.stored import open_store

def slow(stage, done, every, note=""):
    if done == 5 or stage.startswith("Waiting"):
        print(stage, flush=True)
    if done == 5:
        sys.stdin.readline()

store, reading = open_store(sys.argv[1], TrainOptions(sys.argv[1], "run", size=32, workers=1), slow)
print(store.path, store.fingerprint, reading.done is None)
"""


def reader(films):
    """A process that reads a folder, and waits for a line when it has read five files."""
    return subprocess.Popen(
        [sys.executable, "-c", READ, str(films)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def ended(process):
    """What a process says at its end: path of the store, its fingerprint, and whether it was found."""
    out, _ = process.communicate("\n", WAIT_S)
    assert process.returncode == 0
    return out.splitlines()[-1].rsplit(" ", 2)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_reading_that_is_stopped_leaves_nothing_that_the_next_one_keeps(how, films, kept):
    process = reader(films)
    assert process.stdout.readline().startswith("Reading")
    process.send_signal(how)
    assert process.wait(WAIT_S) != 0
    assert not list(kept.glob("*.h5"))
    if how == signal.SIGINT:
        assert seen(kept) == []
    until(lambda: opened(films)[0].path.is_file())
    assert [path.suffix for path in sorted(seen(kept))] == [".h5", ".csv"]


@pytest.mark.slow
def test_of_two_processes_one_reads_and_the_other_waits_for_it(films, kept):
    first, second = reader(films), reader(films)
    reads, waits = sorted((first, second), key=lambda each: each.stdout.readline())
    other = reader(films)
    assert other.stdout.readline().startswith("Waiting")
    other.send_signal(signal.SIGINT)  # who waits takes nothing away with him
    assert other.wait(WAIT_S) != 0
    path, fingerprint, was_there = ended(reads)
    assert was_there == "False"
    assert ended(waits) == [path, fingerprint, "True"]
    assert [each.suffix for each in sorted(seen(kept))] == [".h5", ".csv"]


@pytest.mark.slow
def test_who_waits_for_a_process_that_is_killed_reads_the_folder_itself(films, kept):
    first = reader(films)
    assert first.stdout.readline().startswith("Reading")
    second = reader(films)
    assert second.stdout.readline().startswith("Waiting")
    first.kill()
    first.communicate()
    assert ended(second)[2] == "False"
    assert [each.suffix for each in sorted(seen(kept))] == [".h5", ".csv"]


def test_a_folder_that_cannot_be_read_makes_nothing(tmp_path, kept):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogError):
        opened(tmp_path / "empty")
    with pytest.raises(CatalogError, match="does not exist"):
        opened(tmp_path / "nowhere")
    assert list(kept.glob("*")) == []


def test_what_is_no_folder_is_opened_as_a_store(tmp_path, films):
    made = plainfilm.ingest(films, tmp_path / "own.h5", size=32, workers=1)
    for named in (made.path, str(made.path), made, [made.path]):
        store, reading = open_store(named, TrainOptions(named, "run"), silent)
        assert (store.path, reading, store.kept_at) == (made.path, None, None)
        store.close()
    with pytest.raises(StoreError, match="no such file"):
        open_store(tmp_path / "none.h5", TrainOptions("none.h5", "run"), silent)


def test_options_about_reading_are_refused_beside_a_store(tmp_path, films):
    made = plainfilm.ingest(films, tmp_path / "own.h5", size=32, workers=1)
    with pytest.raises(UsageError, match="`labels` and `split_seed` with a folder; received a store"):
        open_store(made, TrainOptions(made, "run", labels="x.csv", split_seed=3, workers=2), silent)
    with pytest.raises(UsageError, match="received the store .*own.h5 and .*my films"):
        open_store([made.path, films], TrainOptions([made.path, films], "run"), silent)


def test_a_cache_that_cannot_be_written_says_where_else_to_read_to(films, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="set PLAINFILM_CACHE to a folder that you can write to, or write a store"):
        opened(films)


def test_with_pseudonyms_neither_the_stores_name_nor_the_command_tells_the_folder(films, tmp_path):
    store, _ = opened(films, pseudonyms=True)
    assert store.path.name.startswith("radiographs-")
    assert store.path.with_name(f"{store.path.stem}.pseudonyms.csv").is_file()
    asked = TrainOptions(films, "run", pseudonyms=True)
    assert command_of(f"plainfilm train '{films}' --pseudonyms", films, asked) == "plainfilm train DATA --pseudonyms"
    assert command_of("plainfilm train x", "x", TrainOptions("x", "run")) == "plainfilm train x"


@pytest.mark.slow
def test_one_store_serves_every_verb_and_says_where_it_is(films, tmp_path):
    audited = plainfilm.audit(films, tmp_path / "audit", size=96, workers=1)
    assert audited.metrics["data"]["kept_at"] == str(audited.store)
    trained = plainfilm.train(
        films, tmp_path / "run", size=96, audit=False, settings={"training.epochs": 1, "backbone.input_size": 96}
    )
    assert trained.store == audited.store
    assert trained.metrics["data"]["kept_at"] == str(trained.store)
    assert str(trained.store) in (trained.folder / "report.html").read_text()
    opened = plainfilm.load(trained.folder)
    assert opened.bundle.metrics.data.kept_at is None
    assert str(tmp_path) not in opened.bundle.card
    assert plainfilm.load(trained.folder / "model.plainfilm").classes_ == opened.classes_


UNREAD = [
    ({"positive": "FLU"}, {}, "Expected `positive` to be one of COVID, NORMAL; received FLU"),
    ({"folds": 30}, {}, "at least 30 patients .* for folds=30"),
    ({"weights": "none.h5"}, {}, "none.h5"),
    ({"recipe": "defualt"}, {}, "Did you mean default"),
    ({"sign": "none.pem"}, {}, "none.pem"),
    ({"labels": "none.csv"}, {}, "none.csv"),
    ({"layout": "class/klass"}, {}, "klass"),
    ({"size": 5}, {}, "from 32 to 2048"),
    ({"mlflow": "nonsense://x"}, {}, "MLflow"),
    ({"recipes": ["defualt"]}, {"verb": "compare"}, "Did you mean default"),
    ({"recipes": ["default"], "positive": "FLU"}, {"verb": "compare"}, "one of COVID, NORMAL"),
    ({"recipes": ["default"], "settings": {"backbone.weights": "none.h5"}}, {"verb": "compare"}, "none.h5"),
    ({"model": "none.plainfilm"}, {"verb": "audit"}, "none.plainfilm"),
    ({"backbones": ["mobilnet"]}, {"verb": "tune"}, "mobilnet"),
]


@pytest.mark.parametrize(("told", "of", "match"), UNREAD, ids=lambda each: str(each)[:40])
def test_what_is_wrong_is_said_before_a_pixel_is_read(told, of, match, films, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ingest, "run", lambda _: pytest.fail("the folder was read first"))
    with pytest.raises(plainfilm.PlainfilmError, match=match):
        getattr(plainfilm, of.get("verb", "train"))(films, tmp_path / "run", **told)


@pytest.mark.parametrize("verb", [plainfilm.train, plainfilm.ingest])
def test_too_few_of_a_class_is_said_before_a_pixel_is_read(verb, films, tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "run", lambda _: pytest.fail("the folder was read first"))
    for film in sorted(films.glob("COVID/*"))[2:]:
        film.unlink()
    with pytest.raises(plainfilm.PlainfilmError, match=r"received [12] of COVID\. Add"):
        verb(films, tmp_path / "out.h5")


def test_a_missing_store_is_said_before_flags_that_it_has_no_use_for():
    with pytest.raises(StoreError, match="no such file"):
        open_store("none.h5", TrainOptions("none.h5", "run", size=96), silent)
