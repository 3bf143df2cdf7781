"""Every block of commands or Python in README and the docs runs, or says in a comment before it why it does not.

`<!-- not run: REASON -->` stands above such a block. The blocks of a page run in their order in one folder, which holds what they name
(`made_desk`). A command is made quicker by `quicker`; a server gets a free port and is stopped after its block.
"""

import contextlib
import re
import shlex
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from made_desk import names, put_names, put_store_and_run, quicker
from made_requests import started

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^>\n]+) -->\n\n?)?^```(?P<kind>sh|python)\n(?P<text>.*?)^```$", re.M | re.S
)
PROSE = re.compile(r"^```\n(?P<text>(?:plainfilm|pip|make|python) .*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: `reason` says why it is not run."""

    kind: str
    text: str
    reason: str | None


def blocks(page: Path) -> list[Block]:
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(each["kind"], each["text"], each["reason"]) for each in found]


RUN = [page for page in PAGES if any(block.reason is None for block in blocks(page))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_run_or_says_why_not(page):
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r"^```(?:sh|bash|shell|console|python|py)\b", text, re.M)) == len(blocks(page))
    assert not PROSE.search(text), "commands are fenced as ```sh"
    assert len(re.findall("^<!-- not run:", text, re.M)) == sum(block.reason is not None for block in blocks(page))


def test_most_blocks_that_a_user_meets_are_run():
    met = [block for page in PAGES if page.name not in {"results.md", "CONTRIBUTING.md"} for block in blocks(page)]
    assert len([block for block in met if block.reason is None]) >= 20


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
    known = names(tmp_path)
    for block in blocks(page):
        if block.reason is None:
            run_python(block.text, known) if block.kind == "python" else run_commands(block.text, tmp_path, call)


def run_python(text: str, known: dict[str, object]) -> None:
    exec(compile(text, "a block of the docs", "exec"), known)


def run_commands(text: str, folder: Path, call: Callable[..., tuple[int, str, str]]) -> None:
    """Run lines as a shell would: ours in this process, servers beside it until the block ends, others by bash."""
    with contextlib.ExitStack() as servers:
        for line in re.sub(r"\\\n", " ", text).splitlines():
            words = shlex.split(line, comments=True)
            if words[:2] == ["plainfilm", "serve"]:
                servers.enter_context(serving(words[2:], folder))
            elif words[:1] == ["plainfilm"]:
                run_command(words[1:], folder, call)
            elif words:
                subprocess.run(["bash", "-euo", "pipefail", "-c", line], check=True, cwd=folder, timeout=300)


@contextlib.contextmanager
def serving(words: list[str], folder: Path) -> Iterator[None]:
    """A server that answers: on a free port of this machine alone, for web and DICOM."""
    free = ["0" if before == "--dicom-port" else word for before, word in zip(["", *words], words, strict=False)]
    with started(folder / free[0], folder / "serve.log", *free[1:], cwd=folder) as server:
        with urllib.request.urlopen(f"{server.address}/api/v1/health", timeout=60) as answer:
            assert answer.status == 200
        yield


def run_command(words: list[str], folder: Path, call: Callable[..., tuple[int, str, str]]) -> None:
    words, _, target = (words[: words.index(">")], ">", words[-1]) if ">" in words else (words, "", "")
    expanded = [found for word in words for found in (sorted(map(str, folder.glob(word))) if "*" in word else [word])]
    code, out, err = call(*quicker(expanded, folder))
    assert code == 0, f"{' '.join(words)}\n{out}\n{err}"
    if target:
        (folder / target).write_text(out, encoding="utf-8")
