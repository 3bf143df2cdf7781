"""The docs' blocks of commands and Python, and how they are run: as a reader would, in one folder a page."""

import contextlib
import functools
import itertools
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from made_desk import quicker
from made_requests import started

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>not run|run by): (?P<about>[^>\n]+) -->\n\n?)?^```(?P<kind>sh|python)\n(?P<text>.*?)^```$",
    re.M | re.S,
)
INTERRUPTED = """
import sys
from plainfilm import cli
from plainfilm.model import checkpoints

def write(*given, whole=checkpoints.write, **more):
    whole(*given, **more)
    raise KeyboardInterrupt

checkpoints.write = write
sys.argv[0] = "plainfilm"
cli.main()
"""  # Ctrl-C after the first epoch
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}  # the extras are here: pip has nothing to fetch


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `mark` is empty for one that is run as it stands, and `about` says why not, or by which test."""

    kind: str
    text: str
    mark: str
    about: str

    @property
    def lines(self) -> list[str]:
        """Commands, a line each, without comments."""
        each = re.sub(r"\\\n", " ", self.text).splitlines()
        return [told for line in each if (told := re.sub(r"(^|\s+)#.*", "", line).strip())]


def blocks(page: Path) -> list[Block]:
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(each["kind"], each["text"], each["mark"] or "", each["about"] or "") for each in found]


@dataclass
class Reader:
    """Runs the blocks of a page in `folder`: ours in this process by `call`, servers beside it until the page ends, others by bash."""

    folder: Path
    call: Callable[..., tuple[int, str, str]]
    known: dict[str, object]
    servers: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    address: str = ""

    def run(self, block: Block) -> None:
        """Run a block; a command that fails is an AssertionError with what it said."""
        if block.kind == "python":
            exec(compile(block.text, "a block of the docs", "exec"), self.known)
        lines = block.lines if block.kind == "sh" else []
        for line, then in itertools.pairwise([*lines, ""]):
            self._command(line, interrupted=then == f"{line} --resume")

    def _command(self, line: str, *, interrupted: bool) -> None:
        words = shlex.split(line)
        if words[:2] == ["plainfilm", "serve"]:
            self.address = self.servers.enter_context(served(words[2:], self.folder))
        elif words[:1] == ["plainfilm"]:
            self._ours(words[1:], interrupted=interrupted)
        elif words[:1] == ["make"]:
            _bash(f"make --dry-run {shlex.join(words[1:])}", ROOT)
        elif words[:3] == ["python", "-m", "pytest"]:  # CI runs all tests
            assert all((ROOT / word).is_file() for word in words if word.startswith("tests/")), line
        elif words[:2] == ["pip", "install"]:
            _installed(shlex.join(words).replace("'.[", "'plainfilm["))
        else:
            _bash(line.replace("http://127.0.0.1:8000", self.address), self.folder)

    def _ours(self, words: list[str], *, interrupted: bool) -> None:
        words, target = (words[: words.index(">")], words[-1]) if ">" in words else (words, "")
        matches = {word: sorted(map(str, self.folder.glob(word))) for word in words if "*" in word}
        given = quicker([found for word in words for found in matches.get(word, [word])], self.folder)
        if {"--finetune", "tflite", "keras"} & {*given}:
            command = [sys.executable, "-c", INTERRUPTED, *given] if interrupted else ["plainfilm", *given]
            code, out, err = _process(command, self.folder)
        else:
            code, out, err = self.call(*given)
        assert code == (130 if interrupted else 0), f"{shlex.join(words)}\n{out}\n{err}"
        if target:
            (self.folder / target).write_text(out, encoding="utf-8")


@contextlib.contextmanager
def served(words: list[str], folder: Path) -> Iterator[str]:
    """A server that answers, and its address: on a free port of this machine alone, for web and DICOM."""
    free = ["0" if before == "--dicom-port" else word for before, word in zip(["", *words], words, strict=False)]
    with started(folder / free[0], folder / "serve.log", *free[1:], cwd=folder) as server:
        with urllib.request.urlopen(f"{server.address}/api/v1/health", timeout=60) as answer:
            assert answer.status == 200
        yield server.address


@functools.cache
def _installed(line: str) -> None:
    """Ask pip for what is here already: a name or an extra that is none would be said."""
    assert "does not provide" not in (said := _bash(line, ROOT)), said


def _bash(line: str, folder: Path) -> str:
    code, out, err = _process(["bash", "-euo", "pipefail", "-c", line], folder)
    assert code == 0, f"{line}\n{out}\n{err}"
    return out + err


def _process(command: list[str], folder: Path) -> tuple[int, str, str]:
    """Run where `plainfilm`, `pip` and `python` are ours, Keras chooses its backend, and nothing is fetched."""
    kept = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env={**kept, **OFFLINE, "PATH": path}
    )
    return done.returncode, done.stdout, done.stderr
