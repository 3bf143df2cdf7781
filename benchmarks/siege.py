"""Damage, load, strangers and kills against the whole product, and whether what is promised holds.

    python benchmarks/siege.py [PART ...] [--cases N] [--seed S]

Seeded; loopback alone; ends by itself. Without a PART all are run, each with its own number of cases. Exits with 1 where one does not hold.
Needs Linux, and the extra `dev`.
"""

import argparse
import importlib
import pkgutil
import sys
import tempfile
import time
from pathlib import Path

import sieges
from sieges.row import Told

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # what tests and parts share

PARTS = sorted({module.name for module in pkgutil.iter_modules(sieges.__path__)} - {"row"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--cases", type=int, default=0, help="of each part; its own number by default")
    parser.add_argument("--seed", type=int, default=17)
    told = parser.parse_args()
    if unknown := set(told.parts) - set(PARTS):
        parser.error(f"Expected a PART among {', '.join(PARTS)}; received {', '.join(sorted(unknown))}.")
    held = [_run(name, told.seed, told.cases) for name in told.parts or PARTS]
    sys.exit(not all(held))


def _run(name: str, seed: int, cases: int) -> bool:
    part = importlib.import_module(f"sieges.{name}")
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        row = part.run(Told(seed, cases, Path(scratch)))
    print(f"{name}: {row.tried}, {row.cases} cases, seed {seed}, {time.perf_counter() - begun:.0f} s")
    print(
        f"    found     {row.found}\n    promised  {row.promised}\n    {'holds' if row.holds else 'DOES NOT HOLD'}",
        flush=True,
    )
    return row.holds


if __name__ == "__main__":
    main()
