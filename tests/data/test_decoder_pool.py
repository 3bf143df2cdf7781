import hashlib
import itertools
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made_files import dataset, dicom_bytes, encoded, endless_jpeg, film, gray_film, written
from made_requests import descendants
from plainfilm.data import decoder_pool, decoder_process, images
from plainfilm.data.decoder_pool import Decoders, DecodingError, read_few, read_headers, read_many
from plainfilm.data.images import Radiograph
from plainfilm.errors import ImageError, PlainfilmError, UsageError
from waiting import WAIT_S, until

FITTED = {"size": 64, "fit": "pad"}
WILD = """
import os, sys, time
sys.path[:] = sys.argv[2:]
from plainfilm.data import images
from plainfilm.data import decoder_worker as here
is_first = not os.path.exists("started")
os.makedirs("started" if is_first else "again", exist_ok=True)  # later it may not
plain = images.decode
def header(file):
    return decode(file) if file in (b"die", b"hang") else {"patient_id": "P1"}
images.header = header
def decode(data, **options):
    if data == b"die": os.abort()
    if data == b"raise": raise ZeroDivisionError(data)
    if data == b"hang": time.sleep(60)
    if data == b"slow": time.sleep(0.2)
    if data == b"die once" and is_first: os.abort()
    if data == b"print": os.write(1, b"noise"); os.write(2, b"noise")
    if data == b"write":
        with open("left-behind", "wb", 0) as file: file.write(b"x")
    if data == b"grow": bytearray(5 << 30)
    if data in lies:
        text, pixels = lies[data]
        out.write(here.ANSWER.pack(len(text), len(pixels)) + text + pixels); out.flush()
        time.sleep(60)
    if data == b"huge":
        out.write(here.ANSWER.pack(10, 1 << 62)); out.flush(); time.sleep(60)
    return plain(data, **options)
images.decode = decode
import numpy as np
lies = {b"no json": (b"{", b""), b"list": (b"[]", b""), b"deep": (b"[" * 100000, b""), b"empty": (b"{}", b"abc"),
        b"short": (b'{"shape": [64, 64], "provenance": {}, "remarks": [], "sha256": ""}', b"abc"),
        b"odd": (b'{"provenance": [1], "remarks": [], "sha256": ""}', bytes(64 * 64)), b"code": (b'{"code": "new", "sentence": ""}', b""),
        b"deep inside": (b'{"provenance": {"age": [1]}, "remarks": [], "sha256": ""}', bytes(64 * 64)), b"latin": (b'{"a": "\\xff"}', b"")}
made = here.child.only_answers
def only():
    global out
    out = made()
    return out
here.child.only_answers = only
here.main()
"""


@pytest.fixture
def decoders():
    made = Decoders(2)
    made.start()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _no_process_of_an_earlier_test():
    decoder_pool._end_all()
    decoder_pool._SPARE.clear()


@pytest.fixture
def going_wild(monkeypatch, tmp_path):
    """Processes that do what the bytes say."""
    plain = subprocess.Popen

    def started(command, **options):
        assert command[:3] == [sys.executable, "-c", decoder_process._PROGRAM]
        return plain([*command[:2], WILD, *command[3:]], cwd=tmp_path, **options)

    monkeypatch.setattr(decoder_process.subprocess, "Popen", started)
    end_spare()
    yield
    end_spare()


def end_spare():
    """End the process that waits for who decodes next."""
    while decoder_pool._SPARE:
        decoder_pool._SPARE.pop().close()


@pytest.fixture
def wild(going_wild):
    made = Decoders(1, seconds=3.0)
    yield made
    made.close()


def jpeg():
    return encoded(Image.fromarray(gray_film(300, 200)), "JPEG")


@pytest.mark.parametrize("fit", images.FITS)
@pytest.mark.parametrize("made", [jpeg, lambda: dicom_bytes(dataset(film(90, 70)))])
def test_a_process_gives_what_decoding_here_gives(decoders, made, fit):
    data = made()
    there, here = decoders.radiograph(bytearray(data), size=64, fit=fit), images.decode(data, size=64, fit=fit)
    np.testing.assert_array_equal(there.pixels, here.pixels)
    assert (there.sha256, there.provenance, there.remarks) == (here.sha256, here.provenance, here.remarks)
    np.testing.assert_array_equal(decoders.displayed(data, longest_px=50), images.displayed(data, longest_px=50))


