"""What the answers to an image say, in plain words: the same in the report and below the picture."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from plainfilm import NOTICE
from plainfilm.evidence.inference.context import About
from plainfilm.results.predictions import UNSURE, Prediction
from plainfilm.serve.dicom.header import plain
from plainfilm.serve.explaining import Examined, Identity

_LONGEST = 1024  # letters of one sentence


class Examines(Protocol):
    """What judges: `explaining.Examiner`."""

    @property
    def identity(self) -> Identity:
        """Which model answers."""

    @property
    def about(self) -> About:
        """What stands beside every answer."""

    def examine(self, data: bytes, *, name: str) -> Examined:
        """Examine one file."""

    def check_studies(self) -> None:
        """Raise UsageError unless several films can become one answer."""

    def of_study(self, films: Sequence[Prediction]) -> tuple[Prediction, About]:
        """Join the answers to the films of a study to one, with what stands beside it."""

    def deciding(self, films: Sequence[Prediction]) -> int | None:
        """Find the film of a study that its picture is of: its place; None where none could be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomAnswer:
    """An examined image, who examined it, and what such an answer is worth."""

    examined: Examined
    identity: Identity
    about: About

    @property
    def is_given(self) -> bool:
        """Whether there is an answer, if an unsure one: not where the image was refused or cannot be read."""
        prediction = self.examined.prediction
        return prediction.label is not None or prediction.level == UNSURE

    @property
    def headline(self) -> str:
        """The answer on one line."""
        prediction = self.examined.prediction
        if prediction.level == "unreadable":
            return "No answer: the image cannot be read."
        if prediction.level == UNSURE and self.about.task == "findings":
            return plain(f"Unsure: {_chances(prediction, prediction.unsure or ())}", 200)
        if prediction.level == UNSURE:
            positive = str(self.about.positive)
            return plain(f"Unsure: probability of {positive} {percent(prediction.probabilities[positive])}", 200)
        if prediction.label is None:
            return "No answer: the image is refused."
        flag = " (flagged)" if prediction.level == "flagged" else ""
        if self.about.task == "findings":
            return plain(f"{_findings(prediction)}{flag}", 200)
        return plain(
            f"{prediction.label}{flag}: probability {percent(prediction.probabilities[prediction.label])}", 200
        )

    @property
    def reasons(self) -> list[str]:
        """Why it was flagged, refused or cannot be read."""
        return [f"Why: {reason}." for reason in self.examined.prediction.reasons]

    @property
    def warning(self) -> str:
        """The loudest of what the accuracy is worth; nothing where nothing speaks against it."""
        loudest = self.about.loudest
        return "" if loudest.level == "none" else loudest.sentence

    def sentences(self) -> list[str]:
        """All that stands beside the answer, the caveat first."""
        prediction, about = self.examined.prediction, self.about
        notes = [f"Note: {note}." for note in prediction.notes]
        meaning = [about.meaning(prediction)] if self.is_given else []
        if prediction.in_lungs is not None:
            meaning.append(f"Of what spoke for the answer, {percent(prediction.in_lungs)} lies in the lung fields.")
        worth = [said.sentence for said in about.worth]
        used = about.calibration if about.site else ""
        said = (NOTICE, self.headline, *self.reasons, *notes, *meaning, about.promise, used, *worth)
        return [plain(sentence, _LONGEST).replace("..", ".") for sentence in said if sentence]


def _findings(prediction: Prediction) -> str:
    """Name the findings that are called, each with its probability; where none is, the one that is most probable."""
    chances = prediction.probabilities
    if prediction.findings:
        unsure = f"; unsure: {_chances(prediction, prediction.unsure)}" if prediction.unsure else ""
        return f"{_chances(prediction, prediction.findings)}{unsure}"
    name = max(chances, key=lambda each: chances[each])
    return f"{prediction.label}: of what was looked for {name} is the most probable, {percent(chances[name])}"


def _chances(prediction: Prediction, names: Iterable[str]) -> str:
    return ", ".join(f"{name}: probability {percent(prediction.probabilities[name])}" for name in names)


def percent(probability: float) -> str:
    """Write a probability as people say it; never 0 or 100 where it is neither."""
    if 0 < probability < 0.005:
        return "below 0.5 %"
    if 0.995 < probability < 1:
        return "above 99.5 %"
    return f"{100 * probability:.0f} %"
