"""How far a command is, read from the file that it appends its progress to, as far as that has grown."""

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_MOST_BYTES = 1 << 20  # read at a time
_EPOCH = re.compile(r"validation: loss ([0-9.]+|nan|inf), accuracy ([0-9.]+)")
_MOST_STAGES, _MOST_EPOCHS = 400, 10_000


@dataclass(slots=True)
class Stage:
    """A stage of a command: when it began and was last heard of (seconds since the epoch), and how far it is."""

    began: float
    at: float
    done: int
    every: int
    note: str
    first: int

    def told(self, name: str) -> dict[str, Any]:
        """Give it as the page takes it."""
        seconds, steps = self.at - self.began, self.done - self.first
        rate = steps / seconds if seconds > 0 and steps > 0 and self.every != 1 else None
        left = (self.every - self.done) / rate if rate and self.every > self.done else None
        return {
            "stage": name,
            "done": self.done,
            "every": self.every,
            "note": self.note,
            "rate": rate and round(rate, 3),
            "left_s": left and round(left, 1),
            "seconds": round(seconds, 1),
        }


@dataclass(slots=True)
class Progressing:
    """The progress of one command. `by_note` adds up the steps that were made under each note."""

    path: Path
    stages: dict[str, Stage] = field(default_factory=dict)
    curve: list[dict[str, float | None]] = field(default_factory=list)
    by_note: dict[str, int] = field(default_factory=dict)
    _offset: int = 0

    def read(self) -> bool:
        """Read what is new; whether anything was."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                new = file.read(_MOST_BYTES)
        except OSError:
            return False
        whole = new[: new.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue  # torn, as where the disk was full
        return bool(whole)

    def _take(self, told: dict[str, Any]) -> None:
        name, done, every = str(told["stage"]), int(told["done"]), int(told["every"])
        at, note = float(told["at"]), str(told["note"])
        stage = self.stages.get(name)
        before = 0 if stage is None or done < stage.done else stage.done
        if stage is None or done < stage.done:
            if len(self.stages) >= _MOST_STAGES:
                return
            self.stages.pop(name, None)
            self.stages[name] = Stage(at, at, done, every, note, done)
        else:
            stage.at, stage.done, stage.every, stage.note = at, done, every, note
        if done > before and (note in self.by_note or len(self.by_note) < _MOST_STAGES):
            self.by_note[note] = self.by_note.get(note, 0) + done - before
        if (epoch := _EPOCH.search(note)) and len(self.curve) < _MOST_EPOCHS:
            loss = float(epoch[1])
            point = {"epoch": done, "loss": loss if math.isfinite(loss) else None, "accuracy": float(epoch[2])}
            if not self.curve or self.curve[-1] != point:
                self.curve.append(point)

    def told(self) -> list[dict[str, Any]]:
        """Give the stages in the order that they came in."""
        return [stage.told(name) for name, stage in self.stages.items()]
