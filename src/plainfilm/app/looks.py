"""What a folder holds, as `ingest --dry-run` sees it: listed in a process of its own, told while it is found, one listing at a time."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plainfilm import shell
from plainfilm.app.jobs import FULL_LINE, is_full
from plainfilm.app.news import News
from plainfilm.app.progressing import Progressing
from plainfilm.app.spoken import lines_of, own_line
from plainfilm.harmless import harmless

_LOOK_S = 0.1
_MOST_BYTES = 1 << 26
LISTING = "Listing"  # the stage that counts files, with the folder that they lie in as its note


class Look:
    """One listing: `words` after `plainfilm`, and what it has come to."""

    def __init__(self, name: str, words: Sequence[str], folder: Path) -> None:
        self.name, self.words, self.folder = name, words, folder
        self.news = News()
        self.listing: dict[str, Any] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._progress = Progressing(folder / "progress.jsonl")
        self._is_wanted = True

    @property
    def sources(self) -> Sequence[str]:
        """The folders that are listed."""
        return self.words[1 : next(place for place, word in enumerate(self.words) if word.startswith("-"))]

    @property
    def typed(self) -> str:
        """The command as it is typed into a shell."""
        return shell.command(*self.words)

    def begin(self) -> None:
        """Start the process."""
        self.folder.mkdir(parents=True, mode=0o700)
        environment = os.environ | {"PLAINFILM_PROGRESS": str(self._progress.path), "PYTHONIOENCODING": "utf-8"}
        with (self.folder / "stdout").open("wb") as out, (self.folder / "stderr").open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "plainfilm", *self.words, "--json"],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        self._tell("running", "")

    async def follow(self) -> None:
        """Tell how far it is, until it has ended."""
        process = self._process
        if process is None:
            return
        while process.poll() is None:
            if await asyncio.to_thread(self._progress.read):
                self._tell("running", "")
            await asyncio.sleep(_LOOK_S)
        await asyncio.to_thread(self._progress.read)
        if not self._is_wanted:
            self._tell(
                "failed", "Expected to list these folders; another listing took the place of this one. Look again."
            )
        elif process.returncode == 0:
            self.listing = await asyncio.to_thread(_read, self.folder / "stdout")
            self._tell("done", "")
        else:
            lines = lines_of(self.folder / "stderr")
            otherwise = (
                FULL_LINE
                if is_full(self.folder)
                else f"The listing ended with exit code {process.returncode}. Look again."
            )
            self._tell("failed", own_line(lines) or (lines[-1] if lines else otherwise))
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    def end(self) -> None:
        """Give it up."""
        self._is_wanted = False
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def _tell(self, state: str, line: str) -> None:
        stage = self._progress.stages.get(LISTING)
        self.news.tell(
            {
                "state": state,
                "found": stage.done if stage else 0,
                "by_folder": {harmless(name): number for name, number in self._progress.by_note.items()},
                "line": line,
                "listing": self.listing,
                "command": self.typed,
            }
        )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None
