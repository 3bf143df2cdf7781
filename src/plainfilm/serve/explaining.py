"""Bytes of one file -> an answer with the radiograph and what spoke for the answer: what the page's details and the node show."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plainfilm import __version__
from plainfilm.arguments import Prevalence
from plainfilm.data.burned_text import covered
from plainfilm.data.decoder_pool import Decoders
from plainfilm.data.images import Radiograph, unfitted
from plainfilm.errors import ImageError
from plainfilm.evidence.inference import grouping
from plainfilm.evidence.inference.context import About
from plainfilm.evidence.inference.overlays import Watch, Way
from plainfilm.evidence.inference.predictor import Predictor
from plainfilm.results.predictions import UNSURE, Prediction
from plainfilm.serve.turns import Turn, Turns, settle

VIEW_PX = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which model answers.

    `name` for people; `version` plainfilm's and the first 12 hexadecimal digits of the bundle's SHA-256; `sha256` all of them;
    `site` the hospital whose calibration is used, None for the bundle's own.
    """

    name: str
    version: str
    sha256: str
    site: str | None = None

    @property
    def key(self) -> str:
        """What tells answers apart: the bundle, and the site whose calibration they have."""
        return self.sha256 if self.site is None else hashlib.sha256(f"{self.sha256}\n{self.site}".encode()).hexdigest()

    @classmethod
    def of(cls, predictor: Predictor, path: Path) -> "Identity":
        """Take it from an opened bundle and its file."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        name = f"{' or '.join(predictor.classes_)}, {predictor.bundle.manifest.backbone.name}"
        return cls(name=name, version=f"{__version__}+{digest[:12]}", sha256=digest, site=predictor.site)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One examined file.

    Attributes
    ----------
    prediction : Prediction
        Of level "unreadable" where the file cannot be read.
    view : uint8 (h, w) or None
        The radiograph as a viewer shows it, upright, bones bright, its longer side at most `VIEW_PX`; None if unreadable.
    attribution : float32 (h, w) or None
        From 0 to 1, over `view`: what spoke for `explained`; None where there is no answer.
    explained : str or None
        The class that the attribution speaks for.
    text_covered : bool
        Whether a plain box lies over lines of text in `view`.
    """

    prediction: Prediction
    view: NDArray[np.uint8] | None
    attribution: NDArray[np.float32] | None
    explained: str | None
    text_covered: bool = False


class Examiner:
    """Examines files one by one. Thread-safe.

    Attributes
    ----------
    identity : Identity
    about : About
    method : str
        How it explains: "gradcam", or "occlusion" for networks without maps, as finely as `overlays.SECONDS` allow.
    """

    def __init__(
        self, predictor: Predictor, decoders: Decoders, identity: Identity, *, shows_text: bool = False
    ) -> None:
        self.identity, self.about = identity, About.of(predictor)
        self._way = Way.of(predictor)
        self.method = self._way.method
        self._predictor, self._decoders = predictor, decoders
        self._prepare, self._shows_text = predictor.preprocessing, shows_text

    def examine(
        self,
        data: bytes | bytearray,
        *,
        name: str,
        prevalence: Prevalence | None = None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Examined:
        """Decode, judge and explain one file; a bad file gives an answer of level "unreadable".

        Decoding ends once `is_wanted` says no.

        Raises
        ------
        UsageError
            A prevalence that cannot be meant.
        """
        film = self._decoders.radiograph(
            data, size=self._prepare.image_size, fit=self._prepare.fit, is_wanted=is_wanted
        )
        watch = Watch(self._way, self._predictor)
        (answer,) = self._predictor.answer([(name, film)], prevalence=prevalence, explain=watch)
        shown: NDArray[np.uint8] | ImageError = (
            self._decoders.displayed(data, longest_px=VIEW_PX, is_wanted=is_wanted)
            if isinstance(film, Radiograph)
            else film
        )
        if isinstance(shown, ImageError):
            return Examined(prediction=answer, view=None, attribution=None, explained=None)
        view = shown if self._shows_text else covered(shown)
        is_covered = not np.array_equal(view, shown)
        if (answer.label is None and answer.level != UNSURE) or not watch.kept:
            return Examined(prediction=answer, view=view, attribution=None, explained=None, text_covered=is_covered)
        height, width = shown.shape
        _, label, attribution = watch.kept[0]
        laid = unfitted(attribution, height=height, width=width, fit=self._prepare.fit)
        explained = self._predictor.classes_[label]
        return Examined(prediction=answer, view=view, attribution=laid, explained=explained, text_covered=is_covered)

    def check_studies(self) -> None:
        """Raise UsageError unless the classifier knows how several films become one answer."""
        grouping.ways_of(self._predictor)

    def of_study(self, films: Sequence[Prediction]) -> tuple[Prediction, About]:
        """Join the answers to the films of a study to one, with what stands beside it."""
        ways = grouping.ways_of(self._predictor)
        return grouping.join(self._predictor, ways, films, "study"), About.of(self._predictor, by="study")

    def deciding(self, films: Sequence[Prediction]) -> int | None:
        """Find the film of a study that its picture is of: its place; None where none could be read."""
        return grouping.deciding(grouping.ways_of(self._predictor), films)


class OrderlyExaminer:
    """An examiner each of whose examinations waits for its turn, as one client's: what the node has."""

    def __init__(self, examiner: Examiner, turns: Turns, client: str) -> None:
        self.identity, self.about = examiner.identity, examiner.about
        self._examiner, self._turns, self._client = examiner, turns, client
        self.check_studies, self.of_study, self.deciding = examiner.check_studies, examiner.of_study, examiner.deciding

    def examine(self, data: bytes, *, name: str) -> Examined:
        """Examine one file, however long that is waited for."""

        def work(answer: "Future[Examined]") -> None:
            settle(answer, lambda: self._examiner.examine(data, name=name))

        examined: Examined = self._turns.submit(Turn(self._client), work, is_light=False).result()
        return examined