def test_an_unreadable_file_is_a_reason_with_its_code(decoders):
    for asked in (
        lambda data: decoders.radiograph(data, **FITTED),
        lambda data: decoders.displayed(data, longest_px=9),
    ):
        error = asked(b"no picture")
        assert isinstance(error, ImageError)
        assert (error.code, "begins like none of them" in str(error)) == ("unknown-format", True)
        assert asked(b"").code == "empty"


def running(decoders):
    """Ids of the processes that decode, without what else this process has started."""
    own = {worker._process.pid for worker in decoders._workers if worker._process}
    return {pid for pid, state in descendants(os.getpid()) if pid in own and state != "Z"}


def test_one_process_is_kept_for_many_files():
    made = Decoders(1)
    made.radiograph(jpeg(), **FITTED)
    before = running(made)
    for _ in range(5):
        made.radiograph(b"no picture", **FITTED)
    assert len(before) == 1
    assert running(made) == before
    made.close()
    assert not before & {pid for pid, _ in descendants(os.getpid())}


@pytest.mark.parametrize("deadly", [b"die", b"raise"])
def test_a_file_that_kills_its_process_is_lost_alone(wild, deadly):
    assert wild.radiograph(deadly, **FITTED).code == "decoder-crashed"
    assert isinstance(wild.radiograph(jpeg(), **FITTED), Radiograph)


def test_a_process_cannot_write_to_the_disk(wild, tmp_path):
    wild.radiograph(b"write", **FITTED)
    assert sum(path.stat().st_size for path in tmp_path.iterdir() if path.is_file()) == 0


def test_a_file_that_takes_too_long_is_lost_alone(wild):
    begun = time.monotonic()
    assert wild.radiograph(b"hang", **FITTED).code == "too-slow"
    assert time.monotonic() - begun > 3.0
    assert isinstance(wild.radiograph(jpeg(), **FITTED), Radiograph)
    assert wild.radiograph(b"die", **FITTED).code == "decoder-crashed", "the reason of the file before"


def test_a_file_that_nobody_wants_any_more_is_given_up(wild):
    wanted = [True, True]
    wild._seconds = 60.0  # as long as it hangs
    found = wild.radiograph(b"hang", **FITTED, is_wanted=lambda: bool(wanted) and wanted.pop())
    assert (found.code, wanted) == ("too-slow", [])
    assert isinstance(wild.radiograph(jpeg(), **FITTED), Radiograph), "the next one is wanted"


def test_memory_of_a_process_is_bounded(wild):
    assert wild.radiograph(b"grow", **FITTED).code in {"decoder-crashed", "out-of-memory"}
    assert isinstance(wild.radiograph(jpeg(), **FITTED), Radiograph)


def test_what_a_decoder_prints_does_not_mix_with_the_answers(wild):
    assert wild.radiograph(b"print", **FITTED).code == "unknown-format"
    assert isinstance(wild.radiograph(jpeg(), **FITTED), Radiograph)


@pytest.mark.parametrize(
    "lie", [b"no json", b"list", b"deep", b"empty", b"short", b"odd", b"latin", b"huge", b"code", b"deep inside"]
)
def test_a_process_that_lies_is_replaced(wild, lie):
    assert wild.radiograph(lie, **FITTED).code == "decoder-crashed"
    assert isinstance(wild.radiograph(jpeg(), **FITTED), Radiograph)


def test_a_process_killed_between_two_files_costs_no_file(decoders):
    assert isinstance(decoders.radiograph(jpeg(), **FITTED), Radiograph)
    for pid in running(decoders):
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    assert isinstance(decoders.radiograph(jpeg(), **FITTED), Radiograph)


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.1, 1.0])
def test_what_a_terminal_or_a_supervisor_sends_to_all_processes_leaves_them_running(seconds):
    made = Decoders(2)
    made.start()
    time.sleep(seconds)  # at first they only start
    before = running(made)
    for pid in before:
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
    assert isinstance(made.radiograph(jpeg(), **FITTED), Radiograph)
    assert len(before) == 2
    assert running(made) == before
    made.close()


def test_many_threads_get_each_its_own_answer(decoders):
    sent = [encoded(Image.fromarray(np.roll(gray_film(), shift, 1)), "PNG") for shift in range(24)]
    got = [None] * len(sent)

    def ask(number):
        got[number] = decoders.radiograph(sent[number], **FITTED)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(sent))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.sha256 for each in got] == [images.decode(data).sha256 for data in sent]


