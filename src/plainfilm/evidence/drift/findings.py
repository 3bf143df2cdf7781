"""A log of answers, read through: each bundle's answers, and its weeks against its reference."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from plainfilm.evidence.drift.log import Line
from plainfilm.evidence.drift.monitor import Monitor
from plainfilm.results.drift import LoggedAnswer, LogStart
from plainfilm.results.task import BETWEEN, Task
from plainfilm.results.watched import WatchedBundle

_GONE = ""  # site of answers whose beginning is gone: nobody knows whose threshold was theirs


@dataclass(slots=True)
class BundleAnswers:
    """The answers of one bundle so far, at one site; `answered` has the last one for each image that could be read."""

    start: LogStart
    monitor: Monitor | None = None
    answers: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    first: str = ""
    last: str = ""
    answered: dict[str, LoggedAnswer] = field(default_factory=dict)

    def fits(self, line: LoggedAnswer) -> bool:
        """Whether an answer has a score a class, or none."""
        return len(line.scores) in {0, len(self.start.classes)} or not self.start.classes

    def note(self, line: LoggedAnswer) -> None:
        """Take an answer."""
        self.answers += 1
        self.levels[line.level] += 1
        self.first, self.last = min(self.first or line.time, line.time), max(self.last, line.time)
        if line.image:
            self.answered[line.image] = line
        if self.monitor and line.watched:
            self.monitor.note(line.time, line.image, line.watched)

    @property
    def told(self) -> WatchedBundle:
        """What they came to."""
        return WatchedBundle(
            bundle=self.start.bundle,
            site=self.start.site,
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
    """Gather answers by bundle and site, whose threshold is its own, in the order in which they came; and count lines that could not be read.

    Raises
    ------
    BundleError
        A bundle's reference is damaged.
    """
    found: dict[tuple[str, str | None], BundleAnswers] = {}
    answering: dict[str, BundleAnswers] = {}  # by bundle: at the site that it was opened for last
    broken = 0
    for line in lines:
        if line is None:
            broken += 1
        elif isinstance(line, LogStart):
            if (line.bundle, line.site) not in found:
                monitor = Monitor(line.reference) if line.reference else None
                found[line.bundle, line.site] = BundleAnswers(line, monitor)
            answering[line.bundle] = found[line.bundle, line.site]
        else:
            if line.bundle not in answering:
                start = LogStart(time=line.time, bundle=line.bundle, version="", classes=())
                answering[line.bundle] = found[line.bundle, _GONE] = BundleAnswers(start)
            if answering[line.bundle].fits(line):
                answering[line.bundle].note(line)
            else:
                broken += 1
    return [each for each in found.values() if each.answers], broken
