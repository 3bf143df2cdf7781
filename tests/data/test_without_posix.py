"""What Windows lacks is not asked for: an ingest, what opens its store, answers and the doctor, in a process without it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

AS_WINDOWS = """
import os, signal, subprocess, sys
import concurrent.futures, ctypes, h5py, msgspec, numpy, pathlib, PIL.Image, platform, pydicom, rich.console, scipy.ndimage, scipy.stats, shutil, simplejpeg, socket, tempfile
sys.modules.update(dict.fromkeys(("fcntl", "grp", "pwd", "resource", "termios")))
for module, names in ((os, "fork register_at_fork geteuid getuid getgid sched_getaffinity statvfs mkfifo O_NONBLOCK O_NOFOLLOW O_CLOEXEC killpg "
                       "setsid chown lchown fchmod sysconf posix_fadvise pread preadv"),
                      (signal, "pthread_sigmask SIGXCPU SIGXFSZ SIGHUP SIGPIPE SIGALRM SIGUSR1 SIGTSTP SIGCONT SIGCHLD SIGQUIT alarm setitimer")):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
shutil.disk_usage = lambda _: shutil._ntuple_diskusage(10**12, 0, 10**12)  # Python's own asks Windows otherwise
sys.platform = "win32"
from plainfilm.cli import main
main()
"""


def run(*words, folder):
    environment = {**os.environ, "PLAINFILM_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", AS_WINDOWS, *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_an_ingest_and_its_store_need_nothing_that_windows_lacks(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("A", "B"):
        (tmp_path / "films" / name).mkdir(parents=True)
        for number in range(6):
            coarse = Image.fromarray(rng.integers(0, 256, (20, 20), dtype=np.uint8))
            coarse.resize((120, 120)).save(tmp_path / "films" / name / f"{number}.png")
    done = run("ingest", "films", "--out", "films.h5", "--size", "64", "--quiet", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "films.h5").rename(tmp_path / "moved.h5")
    told = run("info", "moved.h5", "--verify", folder=tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    assert "every image, column and attribute" in told.stdout


def test_answers_need_nothing_that_windows_lacks(tmp_path):
    old = Path(__file__).parents[1] / "written_by_0_1_0"
    films = sorted(path for path in (old / "films").rglob("*") if path.suffix in {".png", ".jpg"})
    done = run(
        "predict", old / "run" / "model.plainfilm", *films[:2], "--device", "cpu", "--quiet", "--json", folder=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)["predictions"]) == 2


def test_the_doctor_needs_nothing_that_windows_lacks(tmp_path):
    done = run("doctor", "--json", folder=tmp_path)
    assert done.stderr == ""
    found = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    assert found["Device"]["found"].startswith("networks run on cpu")
    assert found["Memory"]["found"] == "unknown on this system"