def test_a_process_ends_when_its_server_is_killed():
    program = (
        "from plainfilm.data.decoder_pool import Decoders\nimport os\ndecoders = Decoders(1)\n"
        "decoders.radiograph(b'x', size=9, fit='pad')\nprint(decoders._workers[0]._process.pid, flush=True)\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    until(lambda: gone(int(done.stdout)))


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_the_process_loads_neither_networks_nor_learning_libraries():
    program = "import sys; from plainfilm.data import decoder_worker; print(sorted({'keras', 'tensorflow', 'onnxruntime', 'h5py', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


# ---- many files


def some(folder, n, *, deadly=()):
    """`n` small films of different bytes, those numbered `deadly` (from 1) the end of a process."""
    data = [b"die" if number in deadly else encoded(Image.fromarray(np.roll(gray_film(), number, 1)), "PNG") for number in range(1, n + 1)]  # fmt: skip
    return [written(folder, each, f"{number}.png") for number, each in enumerate(data)]


def test_a_light_file_is_read_here_and_a_heavy_one_is_not(tmp_path):
    (path,) = some(tmp_path, 1)
    np.testing.assert_array_equal(images.read_if_light(path, size=32).pixels, images.read(path, size=32).pixels)
    progressive = written(
        tmp_path, encoded(Image.fromarray(gray_film()).convert("CMYK"), "JPEG", progressive=True), "a"
    )
    assert images.read_if_light(progressive, size=32)
    large = written(tmp_path, jpeg() + bytes(images.LIGHT_BYTES), "large.jpg")
    endless = written(tmp_path, endless_jpeg(), "endless.jpg")
    dicom = written(tmp_path, dicom_bytes(dataset(film(90, 70))), "film.dcm")
    wide = written(tmp_path, png_head(4001, 4000, 8, 0), "wide.png")
    deep = written(tmp_path, png_head(2600, 2600, 16, 6), "deep.png")
    twice = written(tmp_path, png_head(64, 64, 8, 0) + png_head(9000, 9000, 8, 0)[8:], "twice.png")
    cut = written(tmp_path, jpeg()[:20], "cut.jpg")
    heavy = (large, endless, dicom, wide, deep, twice, cut)
    assert [images.read_if_light(each, size=32) for each in heavy] == [None] * len(heavy)


def png_head(width, height, bits, colour):
    """The beginning of a PNG, as far as its size and depth."""
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, bits, colour, 0, 0, 0) + bytes(4)
    )


