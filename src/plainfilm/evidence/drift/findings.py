"""A log of answers, read through: each bundle's answers, and its weeks against its reference."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from plainfilm.evidence.drift.log import Line
from plainfilm.evidence.drift.monitor import Monitor
from plainfilm.results.drift import LoggedAnswer, LogStart
from plainfilm.results.task import BETWEEN, Task
from plainfilm.results.watched import WatchedBundle


@dataclass(slots=True)
class BundleAnswers:
    """The answers of one bundle so far; `answered` has the last one for each image."""

    start: LogStart
    monitor: Monitor | None
    answers: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    first: str = ""
    last: str = ""
    answered: dict[str, LoggedAnswer] = field(default_factory=dict)

    def begin(self, start: LogStart) -> None:
        """Take the line that a bundle begins with, where the first one is gone."""
        if not self.start.classes:
            self.start, self.monitor = start, Monitor(start.reference) if start.reference else None

    def fits(self, line: LoggedAnswer) -> bool:
        """Whether an answer has a score a class, or none."""
        return len(line.scores) in {0, len(self.start.classes)} or not self.start.classes

    def note(self, line: LoggedAnswer) -> None:
        """Take an answer."""
        self.answers += 1
        self.levels[line.level] += 1
        self.first, self.last = min(self.first or line.time, line.time), max(self.last, line.time)
        self.answered[line.image] = line
        if self.monitor and line.watched:
            self.monitor.note(line.time, line.image, line.watched)

    @property
    def told(self) -> WatchedBundle:
        """What they came to."""
        return WatchedBundle(
            bundle=self.start.bundle,
            classes=self.start.classes,
            answers=self.answers,
            images=len(self.answered),
            levels=dict(self.levels),
            called=dict(sorted(called(self.answered.values(), self.start.task).items())),
            first=self.first,
            last=self.last,
            weeks=self.monitor.weeks() if self.monitor else (),
        )


def called(answers: Iterable[LoggedAnswer], task: Task) -> Counter[str]:
    """Count the classes that answers call; of several findings each."""
    told = [answer.answer for answer in answers if answer.answer]
    return Counter(told if task == "classes" else [name for each in told for name in each.split(BETWEEN)])


def gathered(lines: Iterable[Line | None]) -> tuple[list[BundleAnswers], int]:
    """Gather answers by bundle, in the order in which they came; and count lines that could not be read.

    Raises
    ------
    BundleError
        A bundle's reference is damaged.
    """
    found: dict[str, BundleAnswers] = {}
    broken = 0
    for line in lines:
        if line is None:
            broken += 1
            continue
        if line.bundle not in found:
            found[line.bundle] = BundleAnswers(
                LogStart(time=line.time, bundle=line.bundle, version="", classes=()), None
            )
        own = found[line.bundle]
        if isinstance(line, LogStart):
            own.begin(line)
        elif own.fits(line):
            own.note(line)
        else:
            broken += 1
    return [each for each in found.values() if each.answers], broken
