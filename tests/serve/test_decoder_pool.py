import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made_files import dataset, dicom_bytes, encoded, film, gray_film
from made_requests import descendants
from plainfilm.data import images
from plainfilm.data.images import Radiograph
from plainfilm.errors import ImageError
from plainfilm.serve import decoder_pool
from plainfilm.serve.decoder_pool import Decoders

FITTED = {"size": 64, "fit": "pad"}
WILD = """
import os, sys, time
from plainfilm.data import images
from plainfilm.serve import decoder_worker as here
plain, told = images.decode, here._answer
def decode(data, **options):
    if data == b"die": os.abort()
    if data == b"raise": raise ZeroDivisionError(data)
    if data == b"hang": time.sleep(60)
    if data == b"print": os.write(1, b"noise"); os.write(2, b"noise")
    if data == b"write":
        with open("left-behind", "wb", 0) as file: file.write(b"x")
    if data == b"grow": bytearray(5 << 30)
    return plain(data, **options)
images.decode = decode
import numpy as np
lies = {b"no json": (b"{", b""), b"list": (b"[]", b""), b"deep": (b"[" * 100000, b""), b"empty": (b"{}", b"abc"),
        b"short": (b'{"shape": [64, 64], "provenance": {}, "remarks": [], "sha256": ""}', b"abc"),
        b"odd": (b'{"provenance": [1], "remarks": [], "sha256": ""}', bytes(64 * 64)), b"latin": (b'{"a": "\\xff"}', b"")}
class Out:
    def __init__(self, out): self.out = out
    def write(self, data): self.out.write(data)
    def flush(self): self.out.flush()
made = here._only_answers
def answer(asked, data):
    if bytes(data) in lies:
        text, pixels = lies[bytes(data)]
        out.write(here.ANSWER.pack(len(text), len(pixels)) + text + pixels); out.flush()
        time.sleep(60)
    if bytes(data) == b"huge":
        out.write(here.ANSWER.pack(10, 1 << 62)); out.flush(); time.sleep(60)
    return told(asked, data)
def only():
    global out
    out = made()
    return out
here._answer, here._only_answers = answer, only
here.main()
"""


@pytest.fixture
def decoders():
    made = Decoders(2)
    yield made
    made.close()


@pytest.fixture
def wild(monkeypatch, tmp_path):
    """Decoders whose process does what the bytes say."""
    plain = subprocess.Popen

    def started(command, **options):
        assert command[-2:] == ["-m", "plainfilm.serve.decoder_worker"]
        return plain([sys.executable, "-c", WILD], cwd=tmp_path, **options)

    monkeypatch.setattr(decoder_pool.subprocess, "Popen", started)
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
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0]


def test_a_file_that_takes_too_long_is_lost_alone(wild):
    begun = time.monotonic()
    assert wild.radiograph(b"hang", **FITTED).code == "too-slow"
    assert 2.5 < time.monotonic() - begun < 8
    assert isinstance(wild.radiograph(jpeg(), **FITTED), Radiograph)
    assert wild.radiograph(b"die", **FITTED).code == "decoder-crashed", "the reason of the file before"


def test_memory_of_a_process_is_bounded(wild):
    assert wild.radiograph(b"grow", **FITTED).code in {"decoder-crashed", "out-of-memory"}
    assert isinstance(wild.radiograph(jpeg(), **FITTED), Radiograph)


def test_what_a_decoder_prints_does_not_mix_with_the_answers(wild):
    assert wild.radiograph(b"print", **FITTED).code == "unknown-format"
    assert isinstance(wild.radiograph(jpeg(), **FITTED), Radiograph)


@pytest.mark.parametrize("lie", [b"no json", b"list", b"deep", b"empty", b"short", b"odd", b"latin", b"huge"])
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
        "from plainfilm.serve.decoder_pool import Decoders\nimport os\ndecoders = Decoders(1)\n"
        "decoders.radiograph(b'x', size=9, fit='pad')\nprint(decoders._workers[0]._process.pid, flush=True)\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    pid, end = int(done.stdout), time.monotonic() + 5
    while time.monotonic() < end and _runs(pid):
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_process_loads_neither_networks_nor_learning_libraries():
    program = "import sys; from plainfilm.serve import decoder_worker; print(sorted({'keras', 'tensorflow', 'onnxruntime'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
