"""The notebooks run from the first cell to the last, without a network, and show what they promise."""

import os
import sys
import tomllib
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOURCE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Source"]
MOST_CHARACTERS, MOST_LINES = 3_000, 60  # that a command may leave in a cell

SOURCES = str(Path(__file__).parents[1] / "src")


def _plots(source):
    """How many pictures a cell is to show: figures of matplotlib, or one of the store's or the predictor's."""
    if "pyplot.subplots" in source:
        return 1
    return source.count(".plot.") + source.count(".show(8)") + source.count(".explain(")


def read(path):
    return nbformat.read(path, as_version=4)


def test_there_are_three():
    assert [path.stem for path in NOTEBOOKS] == ["compare_for_a_paper", "evaluate_at_a_hospital", "first_steps"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_opens_in_colab_and_installs_what_it_needs_there_alone(path):
    notebook = read(path)
    nbformat.validate(notebook)
    badge, install = notebook.cells[:2]
    colab = SOURCE.replace("github.com", "colab.research.google.com/github")
    assert f"{colab}/blob/main/notebooks/{path.name}" in badge.source
    assert 'find_spec("plainfilm") is None' in install.source
    assert "do_shutdown(restart=True)" in install.source
    assert '%pip install --quiet "plainfilm[train,notebook]"' in install.source
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_runs_from_the_first_cell_to_the_last(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), SOURCES])))
    notebook = read(path)
    if path.stem == "first_steps":
        command = f"!{sys.executable} -m plainfilm train first.h5 --out by-command --epochs 20"
        notebook.cells.append(nbformat.v4.new_code_cell(command))
    nbclient.NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    kinds = {kind for output in outputs for kind in output.get("data", ())}
    assert {"text/html", "image/png"} <= kinds
    for cell in notebook.cells:
        pictures = [output for output in cell.get("outputs", ()) if "image/png" in output.get("data", ())]
        assert len(pictures) == _plots(cell.source), cell.source
    assert any("Accuracy" in output.get("data", {}).get("text/html", "") for output in outputs)
    for cell in notebook.cells:
        said = "".join(output.text for output in cell.get("outputs", ()) if output.output_type == "stream")
        assert len(said) <= MOST_CHARACTERS, said
        assert said.count("\n") <= MOST_LINES
    if path.stem == "first_steps":
        assert "Training  20 of 20  validation: loss" in said
