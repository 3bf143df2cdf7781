"""DICOM files of a few MB that inflate, nest or number themselves to gigabytes, through every command that reads files.

The first two inflate to 6 GB, with a preamble and without. Of each command: whether each bomb is one refused file with one line, and the peak
memory of the whole process tree, sampled every 20 ms.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import made_bombs
import plainfilm
from made_dicom import free_port
from made_requests import asked, form, own_places, post, started
from measuring import Watch
from plainfilm.data import phantom
from sieges.row import Row, Told

MOST_MB = 700.0
ZEROS = 6 << 30
LOOK_S = 0.02
COUSINS: dict[str, Callable[[], bytes]] = {
    "elements": lambda: made_bombs.many_elements(8_000_000),
    "items": lambda: made_bombs.many_items(8_000_000),
    "deep": lambda: made_bombs.deep(100_000),
    "values": lambda: made_bombs.long_value(90_000_000),
    "nearly": lambda: made_bombs.deflated(1 << 28),
}


def run(told: Told) -> Row:
    """Send the bombs, `cases` of them at most, through ingest, evaluate, predict, info, audit, train, REST and STOW-RS."""
    os.environ["PLAINFILM_CACHE"] = str(told.scratch / "cache")
    bombs = _bombs(told.scratch / "bombs", told.cases or len(COUSINS) + 2)
    model = _trained(told.scratch, told.seed)
    for name, seed in (("ingested", told.seed + 1), ("evaluated", told.seed + 2)):
        phantom.write_phantoms(told.scratch / name, n=60, seed=seed)
        (told.scratch / name / "metadata.csv").unlink()
        for bomb in bombs:
            shutil.copy(bomb, next(path for path in (told.scratch / name).iterdir() if path.is_dir()))
    tries = {
        "ingest": _ingest(told.scratch, bombs),
        "evaluate": _evaluate(told.scratch, model, bombs),
        "predict, one by one": _predict(model, bombs),
        "predict, many": _predict(model, bombs * 4),
        "info": _each(["info"], bombs),
        "audit": _each(["audit", "--out", str(told.scratch / "never")], bombs),
        "train": _each(["train", "--out", str(told.scratch / "never")], bombs),
        **_served(told.scratch, model, bombs),
    }
    wrong = [f"{name}: {fault}" for name, (fault, _) in tries.items() if fault]
    worst = max(tries, key=lambda name: tries[name][1])
    peaks = ", ".join(f"{name} {peak:.0f}" for name, (_, peak) in tries.items())
    return Row(
        tried=f"DICOM bombs through {len(tries)} ways in",
        cases=len(bombs),
        found=f"{'; '.join(wrong) or 'each refused once'}; peak MB: {peaks}",
        promised=f"each is one refused file, with one line; the whole process tree stays below {MOST_MB:.0f} MB",
        holds=not wrong and tries[worst][1] < MOST_MB,
    )


def _bombs(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    whole = made_bombs.deflated(ZEROS)
    made: dict[str, Callable[[], bytes]] = {"preamble": lambda: whole, "bare": lambda: whole[132:], **COUSINS}
    for name in list(made)[:count]:
        (folder / f"{name}.dcm").write_bytes(made[name]())
    return sorted(folder.iterdir())


def _trained(folder: Path, seed: int) -> Path:
    phantom.write_phantoms(folder / "films", n=90, seed=seed)
    plainfilm.ingest(folder / "films", folder / "s.h5", size=64, workers=1)
    quick = {"backbone.input_size": 64, "backbone.depth": 6, "training.epochs": 2}
    return plainfilm.train(folder / "s.h5", folder / "run", settings=quick, audit=False).folder / "model.plainfilm"


def _told(*words: str | Path) -> tuple[subprocess.CompletedProcess[str], float]:
    process = subprocess.Popen(
        [sys.executable, "-m", "plainfilm", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with Watch(process.pid, LOOK_S) as watched:
        out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err), watched.peak_mb


def _in_table(table: Path, bombs: Sequence[Path]) -> str:
    """What is wrong with a table of problems: each bomb has one line there, that says it was left out."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].endswith(".dcm") and row["left_out"] == "yes"]
    names = sorted(Path(row["file"]).name for row in rows)
    return "" if names == [bomb.name for bomb in bombs] else f"left out {names}"


def _ingest(folder: Path, bombs: Sequence[Path]) -> tuple[str, float]:
    done, peak = _told("ingest", folder / "ingested", "--out", folder / "i.h5")
    return f"ended with {done.returncode}" if done.returncode else _in_table(folder / "i.problems.csv", bombs), peak


def _evaluate(folder: Path, model: Path, bombs: Sequence[Path]) -> tuple[str, float]:
    done, peak = _told("evaluate", model, folder / "evaluated", "--out", folder / "e")
    if done.returncode:
        return f"ended with {done.returncode}: {done.stderr[-200:]}", peak
    return _in_table(next((folder / "e").glob("*problems.csv")), bombs), peak


def _predict(model: Path, bombs: Sequence[Path]) -> tuple[str, float]:
    done, peak = _told("predict", model, *bombs, "--json")
    rows = json.loads(done.stdout)["predictions"]
    refused = sum(row["level"] == "unreadable" and "\n" not in row["reasons"][0] for row in rows)
    return "" if refused == len(bombs) else f"{refused} refused of {len(bombs)}", peak


def _each(words: Sequence[str], bombs: Sequence[Path]) -> tuple[str, float]:
    """Give a command each bomb in the place of its store: one line, and nothing done."""
    done = [_told(words[0], bomb, *words[1:]) for bomb in bombs]
    faults = [each.stderr for each, _ in done if not each.returncode or each.stderr.count("\n") != 1]
    return faults[0][-200:] if faults else "", max(peak for _, peak in done)


def _served(folder: Path, model: Path, bombs: Sequence[Path]) -> dict[str, tuple[str, float]]:
    """Send each bomb to the page's API, and to the node's by STOW-RS."""
    words = ("--dicom-port", free_port(), "--spool", folder / "spool", "--peer", f"PACS=127.0.0.1:{free_port()}")
    faults = dict[str, list[str]](REST=[], STOW=[])
    with (
        started(model, folder / "log", *words, **own_places(folder / "places")) as server,
        Watch(server.process.pid, LOOK_S) as watched,
    ):
        for bomb in bombs:
            data = bomb.read_bytes()
            answer = asked(server.port, post("/api/v1/predict", form([("film.dcm", data)])))
            rows = answer.json.get("predictions", []) if answer.status == 200 else []
            if answer.status not in {413, 200} or any(row["level"] != "unreadable" for row in rows):
                faults["REST"].append(f"{bomb.name}: {answer.status} {answer.body[:200]!r}")
            answer = asked(server.port, _stow(data))
            if answer.status not in {409, 413}:
                faults["STOW"].append(f"{bomb.name}: {answer.status} {answer.body[:200]!r}")
    return {name: ("; ".join(found), watched.peak_mb) for name, found in faults.items()}


def _stow(data: bytes) -> bytes:
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--b--\r\n"
    told = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b', "Content-Length": len(body)}
    lines = [
        f"{name}: {value}" for name, value in {"Host": "127.0.0.1", "Accept": "application/dicom+json", **told}.items()
    ]
    return ("\r\n".join(["POST /dicom-web/studies HTTP/1.1", *lines]) + "\r\n\r\n").encode() + body
