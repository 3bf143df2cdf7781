"""Time and memory of listing many files, against a bare `os.walk` of the same folder: `python benchmarks/listing.py [FILES]`.

Makes FILES empty files (1,000,000 by default, about a minute) in a temporary folder: 14 classes, each with folders of
patients that hold three films each. Each measure runs in a process of its own, three times, in turn; the medians count.
A million files need 1 GB and as many inodes; name another place for them with TMPDIR.
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

WALK = """
import os, sys
number = sum(len(files) for _, _, files in os.walk(sys.argv[1]))
"""
SURVEY = """
import sys
from pathlib import Path
from plainfilm.data.cataloguing.folders import survey
from plainfilm.data.places.place import Folder
number = len(survey(Folder(Path(sys.argv[1]))).images)
"""
CATALOG = """
import sys
from pathlib import Path
from plainfilm.data.catalog import read_catalog
number = len(read_catalog([Path(sys.argv[1])]).entries)
"""
TIMED = """
import resource, time
started = time.perf_counter()
{}
took = time.perf_counter() - started
print(number, took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
"""
IMPORTS = "import plainfilm.data.catalog\n"
CLASSES, FILMS = 14, 3


def main() -> None:
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        _make(Path(folder), files)
        measured = {name: [] for name in ("os.walk", "listing", "catalog")}
        for _ in range(3):
            for name, code in zip(measured, (WALK, SURVEY, CATALOG), strict=True):
                measured[name].append(_measure(code, folder, files))
    walk = statistics.median(took for took, _ in measured["os.walk"])
    print(f"{files:,} files; each the median of 3")
    for name, runs in measured.items():
        took, memory = statistics.median(t for t, _ in runs), max(m for _, m in runs)
        print(f"{name:10} {took:7.2f} s  {took / walk:5.2f} x os.walk  {memory:6.0f} MB at most")


def _make(folder: Path, files: int) -> None:
    patients = -(-files // FILMS)
    for patient in range(patients):
        below = folder / f"CLASS {patient % CLASSES:02d}" / f"patient{patient:06d}"
        below.mkdir(parents=True)
        for film in range(min(FILMS, files - FILMS * patient)):
            (below / f"{patient:06d}_{film:03d}.png").touch()


def _measure(code: str, folder: str, files: int) -> tuple[float, float]:
    command = [sys.executable, "-c", IMPORTS + TIMED.format(code), folder]
    number, took, memory = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    if int(number) != files:
        raise SystemExit(f"listed {number} of {files} files")
    return float(took), float(memory)


if __name__ == "__main__":
    main()
