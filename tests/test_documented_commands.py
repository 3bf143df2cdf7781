"""Every block of commands or Python in README and the docs runs, or says in a comment before it which test runs it, or why none can.

`<!-- not run: REASON -->` or `<!-- run by: TEST -->` stands above such a block. The blocks of a page run in their order in one folder, which
holds what they name (`made_desk`); a command is made quicker by `quicker`. Of measurements that are not run the arguments are read.
"""

import argparse
import ast
import importlib
import re
import runpy
import shlex
import shutil
import sys

import pytest

from documented import PAGES, ROOT, Reader, blocks
from made_desk import names, put_names, put_store_and_run

RUN = [page for page in PAGES if any(not block.mark for block in blocks(page))]
LANGUAGES = {"sh", "python", "text", "csv", "json", "nginx", "toml", "yaml"}  # of fences
NOT_RUN = [line for page in PAGES for block in blocks(page) if block.mark == "not run" for line in block.lines]
SCRIPTS = sorted({line for line in NOT_RUN if re.match(r"python (?:benchmarks|scripts)/\S+ \S", line)})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_run_or_says_why_not(page):
    text = page.read_text(encoding="utf-8")
    fences = re.findall(r"^ *```(.*)$", text, re.M)
    assert set(fences[::2]) <= LANGUAGES, "each fence names its language"
    assert set(fences[1::2]) <= {""}
    assert len([each for each in fences if each in {"sh", "python"}]) == len(blocks(page))
    assert len(re.findall("^<!-- (?:not run|run by):", text, re.M)) == sum(bool(block.mark) for block in blocks(page))
    for fenced in re.findall(r"^```text\n(.*?)^```$", text, re.M | re.S):
        assert not re.search(r"^(?:plainfilm|pip|make|python|curl|import|from) |^\w+ = |^\w+\(", fenced, re.M), (
            "a command"
        )
    for block in blocks(page):
        assert block.mark != "run by" or page.name in (ROOT / block.about).read_text(encoding="utf-8")


def test_what_is_not_run_cannot_be():
    assert all(
        (ROOT / name).is_file() for line in NOT_RUN for name in re.findall(r"(?:benchmarks|scripts)/\w+\.py", line)
    )
    left = {(page.name, block.about) for page in PAGES for block in blocks(page) if block.mark == "not run"}
    elsewhere = {(name, reason) for name, reason in left if name not in {"results.md", "resnet50.md"}}
    assert {name for name, _ in elsewhere} == {"cluster.md", "deploy.md", "install.md"}
    assert all(re.search("Docker|root|package index|machines|Slurm", reason) for _, reason in elsewhere)


def test_a_measurement_imports_what_there_is():
    scripts = [path for folder in ("benchmarks", "scripts") for path in (ROOT / folder).rglob("*.py")]
    asked = {
        (node.module, each.name)
        for path in scripts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and not node.level and node.module.split(".")[0] == "plainfilm"
        for each in node.names
    }
    for module, name in sorted(asked):
        found = importlib.import_module(module)
        if not hasattr(found, name):
            importlib.import_module(f"{module}.{name}")


@pytest.mark.slow
@pytest.mark.parametrize("line", SCRIPTS)
def test_a_measurement_reads_its_arguments(line, monkeypatch):
    def read(parser, *given, _parse=argparse.ArgumentParser.parse_args):
        _parse(parser, *given)
        raise InterruptedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", read)
    words = shlex.split(line)
    monkeypatch.setattr(sys, "argv", words[1:])
    monkeypatch.syspath_prepend(str((ROOT / words[1]).parent))  # as Python does with a script
    with pytest.raises(InterruptedError):
        runpy.run_path(str(ROOT / words[1]), run_name="__main__")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """What the pages name, made once; each page gets a copy."""
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(folder / "cache"))
        put_store_and_run(folder / "desk")
        put_names(folder / "desk")
        yield folder / "desk"


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run(page, desk, tmp_path, call, monkeypatch):
    shutil.copytree(desk, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path, call, names(tmp_path))
    with reader.servers:
        for block in blocks(page):
            if not block.mark:
                reader.run(block)
