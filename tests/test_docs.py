import re
import runpy
import sys
import tomllib
from pathlib import Path

import pytest

from plainfilm.cli.application import app
from plainfilm.model import recipes
from plainfilm.model.backbones import BACKBONES, HUB
from plainfilm.model.recipe_schema import KEYS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY")),
    *sorted((ROOT / "docs").glob("*.md")),
]
SOURCE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Source"]
OURS = (f"{SOURCE}/blob/main/", f"{SOURCE.replace('github.com', 'raw.githubusercontent.com')}/main/")
COMMANDS = {name for name in app if not name.startswith("-")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target
        elif target.startswith(OURS):
            assert (ROOT / target.removeprefix(OURS[0]).removeprefix(OURS[1])).exists(), target


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md", "docs/extending.md"])
def test_files_that_developers_are_sent_to_exist(name):
    words = [line.partition(":")[0] for line in re.findall(r"`([^`\n]+)`", (ROOT / name).read_text(encoding="utf-8"))]
    paths = [word for word in words if re.fullmatch(r"\.?\w+(/\w+)+(\.\w+)?/?", word) and "X_Y_Z" not in word]
    assert paths
    for path in paths:
        places = [folder / end for folder in (ROOT, ROOT / "src" / "plainfilm") for end in (path, f"{path}.py")]
        assert any(place.exists() for place in places), path


def code(page):
    """Lines of fenced blocks, and what stands between backticks."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"```.*?\n(.*?)```", text, re.DOTALL)
    return [line for block in fenced for line in block.splitlines()] + re.findall(
        r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_flags_in_the_docs_exist(page, capsys):
    for line in code(page):
        words = re.sub(r"\s#.*", "", line).split()
        if words[:1] != ["plainfilm"] or len(words) == 1 or words[1].startswith("-") or words[1].isupper():
            continue
        assert words[1] in COMMANDS, line
        planned = [words[4:5]] if words[1:3] == ["cluster", "plan"] else []  # a command in a command
        for command in ([words[1], *words[2:3]] if words[1] in {"cluster", "weights"} else [words[1]], *planned):
            with pytest.raises(SystemExit):
                app([*command, "--help"])
        shown = capsys.readouterr().out
        for flag in re.findall(r"--[a-z][a-z-]*", " ".join(words)):
            assert flag in shown, f"{flag} in: {line}"


def test_every_command_stands_in_the_table_of_commands():
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"`plainfilm {command}" in text, command


write_docs = runpy.run_path(str(ROOT / "scripts" / "write_docs.py"))


@pytest.mark.parametrize("page", write_docs["GENERATED"])
def test_what_the_script_writes_stands_in_the_docs(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert text.count(write_docs["BEGIN"]) == text.count(write_docs["END"]) == 1
    assert text == write_docs["written"](page), "Write: python scripts/write_docs.py"


def test_every_key_of_a_recipe_has_one_row_with_its_type_default_range_and_meaning():
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    rows = [re.split(r" ?\| ?", line)[1:-1] for line in text.splitlines() if len(line.split("|")) == 7]
    found = {re.findall(r"`([^`]+)`", row[0])[0]: row[1:] for row in rows if row[0].startswith("`")}
    assert list(found) == list(KEYS)
    assert len(found) == sum(row[0].startswith("`") for row in rows)
    assert found["training.epochs"] == [
        "whole number",
        "`20`",
        "0 to 10,000",
        "Passes over the training set. 0: as many as make 1,000 steps, from 20 to 200.",
    ]
    assert found["training.loss"][1:3] == ["`crossentropy`", "crossentropy or mean_squared_error"]
    assert found["head.layers"][:2] == ["list of texts", '`["dropout 0.2", "dense 64", "dropout 0.2"]`']
    for key, (kind, default, *_, meaning) in found.items():
        assert kind
        assert meaning.endswith(".")
        assert default or KEYS[key].default in ("", ())


def test_backbones_and_recipes_stand_in_the_docs():
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    for name in (*BACKBONES, *HUB, *recipes.names()):
        assert f"`{name}`" in text, name


@pytest.mark.slow
def test_the_example_in_python_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    main = runpy.run_path(str(ROOT / "examples" / "library.py"))["main"]
    main(72)
    shown = capsys.readouterr().out
    assert "accuracy {'value':" in shown
    assert "worth" in shown


@pytest.mark.slow
def test_the_example_with_tf_data_trains(tmp_path, monkeypatch):
    import plainfilm
    from plainfilm.data.phantom import write_phantoms

    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["tf_data.py"])
    write_phantoms(tmp_path / "films", n=60)
    plainfilm.ingest(tmp_path / "films", tmp_path / "films.h5")
    runpy.run_path(str(ROOT / "examples" / "tf_data.py"))["main"](str(tmp_path / "films.h5"), 1)
