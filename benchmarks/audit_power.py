"""How often the audit catches and names a planted shortcut, and how often it raises a false alarm.

    python benchmarks/audit_power.py --work audit_power --out audit_power.json

Each run makes a set of phantoms, ingests it and audits it with the default backbone. Runs that stand in WORK/runs.jsonl
are not repeated, so that it can be stopped and go on. All 8 shortcuts x 3 strengths x 20 seeds and 20 clean sets take
about two hours on 2 cores.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import plainfilm
from measuring import finish
from plainfilm.data import phantom
from plainfilm.data.store import Store
from plainfilm.evidence.audit.audit import audit
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.results.documents import plain
from plainfilm.workflows.audit import default_encoder


def one(work: Path, images: int, shortcut: str | None, strength: float, seed: int) -> dict[str, Any]:
    folder = work / "now"
    shutil.rmtree(folder, ignore_errors=True)
    phantom.write_phantoms(
        folder / "films", n=images, seed=1000 + seed, shortcut=shortcut, strength=strength, workers=2
    )
    plainfilm.ingest(folder / "films", folder / "s.h5", seed=seed)
    with Store(folder / "s.h5") as store:
        found = audit(store, default_encoder(store), seed=seed)
    result = found.result
    shutil.rmtree(folder)
    return {
        "shortcut": shortcut,
        "strength": strength,
        "seed": seed,
        "images": images,
        "verdict": result.verdict,
        "cues": list(result.cues),
        "seconds": result.seconds["total"],
        "surely": {
            name: {of: own.surely for of, own in probe.by_class.items()} for name, probe in result.probes.items()
        },
    }


def names(cues: list[str], shortcut: str) -> bool:
    """Whether the cues name the shortcut; a hospital is named as the source."""
    return {"hospital": "source"}.get(shortcut, shortcut) in ", ".join(cues).split(", ")


def table(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for shortcut, strength in sorted({(run["shortcut"] or "", run["strength"]) for run in runs}):
        own = [run for run in runs if (run["shortcut"] or "") == shortcut and run["strength"] == strength]
        caught = [run["verdict"] != "no shortcut found" for run in own]
        rows.append({
            "shortcut": shortcut or "none",
            "strength": strength,
            "runs": len(own),
            "caught": plain(wilson(caught)),
            "not_to_be_believed": sum(run["verdict"] == "not to be believed" for run in own) / len(own),
            "named": sum(names(run["cues"], shortcut) for run in own) / len(own),
            "named_alone": sum(names(run["cues"], shortcut) and "," not in ", ".join(run["cues"]) for run in own) / len(own),
        })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--strengths", default="1,0.6,0.3")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    log = args.work / "runs.jsonl"
    runs = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    done = {(run["shortcut"], run["strength"], run["seed"], run["images"]) for run in runs}
    strengths = [float(word) for word in args.strengths.split(",")]
    for strength in strengths:
        for seed in range(args.seeds):
            for shortcut in (None, *phantom.SHORTCUTS) if strength == strengths[0] else phantom.SHORTCUTS:
                key = (shortcut, strength if shortcut else 0.0, seed, args.images)
                if key in done:
                    continue
                run = one(args.work, args.images, *key[:3])
                runs.append(run)
                with log.open("a") as file:
                    file.write(json.dumps(run) + "\n")
                print(f"{shortcut}, {strength}, seed {seed}: {run['verdict']}, {run['cues']}", file=sys.stderr)
    finish({"images": args.images, "rows": table(runs)}, args.out)


if __name__ == "__main__":
    main()
