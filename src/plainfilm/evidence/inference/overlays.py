"""Where the model looked at one radiograph, and a picture of it for each that is predicted."""

import base64
import html
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plainfilm.arguments import Method
from plainfilm.data.burned_text import covered
from plainfilm.data.files import written_whole
from plainfilm.errors import ImageError, UsageError
from plainfilm.evidence.explanation import attribution as explain
from plainfilm.evidence.inference.predictor import Film, Predictor
from plainfilm.harmless import harmless
from plainfilm.results.predictions import Prediction

METHODS: tuple[Method, ...] = get_args(Method)
SECONDS = 10.0  # that a picture by occlusion may take


@dataclass(frozen=True, slots=True)
class Way:
    """How answers are explained: by "gradcam", or by "occlusion" with a square of 1 / `squares` of the side."""

    method: Method
    squares: int = explain.SQUARES

    @classmethod
    def of(cls, predictor: Predictor, method: Method | None = "auto", *, seconds: float = SECONDS) -> "Way":
        """Choose a method, or check the one that was named, and as many squares as `seconds` allow.

        Raises
        ------
        UsageError
            Another method, Grad-CAM by name of a network without maps, or no seconds.
        """
        classifier = predictor.bundle.classifier
        if method not in {None, *METHODS}:
            raise UsageError(f"Expected a method of {', '.join(METHODS)}; received {method}.")
        if not seconds > 0:
            raise UsageError(f"Expected seconds above 0 for a picture; received {seconds}.")
        if method == "gradcam" and not classifier.looks_at_maps:
            raise UsageError("Expected a network with maps for gradcam; this bundle's has none. Use auto or occlusion.")
        if method != "occlusion" and classifier.looks_at_maps:
            return cls("gradcam")
        return cls("occlusion", explain.squares_within(classifier, seconds))

    @property
    def wants(self) -> tuple[str, ...]:
        """Outputs of the pass that answers, which `look` takes by name: then it needs no pass of its own."""
        return explain.OF_GRAD_CAM if self.method == "gradcam" else ()

    def look(
        self, predictor: Predictor, pixels: NDArray[np.uint8], label: int, **seen: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], float | None]:
        """Attribute the answer for a radiograph uint8 (s, s), of which the network's outputs may be `seen`.

        Returns
        -------
        tuple
            What spoke for the class of index `label`, float32 (s, s) from 0 to 1, and the share of it inside the lungs, None where no
            lungs are found.
        """
        image, labels, classifier = pixels[None], np.array([label]), predictor.bundle.classifier
        if classifier.decision.task == "findings":  # one of them is told as if it were alone
            classifier, labels = classifier.of(classifier.classes_[label]), np.array([1])
            seen = {name: each[[label]] if name == "slopes" else each for name, each in seen.items()}
        if seen:
            maps = explain.weighed(classifier, seen["maps"][None], seen["slopes"][None], labels, len(pixels))
        elif self.method == "gradcam":
            maps = explain.grad_cam(classifier, image, labels)
        else:
            maps = explain.occlusion(classifier, image, labels, squares=self.squares)
        share = float(explain.share_in_lungs(maps, predictor.lungs.find(image).masks)[0])
        return maps[0], None if np.isnan(share) else share


