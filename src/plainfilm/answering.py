"""How `plainfilm predict` prints its answers, one at a time: lines for people, CSV, JSON."""

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

from plainfilm.evidence.prediction import Prediction, Predictor
from plainfilm.terminal import say, styled

_STYLES = {"ok": "", "flagged": "yellow", "refused": "bold yellow", "unreadable": "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What stands above and below the answers: classes, positive class, threshold, prevalences, the audit's verdict."""

    classes: tuple[str, ...]
    positive: str | None
    threshold: float
    calibrated_at: float | None
    prevalence: float | None
    metrics: Mapping[str, Any]

    @classmethod
    def of(cls, predictor: Predictor, prevalence: float | None) -> "About":
        """Take it from an opened bundle; `prevalence` None means the one it was calibrated at."""
        decision = predictor.bundle.classifier.decision
        return cls(
            classes=predictor.classes_,
            positive=decision.positive,
            threshold=decision.threshold,
            calibrated_at=predictor.prevalence,
            prevalence=predictor.prevalence if prevalence is None else prevalence,
            metrics=predictor.bundle.metrics,
        )

    @property
    def worth(self) -> tuple[str, str]:
        """The verdict of the audit that the bundle carries, or the sentence on its accuracy; and its style."""
        audit = self.metrics.get("audit")
        if audit:
            return f"{audit['verdict'].capitalize()}. {audit['sentence']}", (
                "green" if audit["verdict"] == "no shortcut found" else "bold red"
            )
        return f"Not audited. {self.metrics['worth']['sentence']}", "yellow"


@dataclass(slots=True)
class Tally:
    """How many answers of each kind have passed, and the last one."""

    labels: Counter[str] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    last: Prediction | None = None

    def watch(self, answers: Iterable[Prediction]) -> Iterator[Prediction]:
        """Count answers on their way."""
        for answer in answers:
            self.labels[answer.label or ""] += 1
            self.levels[answer.level] += 1
            self.last = answer
            yield answer

    @property
    def all_unreadable(self) -> bool:
        """Whether nothing could be answered."""
        return self.levels.total() > 0 and self.levels["unreadable"] == self.levels.total()


def as_lines(answers: Iterable[Prediction], about: About) -> None:
    """Print a line an answer."""
    wide = max(len("unreadable"), *map(len, about.classes))
    heads = [f"{about.positive or 'most probable':>13}", *_moved_head(about), f"{'class':<{wide}}", "file"]
    say(styled("  ".join(heads), "dim"))
    for answer in answers:
        say(_line(answer, about, wide))


def _moved_head(about: About) -> list[str]:
    moved = about.positive is not None and about.prevalence != about.calibrated_at
    return [f"{f'at {100 * (about.prevalence or 0):g} %':>9}"] if moved else []


def _line(answer: Prediction, about: About, wide: int) -> Text:
    shown = max(answer.probabilities.values(), default=None)
    if about.positive is not None:
        shown = answer.probabilities.get(about.positive)
    numbers = f"{_percent(shown):>13}  "
    if _moved_head(about):
        numbers += f"{_percent(answer.at_prevalence):>9}  "
    said, remarks = answer.label or answer.level, _remarks(answer)
    return Text.assemble(
        numbers,
        (f"{said:<{wide}}", _STYLES[answer.level]),
        f"  {answer.file}",
        (f"  {remarks}" if remarks else "", "dim"),
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _remarks(answer: Prediction) -> str:
    looked = (
        () if answer.in_lungs is None else (f"{100 * answer.in_lungs:.0f} % of what it looked at lies in the lungs",)
    )
    said = "; ".join([*answer.reasons, *answer.notes, *looked])
    return f"flagged: {said}" if answer.level == "flagged" else said


def say_summary(tally: Tally, about: About) -> None:
    """Print what the answers came to, what they mean, and what the classifier is worth."""
    say("", *_summary(tally, about))


def _summary(tally: Tally, about: About) -> Iterator[Text | str]:
    counts = [f"{count:,} {name}" for name, count in sorted(tally.labels.items()) if name]
    counts += [f"{tally.levels[name]:,} {name}" for name in ("refused", "unreadable") if tally.levels[name]]
    total = tally.levels.total()
    yield f"{total:,} {'file' if total == 1 else 'files'}: {', '.join(counts) or 'nothing to answer'}."
    if about.positive is not None and about.prevalence is not None and about.calibrated_at is not None:
        yield f"{about.positive} is called from a probability of {100 * about.threshold:.1f} % on; the probabilities hold where {100 * about.calibrated_at:.0f} % have it."
        if total == 1 and tally.last is not None and tally.last.label and tally.last.at_prevalence is not None:
            yield (
                f"Where {100 * about.prevalence:.3g} % of those examined have {about.positive}, "
                f"{100 * tally.last.at_prevalence:.0f} of 100 radiographs with this answer show it, if the probability is right."
            )
    sentence, style = about.worth
    yield Text.assemble(("Worth  ", f"bold {style}"), (sentence, style))
    yield styled("Research use only; not a medical device.", "dim")


def as_csv(answers: Iterable[Prediction], about: About) -> None:
    """Write one row an answer to stdout."""
    names = [f"probability {name}" for name in about.classes] if about.positive is None else ["probability"]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["file", "class", "level", *names, "at_prevalence", "reasons", "notes", "attribution_in_lungs"])
    asked = about.classes if about.positive is None else (about.positive,)
    for answer in answers:
        chances = [f"{answer.probabilities[name]:.6f}" if name in answer.probabilities else "" for name in asked]
        moved, inside = ("" if value is None else f"{value:.6f}" for value in (answer.at_prevalence, answer.in_lungs))
        writer.writerow(
            [
                answer.file,
                answer.label or "",
                answer.level,
                *chances,
                moved,
                "; ".join(answer.reasons),
                "; ".join(answer.notes),
                inside,
            ]
        )


def as_json(answers: Iterable[Prediction], about: About) -> None:
    """Write one JSON object to stdout, an answer at a time, so that thousands take no memory."""
    audit = about.metrics.get("audit")
    head = {
        "classes": list(about.classes),
        "positive": about.positive,
        "threshold": about.threshold if about.positive else None,
        "calibrated_at_prevalence": about.calibrated_at,
        "prevalence": about.prevalence,
        "verdict": audit["verdict"] if audit else None,
        "worth": about.worth[0],
    }
    sys.stdout.write(json.dumps(head)[:-1] + ', "predictions": [')
    for number, answer in enumerate(answers):
        sys.stdout.write(("," if number else "") + "\n" + json.dumps(answer.as_dict()))
    sys.stdout.write("\n]}\n")
