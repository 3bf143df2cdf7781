"""What a process that decodes can still do, tried from inside one."""

import errno
import os
import platform
import socket
import struct
import sys
from pathlib import Path

import pytest
from PIL import Image
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from made_files import dataset, dicom_bytes, encoded, film, gray_film, written
from plainfilm.data import confinement, decoder_pool, decoder_process, images
from plainfilm.data.confinement import CALLS, FILES, MEMORY, PROCESSES, TCP
from plainfilm.data.decoder_pool import Decoders

TAKEN_OVER = """
import sys
sys.path[:] = sys.argv[2:]
from plainfilm.data import decoder_worker, images
from plainfilm.errors import ImageError
def run(data, **_):
    found = {"answer": "done"}
    try: exec(data.decode(), {"os": os, "socket": socket, "sys": sys}, found)
    except OSError as error: found["answer"] = error.strerror or str(error)
    raise ImageError("damaged", found["answer"])
images.decode = run
decoder_worker.main(reads_files=sys.argv[1] == "files")
"""
WRITING = {
    "write": "open('film', 'r+b').write(b'x')",
    "append": "open('film', 'ab')",
    "truncate": "os.truncate('film', 0)",
    "make a file": "open('new', 'xb')",
    "make a folder": "os.mkdir('new')",
    "make a pipe": "os.mkfifo('new')",
    "delete": "os.unlink('film')",
    "delete a folder": "os.rmdir('folder')",
    "rename": "os.rename('film', 'folder/film')",
    "link": "os.link('film', 'folder/film')",
    "link by name": "os.symlink('film', 'new')",
}
OTHERS = {
    "execute": (FILES, "os.execv(sys.executable, [sys.executable, '-c', ''])"),
    "execute in a child": (FILES, "import subprocess; subprocess.run(['/bin/true'])"),
    "connect": (TCP, "socket.create_connection(('127.0.0.1', PORT), 5)"),
    "listen": (TCP, "socket.socket().bind(('127.0.0.1', 0))"),
    "signal": (PROCESSES, "os.kill(os.getppid(), 0)"),
    "see secrets": (FILES, "open(f'/proc/{os.getppid()}/environ').read()"),
    "send datagrams": (CALLS, "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))"),
    "speak to services": (CALLS, "socket.socket(socket.AF_UNIX).connect('/run/any')"),
    "change rights": (CALLS, "os.chmod('film', 0o777)"),
    "change times": (CALLS, "os.utime('film', (0, 0))"),
    "change attributes": (CALLS, "os.setxattr('film', 'user.x', b'x')"),
}
MANY_KINDS = {
    "jp2": lambda: encoded(Image.fromarray(gray_film()), "JPEG2000"),
    "tiff": lambda: encoded(Image.fromarray(gray_film()), "TIFF", compression="tiff_lzw"),
    "webp": lambda: encoded(Image.fromarray(gray_film()), "WEBP", lossless=True),
    **{syntax.name: lambda syntax=syntax: compressed(syntax) for syntax in (JPEG2000Lossless, JPEGLSLossless, RLELossless)},
}  # fmt: skip


def compressed(syntax):
    made = dataset(film())
    made.compress(syntax)
    return dicom_bytes(made)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a film, where the processes of these tests run."""
    folder = tmp_path_factory.mktemp("home")
    written(folder, b"film", "film")
    (folder / "folder").mkdir()
    return folder


@pytest.fixture(scope="module")
def taken_over(home):
    """Processes that run the Python they are given: those that read files, and those that are given bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder_process, "_PROGRAM", f"import os, socket; os.chdir({str(home)!r})\n{TAKEN_OVER}")
        patch.setattr(decoder_pool, "_SPARE", [])
        patch.setenv("PLAINFILM_TOKEN", "secret")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        made = {reads: Decoders(1, reads_files=reads) for reads in (True, False)}
        for each in made.values():
            each.start()
    yield made
    for each in made.values():
        each.close()


def answer(decoders, code):
    return str(decoders.radiograph(code.encode(), size=64, fit="pad"))


def need(decoders, *wanted):
    lacking = set(wanted) - set(decoders.bounded())
    if lacking:
        pytest.skip(f"this kernel cannot bound {' and '.join(sorted(lacking))}")


DENIED = {os.strerror(number) for number in (errno.EPERM, errno.EACCES, errno.EXDEV)}


@pytest.mark.parametrize("reads_files", [True, False])
@pytest.mark.parametrize("name", WRITING)
def test_nothing_on_the_disk_is_changed(taken_over, home, name, reads_files):
    need(taken_over[reads_files], FILES)
    before = {path: path.stat() for path in (home, *home.iterdir())}
    assert answer(taken_over[reads_files], WRITING[name]) in DENIED
    after = {path: path.stat() for path in (home, *home.iterdir())}
    assert {path: (each.st_mtime_ns, each.st_size, each.st_nlink) for path, each in after.items()} == {
        path: (each.st_mtime_ns, each.st_size, each.st_nlink) for path, each in before.items()
    }