def test_what_swells_in_the_chunks_of_a_light_png_is_bounded(tmp_path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    plain = encoded(Image.fromarray(gray_film()), "PNG")
    swollen = zlib.compress(bytes(200 << 20), 9)
    chunks = [chunk(b"iCCP", b"p\0\0" + swollen), *[chunk(b"zTXt", b"k\0\0" + swollen)] * 4]
    path = written(tmp_path, plain[:33] + b"".join(chunks) + plain[33:], "film.png")
    tracemalloc.start()
    (found,) = read_few([path], size=32)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(found, Radiograph | ImageError)
    assert peak < 20 << 20


def told(outcomes):
    return [each.code if isinstance(each, ImageError) else each.sha256 for each in outcomes]


def expected(paths):
    data = [path.read_bytes() for path in paths]
    return ["decoder-crashed" if each == b"die" else hashlib.sha256(each).hexdigest() for each in data]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("n", [0, 1, 7, 50])
def test_results_come_in_the_order_of_the_files(tmp_path, workers, n):
    paths = some(tmp_path, n)
    assert told(read_many(paths, size=32, workers=workers, batch=20)) == expected(paths)


def test_processes_give_what_reading_one_by_one_gives_and_pixels_that_may_be_changed(tmp_path):
    paths = [*some(tmp_path, 9), written(tmp_path, dicom_bytes(dataset(film(90, 70))), "film.dcm"), tmp_path / "none"]
    *found, missing = read_many(paths, size=64, fit="crop", workers=2)
    assert missing.code == "not-found"
    for path, there in zip(paths[:-1], found, strict=True):
        here = images.read(path, size=64, fit="crop")
        np.testing.assert_array_equal(there.pixels, here.pixels)
        assert (there.sha256, there.provenance, there.remarks) == (here.sha256, here.provenance, here.remarks)
        there.pixels[0] = 0


def test_a_slow_start_does_not_change_the_order(going_wild, tmp_path):
    paths = [written(tmp_path, b"slow", f"slow{number}") for number in range(4)] + some(tmp_path, 36)
    assert told(read_many(paths, size=32, workers=2, batch=32)) == ["unknown-format"] * 4 + expected(paths[4:])


@pytest.mark.parametrize(("workers", "deadly"), [(2, {1}), (2, {40}), (2, {3, 4}), (2, {11, 30}), (1, {5})])
def test_only_the_deadly_files_are_lost(going_wild, tmp_path, workers, deadly):
    paths = some(tmp_path, 40, deadly=deadly)
    assert told(read_many(paths, size=32, workers=workers, batch=24)) == expected(paths)


def test_a_file_whose_process_was_ended_by_something_else_is_read_again(going_wild, tmp_path):
    paths = [*some(tmp_path, 3), written(tmp_path, b"die once", "last")]
    assert told(read_many(paths, size=32, workers=1)) == [*expected(paths[:3]), "unknown-format"]
    assert (tmp_path / "again").exists()


@pytest.mark.parametrize("lie", [b"no json", b"short", b"huge", b"deep inside"])
def test_a_file_whose_process_lies_is_lost_alone(going_wild, tmp_path, lie):
    paths = [written(tmp_path, lie, "lie"), *some(tmp_path, 3)]
    assert told(read_many(paths, size=64, workers=1)) == ["decoder-crashed", *expected(paths[1:])]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_jpeg_that_takes_minutes_is_lost_alone(tmp_path, workers):
    paths = some(tmp_path, 12)
    paths[5] = written(tmp_path, endless_jpeg(), "endless.jpg")
    found = told(read_many(paths, size=32, workers=workers, seconds=2.0))
    assert found == [*expected(paths[:5]), "too-slow", *expected(paths[6:])]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("held", [1, 10, 64])
def test_no_more_files_are_taken_than_may_be_held(tmp_path, workers, held):
    taken, paths = [], some(tmp_path, 5) * 20

    def counted():
        for path in paths:
            taken.append(path)
            yield path

    for done, _ in enumerate(read_many(counted(), size=32, workers=workers, batch=held)):
        assert len(taken) - done <= held
    assert len(taken) == 100


@pytest.mark.parametrize("options", [{"fit": "squeeze"}, {"size": 0}, {"workers": 0}, {"batch": 0}])
def test_wrong_usage_is_told_at_the_call(options):
    with pytest.raises(UsageError, match="received"):
        read_many([], **{"workers": 1, **options})


def test_a_fault_of_ours_is_raised_and_not_taken_for_a_crash(going_wild, tmp_path):
    with pytest.raises(DecodingError, match="ZeroDivisionError"):
        list(read_many([*some(tmp_path, 9), written(tmp_path, b"raise", "last")], size=32, workers=2))


def own():
    return {pid for pid, state in descendants(os.getpid()) if state != "Z"}


def test_leaving_early_ends_the_processes(tmp_path):
    before, (path,) = own(), some(tmp_path, 1)
    results = read_many(itertools.repeat(path), size=32, workers=2)
    next(results)
    assert len(own() - before) == 2
    results.close()
    assert own() == before


def test_one_process_is_left_to_the_next_call_which_may_come_from_another_folder(tmp_path, monkeypatch):
    before = own()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        paths = some(tmp_path / name, 20)
        assert told(read_many([path.name for path in paths], size=32, workers=2)) == expected(paths)
        left = own() - before
        assert len(left) == 1


def test_few_files_start_no_process_but_for_those_that_may_take_long_or_crash(tmp_path):
    before, paths = own(), [*some(tmp_path, 3), tmp_path / "none", written(tmp_path, b"", "empty")]
    assert told(read_few(paths, size=32)) == [*expected(paths[:3]), "not-found", "empty"]
    assert own() == before
    heavy = written(tmp_path, dicom_bytes(dataset(film(90, 70))), "film.dcm")
    assert told(read_few([heavy, heavy, paths[0]], size=32)) == expected([heavy, heavy, paths[0]])
    assert len(own() - before) == 1


@pytest.mark.parametrize("deadly", [b"die", b"hang"])
def test_few_files_too_are_lost_alone(going_wild, tmp_path, monkeypatch, deadly):
    monkeypatch.setattr(decoder_pool, "read_many", partial(read_many, seconds=2.0))
    paths = [written(tmp_path, deadly, "deadly"), *some(tmp_path, 1)]
    assert told(read_few(paths, size=32)) == [{b"die": "decoder-crashed", b"hang": "too-slow"}[deadly], *expected(paths[1:])]  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forking is POSIX's")
def test_a_forked_process_reads_with_processes_of_its_own(tmp_path):
    paths = some(tmp_path, 3)
    program = (
        "import os, sys, warnings; from plainfilm.data.decoder_pool import read_many\n"
        "warnings.simplefilter('ignore')\n"
        "list(read_many(sys.argv[1:], size=32, workers=1))\n"
        "child = os.fork()\n"
        "print(*[each.sha256 for each in read_many(sys.argv[1:], size=32, workers=1)], flush=True)\n"
        "if child: sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [" ".join(expected(paths))] * 2


READ = """
import sys
from plainfilm.data.decoder_pool import read_many
found = list(read_many(FILES, size=32, workers=2))
print(*[each.sha256 for each in found])
"""


@pytest.mark.parametrize("way", ["script", "stdin", "exec"])
def test_no_main_guard_and_no_file_is_needed(tmp_path, way):
    (tmp_path / "films").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "PIL.py").write_text("raise SystemExit('a file that lies beside the films was run')")
    paths = some(tmp_path / "films", 20)
    text = READ.replace("FILES", repr([str(path) for path in paths]))
    script = written(tmp_path, text.encode(), "script.py")
    command = {"script": [script], "stdin": ["-"], "exec": ["-c", f"exec({text!r}, {{}})"]}[way]
    done = subprocess.run(
        [sys.executable, *command],
        input=text if way == "stdin" else None,
        cwd=tmp_path / "here" if way == "script" else tmp_path / "films",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout.split()) == (0, "", expected(paths))


def test_a_library_found_by_a_changed_path_is_found_by_the_processes_too(tmp_path):
    (path,) = some(tmp_path, 1)
    root = Path(images.__file__).parents[2]
    program = f"import sys; sys.path[:0] = {[str(root), *sys.path]!r}\n" + READ.replace("FILES", repr([str(path)]))
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout.split()) == ("", expected([path]))