class Watch:
    """Keeps what explains each answer of `Predictor.answer(explain=)`: pixels uint8 (s, s), class index, attribution float32 (s, s)."""

    def __init__(self, way: Way, predictor: Predictor) -> None:
        self.kept: list[tuple[NDArray[np.uint8], int, NDArray[np.float32]]] = []
        self.wants, self._way, self._predictor = way.wants, way, predictor

    def __call__(self, _: str, pixels: NDArray[np.uint8], label: int, **seen: NDArray[np.float32]) -> float | None:
        """Keep it, and give the share of the attribution inside the lungs, None where no lungs are found."""
        attribution, share = self._way.look(self._predictor, pixels, label, **seen)
        self.kept.append((pixels, label, attribution))
        return share


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Explanation:
    """An answer for one radiograph, and where what spoke for it lies.

    Attributes
    ----------
    prediction : Prediction
    explained : str
        The class that the attribution speaks for: the one most probable, also where the answer is refused.
    pixels : uint8 (s, s)
        The radiograph at the size of the classifier's store, lines of text covered.
    attribution : float32 (s, s)
        From 0 to 1; all 0 where nothing speaks for the class.
    method : str
        "gradcam" or "occlusion".
    """

    prediction: Prediction
    explained: str
    pixels: NDArray[np.uint8]
    attribution: NDArray[np.float32]
    method: str

    @property
    def in_lungs(self) -> float | None:
        """Share of the attribution inside the lungs, 0 to 1; None where no lungs are found."""
        return self.prediction.in_lungs

    @property
    def picture(self) -> Image.Image:
        """The attribution over the radiograph, as a picture of Pillow's."""
        return Image.fromarray(explain.overlay(self.pixels, self.attribution))

    def __repr__(self) -> str:
        return harmless(f"<Explanation of {self.prediction.file} by {self.method}: what spoke for {self.explained}>")

    def _repr_html_(self) -> str:
        """Show the picture, and below it the answer and how much of what spoke for it lies in the lungs."""
        answer, chance = self.prediction, self.prediction.probabilities[self.explained]
        said = [f"{self.explained}: probability {chance:.3f}", *answer.reasons, *answer.notes]
        if self.in_lungs is not None:
            said.append(f"{100 * self.in_lungs:.0f} % of what spoke for it lies in the lungs")
        picture = base64.b64encode(self._repr_png_()).decode()
        told, name = (html.escape(harmless(text)) for text in ("; ".join(said), answer.file))
        return f'<div><img src="data:image/png;base64,{picture}" alt="{told}"><p>{name}<br>{told}</p></div>'

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.picture.save(stream, "PNG")
        return stream.getvalue()


def explain_one(predictor: Predictor, film: Film, *, method: Method | None = None) -> Explanation:
    """Answer for one radiograph and explain the answer, as `Predictor.explain` says."""
    way = Way.of(predictor, method)
    watch = Watch(way, predictor)
    answers = list(predictor.stream(film, explain=watch))
    if len(answers) != 1:
        raise UsageError(f"Expected one radiograph to explain; received {len(answers)}. Name one file.")
    if not watch.kept:
        raise ImageError(answers[0].level, f"{answers[0].file}: {answers[0].reasons[0]}")
    pixels, label, attribution = watch.kept[0]
    name = predictor.classes_[label]
    return Explanation(
        prediction=answers[0], explained=name, pixels=covered(pixels), attribution=attribution, method=way.method
    )


@dataclass(frozen=True, slots=True)
class Drawing:
    """How pictures are made, and whether text in them is left uncovered."""

    way: Way
    shows_text: bool

    def of(
        self, predictor: Predictor, pixels: NDArray[np.uint8], label: int, **seen: NDArray[np.float32]
    ) -> tuple[bytes, float | None]:
        """Draw the answer for a radiograph uint8 (s, s): a PNG, and the share of the attribution inside the lungs, None where none are found."""
        attribution, share = self.way.look(predictor, pixels, label, **seen)
        shown = explain.overlay(pixels if self.shows_text else covered(pixels), attribution)
        stream = io.BytesIO()
        Image.fromarray(shown).save(stream, "PNG")
        return stream.getvalue(), share


class Overlays:
    """Writes one PNG a radiograph into a folder; called as `Predictor.stream(explain=)` asks.

    `method` is "gradcam" (of the pass that answers), "occlusion" (slower, as many passes as fit in `seconds` a file, 225 at most, needs no
    gradient) or "auto", the first where the network has maps. Lines of text are covered unless `shows_text`.
    """

    def __init__(
        self,
        folder: Path,
        predictor: Predictor,
        *,
        method: Method = "auto",
        seconds: float = SECONDS,
        shows_text: bool = False,
    ) -> None:
        self.drawing = Drawing(Way.of(predictor, method, seconds=seconds), shows_text)
        self.wants = self.drawing.way.wants
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._predictor = folder, predictor
        self._taken: set[str] = set()

    def __call__(self, file: str, pixels: NDArray[np.uint8], label: int, **seen: NDArray[np.float32]) -> float | None:
        """Write the overlay and return the share of the attribution inside the lungs, None where no lungs are found."""
        picture, share = self.drawing.of(self._predictor, pixels, label, **seen)
        self.keep(file, picture)
        return share

    def keep(self, file: str, picture: bytes) -> None:
        """Write the picture of a file, whole or not at all."""
        with written_whole(self._folder / self._name(file)) as partial:
            partial.write_bytes(picture)

    def _name(self, file: str) -> str:
        """A name of its own for each file: two folders may hold the same name."""
        stem = re.sub(r"[^\w.-]+", "-", Path(file).stem) or "film"
        name, number = stem, 2
        while name in self._taken:
            name, number = f"{stem}-{number}", number + 1
        self._taken.add(name)
        return f"{name}.png"
