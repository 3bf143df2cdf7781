"""Time and memory to read a table of a million radiographs, and to find the files that it means.

    python benchmarks/tables.py

Each in a process of its own; the table has the eleven columns of ChestX-ray14's, the files its twelve folders.
"""

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from plainfilm.data.cataloguing.names import Names
from plainfilm.data.tables.reading import read_table

_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,Width,Height,x,y\n"
)
_FINDINGS = ("No Finding", "Mass", "Effusion", "Mass|Effusion", "Effusion|Nodule")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--part", nargs=2, metavar=("PART", "TABLE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        measure(options.part[0], Path(options.part[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.csv"
        write(table, options.rows)
        for part in ("read", "paths", "bare names", "upper case"):
            subprocess.run([sys.executable, __file__, "--part", part, str(table)], check=True)


def write(path: Path, rows: int) -> None:
    draw = random.Random(0)
    with path.open("w") as file:
        file.write(_HEADER)
        for i in range(rows):
            of = f"{draw.choice(_FINDINGS)},{i % 10},{i // 10},{draw.randint(1, 95)},{draw.choice('MF')},PA"
            file.write(f"{i // 10:08d}_{i % 10:03d}.png,{of},2500,2048,0.171,0.171\n")


def measure(part: str, path: Path) -> None:
    before, start = peak_mb(), time.perf_counter()
    table = read_table(path)
    if part != "read":
        files = [f"images_{i % 12:03d}/images/{name}" for i, name in enumerate(table.column("file_name"))]
        written = {
            "paths": files,
            "bare names": table.column("file_name"),
            "upper case": [name.upper() for name in files],
        }
        before, start = peak_mb(), time.perf_counter()
        names = Names((file, file) for file in files)
        for row, name in zip(table.rows, written[part], strict=True):
            if names.find(name, table, row) is None:
                raise SystemExit(f"{name} was not found")
    print(
        f"{part}: {len(table.rows):,} rows, {time.perf_counter() - start:.1f} s, {peak_mb() - before:.0f} MB more at the peak"
    )


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