def test_a_script_that_ends_in_the_midst_of_reading_ends_its_processes(tmp_path):
    (path,) = some(tmp_path, 1)
    program = (
        "import itertools, sys; from plainfilm.data.decoder_pool import read_many\n"
        "results = read_many(itertools.repeat(sys.argv[1]), size=32, workers=2); next(results)"
    )
    job = subprocess.Popen([sys.executable, "-c", program, path], stderr=subprocess.PIPE, start_new_session=True)
    assert job.communicate()[1] == b""
    assert job.returncode == 0
    until(lambda: group_is_gone(job.pid))


def test_ctrl_c_stops_the_job_and_its_processes(tmp_path):
    (path,) = some(tmp_path, 1)
    program = (
        "import itertools, sys; from plainfilm.data.decoder_pool import read_many\n"
        "for _ in read_many(itertools.repeat(sys.argv[1]), workers=2): print('.', end='', flush=True)"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", program, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    job.stdout.read(1)
    os.killpg(job.pid, signal.SIGINT)
    _, heard = job.communicate(timeout=WAIT_S)
    assert job.returncode == -signal.SIGINT
    assert heard.count(b"Traceback") == 1
    until(lambda: group_is_gone(job.pid))


def group_is_gone(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_process_ends_in_the_midst_of_a_file_when_its_parent_is_killed(tmp_path):
    path = written(tmp_path, endless_jpeg(), "endless.jpg")
    program = (
        "import sys; from plainfilm.data.decoder_pool import Decoders\n"
        "decoders = Decoders(1, seconds=600, reads_files=True); decoders.start(); print(decoders._workers[0]._process.pid, flush=True)\n"
        "list(decoders.files(sys.argv[1:], size=32, fit='pad', held=1))"
    )
    job = subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True)
    pid = int(job.stdout.readline())
    until(lambda: _used_s(pid) > 1)
    job.kill()
    job.communicate()
    until(lambda: gone(pid))


def _used_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / os.sysconf("SC_CLK_TCK")


def test_time_in_which_everything_stood_still_is_not_the_files():
    process = decoder_process.Process()
    process.start()
    process._allow(1.0)
    time.sleep(1.5)
    looks = 0
    while not process.was_late:
        process.end_if_late()
        looks += 1
    process.close()
    assert looks - 1 == pytest.approx(1.0 / decoder_process.LOOK_S, abs=1)


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/false"])
def test_a_python_that_cannot_be_started_is_one_sentence_and_no_reason_of_a_file(tmp_path, monkeypatch, program):
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(PlainfilmError, match=r"^Expected a process that decodes, started as [^\n]*$"):
        list(read_many(some(tmp_path, 2), size=32, workers=2))
    made = Decoders(1)
    assert made.radiograph(jpeg(), **FITTED).code == "decoder-crashed"
    made.close()


def test_pipes_stay_small_where_a_user_may_have_no_more_large_ones(tmp_path, monkeypatch):
    fcntl, paths = pytest.importorskip("fcntl"), some(tmp_path, 12)
    monkeypatch.setattr(fcntl, "fcntl", lambda *_: (_ for _ in ()).throw(PermissionError))
    assert told(read_many(paths, size=512, workers=2)) == expected(paths)


def broken():
    raise OSError("the archive ends here")


def test_a_file_may_be_a_function_that_gives_its_bytes_and_have_a_depth(going_wild, tmp_path):
    deep = encoded(Image.fromarray(film(bits=10)), "PNG")
    path = written(tmp_path, deep, "deep.png")
    files = [
        path,
        lambda: deep,
        (path, 12),
        (lambda: deep, 12),
        broken,
        (lambda: b"die"),
        *some(tmp_path, 2),
        lambda: deep,
    ]
    for found in (list(read_many(files, size=32, workers=2)), list(read_few(files, size=32))):
        assert [each.code for each in found[4:6]] == ["unreadable", "decoder-crashed"]
        assert [each.provenance.get("depth") for each in found[:4] + found[6:]] == [10, 10, 12, 12, None, None, 10]
        for each, depth in zip(found[:4], (None, None, 12, 12), strict=True):
            np.testing.assert_array_equal(each.pixels, images.read(path, size=32, depth=depth).pixels)


def test_a_given_file_whose_process_was_ended_by_something_else_is_decoded_again(going_wild, tmp_path):
    assert told(read_many([lambda: b"die once"], size=32, workers=1)) == ["unknown-format"]
    assert (tmp_path / "again").exists()


def test_functions_are_called_in_order_one_at_a_time():
    data, asked_for, inside = encoded(Image.fromarray(gray_film()), "PNG"), list[int](), threading.Lock()

    def member(number: int) -> bytes:
        assert inside.acquire(blocking=False)
        asked_for.append(number)
        time.sleep(0.001)
        inside.release()
        return data

    taken = list(read_many([partial(member, k) for k in range(60)], **FITTED, workers=4))
    assert all(isinstance(outcome, Radiograph) for outcome in taken)
    assert asked_for == list(range(60))


# ---- headers


def test_headers_are_read_in_order_by_the_process_that_then_decodes(tmp_path):
    before = own()
    paths = [
        written(tmp_path, dicom_bytes(dataset(film(90, 70), PatientID=f"P{number}")), f"{number}.dcm")
        for number in range(20)
    ]
    given = [path if number % 3 else path.read_bytes for number, path in enumerate(paths)]
    found = list(read_headers([*given, tmp_path / "none", tmp_path]))
    assert [header["patient_id"] for header in found[:20]] == [f"P{number}" for number in range(20)]
    assert [error.code for error in found[20:]] == ["not-found", "not-a-file"]
    left = own() - before
    assert len(left) == 1
    assert told(read_many(paths, size=32, workers=1)) == expected(paths)
    assert own() - before == left


@pytest.mark.parametrize(("bytes_", "code"), [(b"die", "decoder-crashed"), (b"hang", "too-slow")])
def test_a_header_that_kills_or_holds_up_its_process_is_lost_alone(going_wild, bytes_, code):
    sound = [lambda: b"sound"] * 3
    found = list(read_headers([*sound, lambda: bytes_, *sound], seconds=3.0))
    assert [each.code if isinstance(each, ImageError) else each for each in found] == [*[{"patient_id": "P1"}] * 3, code, *[{"patient_id": "P1"}] * 3]  # fmt: skip
