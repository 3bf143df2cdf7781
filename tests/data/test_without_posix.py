"""What Windows lacks is not asked for: an ingest, and what opens its store, in a process without it."""

import os
import subprocess
import sys

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
