"""How `plainfilm predict` prints its answers, one at a time: lines for people, CSV, JSON."""

import io
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from msgspec import structs
from rich.text import Text

from plainfilm import NOTICE
from plainfilm.cli.terminal import say, styled, worth
from plainfilm.evidence.inference.context import About
from plainfilm.harmless import harmless, write_csv
from plainfilm.results import documents
from plainfilm.results.predictions import UNSURE, GroupedPrediction, Prediction, PredictionDocument
from plainfilm.results.task import BETWEEN

_FILMS_SHOWN = 3
_STYLES = {"ok": "", "flagged": "yellow", "unsure": "bold yellow", "refused": "bold yellow", "unreadable": "red"}


@dataclass(slots=True)
class Tally:
    """How many answers of each kind have passed, and the last one."""

    labels: Counter[str] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    last: Prediction | None = None

    def watch(self, answers: Iterable[Prediction]) -> Iterator[Prediction]:
        """Count answers on their way."""
        for answer in answers:
            for name in answer.findings or [answer.label or ""]:  # of several findings each counts
                self.labels[name] += 1
            self.levels[answer.level] += 1
            self.last = answer
            yield answer

    @property
    def nothing_answered(self) -> bool:
        """Whether there was no file, or none that could be read."""
        return self.levels["unreadable"] == self.levels.total()


def say_passed_over(folders: Iterable[str]) -> None:
    """Say on stderr what lies in each folder and was not taken for a radiograph."""
    for told in folders:
        print(harmless(f"plainfilm: passed over in {told}."), file=sys.stderr)


def as_lines(answers: Iterable[Prediction], about: About) -> None:
    """Print a line an answer."""
    wide = max(len("unreadable"), *map(len, about.classes))
    called = "findings" if about.task == "findings" else "class"
    heads = [f"{about.positive or 'most probable':>13}", *_moved_head(about), f"{called:<{wide}}", "file"]
    say(styled("  ".join(heads), "dim"))
    for answer in answers:
        say(_line(answer, about, wide))


def _moved_head(about: About) -> list[str]:
    if about.prevalences:
        return ["at stated"]
    moved = about.positive is not None and about.prevalence != about.calibrated_at
    return [f"{f'at {100 * (about.prevalence or 0):g} %':>9}"] if moved else []


def _line(answer: Prediction, about: About, wide: int) -> Text:
    shown = max(answer.probabilities.values(), default=None)
    if about.positive is not None:
        shown = answer.probabilities.get(about.positive)
    numbers = f"{_percent(shown):>13}  "
    if _moved_head(about):
        at = max(answer.at_prevalences.values(), default=None) if answer.at_prevalences else answer.at_prevalence
        numbers += f"{_percent(at):>9}  "
    said, remarks = answer.label or answer.level, _remarks(answer)
    return Text.assemble(
        numbers,
        (f"{said:<{wide}}", _STYLES[answer.level]),
        f"  {harmless(_named(answer))}",
        (f"  {remarks}" if remarks else "", "dim"),
    )


def _named(answer: Prediction) -> str:
    if not isinstance(answer, GroupedPrediction):
        return answer.file
    shown = ", ".join(answer.films[:_FILMS_SHOWN])
    return f"{answer.file} ({shown}{', …' if len(answer.films) > _FILMS_SHOWN else ''})"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _remarks(answer: Prediction) -> str:
    looked = (
        () if answer.in_lungs is None else (f"{100 * answer.in_lungs:.0f} % of what it looked at lies in the lungs",)
    )
    unsure = [f"unsure: {', '.join(answer.unsure)}"] if answer.unsure else []
    said = "; ".join([*unsure, *answer.reasons, *answer.notes, *looked])
    return f"flagged: {said}" if answer.level == "flagged" else said


def _counted(by: str | None, count: int) -> str:
    one, many = {"study": ("study", "studies"), "patient": ("patient", "patients")}.get(by or "", ("file", "files"))
    return one if count == 1 else many


def say_summary(tally: Tally, about: About) -> None:
    """Print what the answers came to, what they mean, and what the classifier is worth."""
    say("", *_summary(tally, about))


