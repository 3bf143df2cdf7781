"""How many labels that were flipped `plainfilm relabel` puts among the first of its table.

    python benchmarks/relabelling.py --work /tmp/relabelling --out relabelling.json

For each set of ../shared a store; for each seed a share of its labels, drawn at random over all classes and parts, is flipped to another
class by `relabel --apply`; then `relabel` lists what is doubtful in that. Found: share of the flipped labels among the first 10 % of the
table. Doubtful: labels that it calls so, flipped ones among them. A table of NORMAL and PNEUMONIA of one hospital stands for labels that
the features hardly tell apart.
"""

import argparse
import csv
import json
import statistics
from pathlib import Path

import numpy as np

import plainfilm
from measuring import SHARED, finish
from plainfilm.data.store import Store

SETS = (
    ("darkcovidnet", ("COVID", "NORMAL")),
    ("darkcovidnet", ("COVID", "NORMAL", "PNEUMONIA")),
    ("mixed", ("COVID", "NORMAL")),
    ("darkcovidnet", ("NORMAL", "PNEUMONIA")),
)
SHARES = (0.01, 0.05, 0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    rows = [
        _measured(asked.work, name, classes, share, asked.seeds) for name, classes in SETS for share in SHARES
    ]  # fmt: skip
    finish({"first": 0.1, "seeds": asked.seeds, "sets": rows}, asked.out)


def _measured(work: Path, name: str, classes: tuple[str, ...], share: float, seeds: int) -> dict[str, object]:
    store = work / f"{name}-{'-'.join(classes)}.h5"
    if not store.is_file():
        plainfilm.ingest(SHARED / "data" / name, store, classes=classes)
    found = [_found(work, store, share, seed) for seed in range(seeds)]
    row: dict[str, object] = {"set": name, "classes": classes, "flipped": share}
    for key in ("found", "doubtful", "of_them_flipped"):
        values = [each[key] for each in found]
        row[key] = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    print(json.dumps(row), flush=True)
    return row


def _found(work: Path, store: Path, share: float, seed: int) -> dict[str, float]:
    """Flip labels of a store, list what is doubtful, and count the flipped ones among the first 10 % of the table."""
    flipped, wrong = work / "flipped.h5", work / "wrong.csv"
    with Store(store) as opened:
        rng = np.random.default_rng(seed)
        rows = rng.choice(len(opened), round(share * len(opened)), replace=False)
        others = (opened.labels[rows] + rng.integers(1, len(opened.classes), len(rows))) % len(opened.classes)
        with wrong.open("w", newline="", encoding="utf-8") as file:
            told = csv.writer(file)
            told.writerow(["file", "correction", "sha256"])
            told.writerows(
                [opened.file[row], opened.classes[other], opened.sha256[row]]
                for row, other in zip(rows, others, strict=True)
            )
    plainfilm.relabel(store, flipped, apply=wrong, by="the benchmark", overwrite=True)
    run = plainfilm.relabel(flipped, work / "listed", overwrite=True, show=0, seed=seed)
    with (run.folder / "relabel.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    with wrong.open(encoding="utf-8") as file:
        planted = {(row["file"], row["sha256"]) for row in csv.DictReader(file)}
    is_planted = [(row["file"], row["sha256"]) in planted for row in table]
    doubtful = [hit for row, hit in zip(table, is_planted, strict=True) if row["doubtful"] == "yes"]
    first = is_planted[: len(table) // 10]
    return {
        "found": sum(first) / len(planted),
        "doubtful": len(doubtful),
        "of_them_flipped": sum(doubtful) / max(1, len(doubtful)),
    }


if __name__ == "__main__":
    main()