@pytest.mark.parametrize("reads_files", [True, False])
@pytest.mark.parametrize("name", OTHERS)
def test_nothing_else_is_reached(taken_over, name, reads_files):
    what, code = OTHERS[name]
    need(taken_over[reads_files], what)
    with socket.create_server(("127.0.0.1", 0)) as heard:
        heard.setblocking(False)
        assert answer(taken_over[reads_files], code.replace("PORT", str(heard.getsockname()[1]))) in DENIED
        with pytest.raises(BlockingIOError):
            heard.accept()


def test_files_are_read_by_those_alone_that_were_started_to_read_them(taken_over, home):
    need(taken_over[False], FILES)
    code = f"open({str(home / 'film')!r}).read()"
    assert answer(taken_over[True], code) == "done"
    assert answer(taken_over[False], code) in DENIED
    assert answer(taken_over[False], "open('/etc/passwd').read()") in DENIED


@pytest.mark.parametrize("reads_files", [True, False])
def test_no_secret_is_in_the_environment_and_no_file_open(taken_over, reads_files):
    here = f"answer = repr((set(os.environ) - {{*{confinement.KEPT!r}, *{tuple(confinement.ONE_THREAD)!r}, 'ORT_DISABLE_TELEMETRY'}}, 'secret' in str(os.environ)))"
    assert answer(taken_over[reads_files], here) == "(set(), False)"
    assert os.environ.get("PLAINFILM_TOKEN") != "secret"
    if sys.platform == "linux":
        found = answer(taken_over[reads_files], "answer = ' '.join({os.readlink(f'/proc/self/fd/{fd}').split(':')[0] for fd in os.listdir('/proc/self/fd')[:-1]})")  # fmt: skip
        assert set(found.split()) <= {"pipe", "/dev/null"}


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_a_process_has_one_thread_when_it_is_confined(monkeypatch):
    count = "import plainfilm.data.confinement as c, os; was = c.confine; c.confine = lambda **k: (*was(**k), str(len(os.listdir('/proc/self/task'))))\n"
    monkeypatch.setattr(decoder_process, "_PROGRAM", decoder_process._PROGRAM.replace("from plainfilm", f"exec({count!r})\nfrom plainfilm", 1))  # fmt: skip
    made = Decoders(1)
    assert made.bounded()[-1] == "1"
    made.close()


@pytest.mark.parametrize("kind", MANY_KINDS)
def test_codecs_that_are_loaded_late_work_in_a_process_that_may_read_nothing_else(kind):
    data, made = MANY_KINDS[kind](), Decoders(1)
    here, there = images.decode(data, size=64), made.radiograph(data, size=64, fit="stretch")
    made.close()
    assert there.pixels.tobytes() == here.pixels.tobytes()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of a process")
def test_memory_is_bounded_for_a_while():
    with confinement.memory_within(64 << 20), pytest.raises(MemoryError):
        bytearray(256 << 20)
    assert len(bytearray(256 << 20)) == 256 << 20


class Kernel:
    """A Linux of some version of Landlock, as system calls see it; 0 for none."""

    def __init__(self, version):
        self.version, self.rulesets = version, []

    def syscall(self, number, *arguments):
        numbers = [getattr(each, "value", each) for each in arguments]
        if number.value == confinement._CREATE_RULESET:
            if numbers == [None, 0, 1]:
                return self.version or -1
            self.rulesets.append(numbers[0])
            return os.open(os.devnull, os.O_RDONLY)
        return 0 if self.version else -1


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's own numbers")
@pytest.mark.parametrize(
    ("version", "length", "rights", "bounded"),
    [
        (1, 8, 13, (FILES,)),
        (3, 8, 15, (FILES,)),
        (4, 16, 15, (FILES, TCP)),
        (5, 16, 16, (FILES, TCP)),
        (6, 24, 16, (FILES, TCP, PROCESSES)),
        (99, 24, 16, (FILES, TCP, PROCESSES)),
    ],
)
def test_of_each_version_of_landlock_all_is_used(version, length, rights, bounded):
    kernel = Kernel(version)
    assert confinement._restrict(kernel, ["/", "/nowhere"]) == bounded
    (ruleset,) = kernel.rulesets
    assert len(ruleset) == length
    assert struct.unpack_from("<Q", ruleset)[0] == (1 << rights) - 1


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's own numbers")
def test_where_the_kernel_has_nothing_nothing_is_claimed(monkeypatch):
    assert confinement._restrict(Kernel(0), ["/"]) == ()
    assert confinement._filter_calls(Kernel(0)) == ()
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert confinement._filter_calls(Kernel(7)) == ()


def test_all_that_may_be_bounded_has_a_name():
    assert set(confinement.ALL) == {FILES, TCP, PROCESSES, CALLS, MEMORY}
    assert not any(word in name for name in confinement.KEPT for word in ("TOKEN", "SECRET", "KEY", "PASSWORD"))
    assert Path(confinement._needed()[0]).name == "plainfilm"
