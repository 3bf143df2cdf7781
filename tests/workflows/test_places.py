"""Every command that writes keeps its place from the start, and looks whether a replacement there was stopped."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from plainfilm.data import claims
from plainfilm.data.claims import turn

OLD = Path(__file__).resolve().parents[1] / "written_by_0_1_0"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a run, its store and films, as 0.1.0 wrote them."""
    for name in ("run", "films"):
        shutil.copytree(OLD / name, tmp_path / name)
    for name in ("store.h5", "store.h5.log", "store.problems.csv"):
        shutil.copy(OLD / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize(
    "words",
    [
        "ingest films --out OUT.h5",
        "train store.h5 --out OUT --overwrite",
        "train store.h5 --out OUT --resume",
        "audit store.h5 --out OUT --overwrite",
        "evaluate run/model.plainfilm films --out OUT --overwrite",
        "compare store.h5 --recipes default --out OUT --overwrite",
        "tune store.h5 --out OUT --overwrite",
        "export run/model.plainfilm --to onnx --out OUT.onnx --overwrite",
        "demo --out OUT --overwrite",
    ],
)
def test_a_second_command_with_the_same_out_gets_its_line_before_it_computes(here, call, words, is_there):
    words = words.replace("OUT", "out").split()
    out = here / words[words.index("--out") + 1]
    if is_there and not out.suffix:
        shutil.copytree(here / "run", out)
    before = sorted(here.rglob("*"))
    with turn(out):
        code, said, err = call(*words)
    assert (code, said, err.count("\n")) == (2, "", 1)
    assert err.startswith("plainfilm: Expected a place that no other run writes to; received out")
    assert "Wait for it, or name another --out." in err
    assert sorted(path for path in here.rglob("*") if "cache" not in path.parts) == before


REPLACE = """
import os, shutil, signal, sys
from pathlib import Path
from plainfilm.data import files
rename = Path.rename
def stopped(self, target):
    rename(self, target)
    os.kill(os.getpid(), signal.SIGKILL)
files._exchange, Path.rename = lambda *_: False, stopped
with files.reserved(Path("run"), overwrite=True) as (partial,):
    shutil.copytree("run", partial)
    (partial / "new").touch()
"""


def half_replaced(folder: Path) -> None:
    """Kill a replacement of a run between its two steps, on a system that cannot exchange names in one."""
    ended = subprocess.run([sys.executable, "-c", REPLACE], cwd=folder, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not (folder / "run").exists()


@pytest.mark.parametrize(
    "words",
    [
        "info run",
        "info run/model.plainfilm",
        "predict run/model.plainfilm FILM --json",
        "export run/model.plainfilm --to onnx --out m.onnx",
        "audit store.h5 --out run",
        "train store.h5 --out run",
        "train store.h5 --out other --recipe run/recipe.toml --set no.key=1",
    ],
)
def test_any_command_that_looks_there_completes_a_replacement_that_was_killed(here, call, words):
    half_replaced(here)
    assert claims.beside(here / "run", "ready").exists()
    film = next(path for path in (here / "films").rglob("*") if path.is_file() and path.suffix != ".csv")
    call(*words.replace("FILM", str(film)).split())
    assert (here / "run" / "new").exists()
    assert sorted(path.name for path in (here / "run").iterdir()) == sorted(
        ["new", *(path.name for path in (OLD / "run").iterdir())]
    )
    assert not [path for path in here.iterdir() if path.name.startswith(".run")]