def _summary(tally: Tally, about: About) -> Iterator[Text | str]:
    counts = [f"{count:,} {name}" for name, count in sorted(tally.labels.items()) if name]
    counts += [f"{tally.levels[name]:,} {name}" for name in (UNSURE, "refused", "unreadable") if tally.levels[name]]
    total = tally.levels.total()
    yield f"{total:,} {_counted(about.by, total)}: {', '.join(counts) or 'nothing to answer'}."
    if about.positive is not None and about.prevalence is not None and about.calibrated_at is not None:
        yield f"{harmless(about.called)}; the probabilities hold where {100 * about.calibrated_at:.0f} % have it."
        if total == 1 and tally.last is not None and (meaning := about.meaning(tally.last)):
            yield meaning
    if about.task == "findings":
        yield "Most probable: the probability of the most probable finding, called or not. Each is called from a threshold of its own on."
    if about.prevalences:
        shares = (f"{name} {100 * share:.3g} %" for name, share in about.prevalences.items())
        yield harmless(
            f"At stated: the most probable finding where so many of those examined have it: {', '.join(shares)}."
        )
        if total == 1 and tally.last is not None and (meaning := about.meaning(tally.last)):
            yield meaning
    if not about.metrics.is_calibrated:
        called = f"{harmless(about.called)}; the" if about.positive else "The"
        yield f"{called} probabilities are not calibrated: they hold at no stated prevalence."
    if about.combined:
        yield about.combined
    if about.promise:
        yield about.promise
    if about.calibration:
        yield harmless(about.calibration)
    yield from worth(about.metrics, "Worth  ")
    yield styled(NOTICE, "dim")


def as_csv(answers: Iterable[Prediction], about: About) -> None:
    """Write one row an answer to stdout."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name stays the one it is
    write_csv(sys.stdout, _table(answers, about), line_end="\n")


def _table(answers: Iterable[Prediction], about: About) -> Iterator[Sequence[str]]:
    names = [f"probability {name}" for name in about.classes] if about.positive is None else ["probability"]
    site = [] if about.site is None else [about.site]
    yield [
        "file",
        "class",
        "level",
        *names,
        *(["unsure"] if about.lower_thresholds else []),
        "at_prevalence",
        *(f"at_prevalence {name}" for name in about.prevalences),
        "reasons",
        "notes",
        "attribution_in_lungs",
        *(["site"] if site else []),
        *(["films", "films_used"] if about.by else []),
    ]
    asked = about.classes if about.positive is None else (about.positive,)
    for answer in answers:
        chances = [f"{answer.probabilities[name]:.6f}" if name in answer.probabilities else "" for name in asked]
        moved, inside = ("" if value is None else f"{value:.6f}" for value in (answer.at_prevalence, answer.in_lungs))
        yield [
            answer.file,
            answer.label or "",
            answer.level,
            *chances,
            *([BETWEEN.join(answer.unsure or ())] if about.lower_thresholds else []),
            moved,
            *(
                f"{(answer.at_prevalences or {})[name]:.6f}" if answer.at_prevalences else ""
                for name in about.prevalences
            ),
            "; ".join(answer.reasons),
            "; ".join(answer.notes),
            inside,
            *site,
            *(["; ".join(answer.films), str(answer.used)] if isinstance(answer, GroupedPrediction) else []),
        ]


def as_json(answers: Iterable[Prediction], about: About) -> None:
    """Write one JSON object to stdout, an answer at a time, so that thousands take no memory."""
    head = documents.encode(PredictionDocument(**structs.asdict(about.context), predictions=()))
    sys.stdout.write(head.decode().removesuffix("]}"))
    with _closed("\n]}\n"):
        for number, answer in enumerate(answers):
            sys.stdout.write(("," if number else "") + "\n" + documents.encode(answer).decode())


@contextmanager
def _closed(bracket: str) -> Iterator[None]:
    """Write the closing bracket at the end, and after Ctrl-C too: what was answered can be read; after an error it cannot."""
    try:
        yield
    except KeyboardInterrupt:
        sys.stdout.write(bracket)
        raise
    sys.stdout.write(bracket)
