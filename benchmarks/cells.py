"""Cells and logs: what each long command leaves in a notebook's cell, and in a log; when its first line comes.

    python benchmarks/cells.py --out cells.json

Each runs twice: as `!plainfilm …` in a cell of a real kernel, then into a pipe, with features from the cache. A program makes the radiographs.
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbclient
import nbformat

from measuring import finish
from plainfilm.data.phantom import write_phantoms

COMMANDS = {
    "ingest": "ingest films --out films.h5 --size 128 --overwrite",
    "train": "train films.h5 --out run --overwrite",
    "train FOLDER": "train films --out folder-run --overwrite",
    "train, fine-tuning": "train films.h5 --out tuned --overwrite --finetune 1",
    "train, five folds": "train films.h5 --out folds --overwrite --folds 5",
    "compare": "compare films.h5 --recipes default,narrow.toml --seeds 3 --out compared --overwrite",
    "audit": "audit films.h5 --out audited --overwrite",
    "tune": "tune films.h5 --trials 12 --out searched --overwrite",
    "evaluate": "evaluate run/model.plainfilm others --out evaluated --overwrite",
    "export": "export run/model.plainfilm --to onnx --out model.onnx --overwrite",
    "demo": "demo --images 120 --out demo --overwrite",
}


def in_a_cell(command: str, folder: Path) -> dict[str, Any]:
    """Run a command as a notebook does, and measure the streams that it leaves."""
    cell = nbformat.v4.new_code_cell(f"!{sys.executable} -m plainfilm {command}")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbclient.NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": str(folder)}}).execute()
    said = "".join(output.get("text", "") for output in cell.outputs)
    return {"characters": len(said), "lines": said.count("\n"), "end": said.splitlines()[-1]}


def in_a_log(command: str, folder: Path) -> dict[str, Any]:
    """Run it into a pipe, and take the time of the first line."""
    started, first, lines = time.perf_counter(), None, 0
    with subprocess.Popen(
        [sys.executable, "-m", "plainfilm", *shlex.split(command)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        for _ in process.stdout or ():
            first = first or time.perf_counter() - started
            lines += 1
    return {"lines": lines, "first_s": first, "seconds": time.perf_counter() - started, "exit": process.returncode}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--only", nargs="*", default=list(COMMANDS))
    parser.add_argument("--out", type=Path, default=Path("cells.json"))
    options = parser.parse_args()
    measured = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_phantoms(folder / "films", n=options.images, seed=0)
        write_phantoms(folder / "others", n=60, seed=9)
        (folder / "narrow.toml").write_text('[head]\nlayers = ["dense 16"]\n', encoding="utf-8")
        for each in options.only:
            measured[each] = {kind.__name__: kind(COMMANDS[each], folder) for kind in (in_a_cell, in_a_log)}
            print(each, measured[each], flush=True)
    finish(measured, options.out)


if __name__ == "__main__":
    main()
