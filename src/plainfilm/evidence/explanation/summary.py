"""Where a classifier looked on a few test radiographs: pictures, how much of it lies in the lungs, and whether to believe it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.evidence.explanation import attribution
from plainfilm.evidence.explanation.faithfulness import Faithfulness, faithfulness, mean_difference
from plainfilm.evidence.statistics import intervals
from plainfilm.model.classifier import Classifier
from plainfilm.model.lung_segmentation import LungFinder
from plainfilm.results.estimate import Estimate

DRAWN = 12  # radiographs that the numbers rest on, dealt over the classes
WRONG = 4  # wrong answers shown beside them
STEPS = 5  # of hiding and bringing back; with 12 radiographs some 260 passes, as long as encoding as many


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One radiograph that was looked at.

    Attributes
    ----------
    file, truth, answer : str
        Its name, its class and the class that the model gave, which the picture explains.
    probability : float
        Of the answer, 0 to 1.
    pixels, overlay : uint8 (s, s), uint8 (s, s, 3)
        The film, and the attribution over it.
    in_lungs, lungs_take : float
        Share of the attribution inside the lung fields, and of the film's area that they take; NaN where no lungs were
        found or the map is empty.
    empty : bool
        Whether nothing in the maps speaks for the answer.
    drawn : bool
        Whether it was drawn by lot, so that the numbers rest on it; else it is here for its wrong answer.
    """

    file: str
    truth: str
    answer: str
    probability: float
    pixels: NDArray[np.uint8]
    overlay: NDArray[np.uint8]
    in_lungs: float
    lungs_take: float
    empty: bool
    drawn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What Grad-CAM shows of a classifier.

    Attributes
    ----------
    films : sequence of Film
        By class, then the wrong answers that were not drawn.
    in_lungs, lungs_take, difference : Estimate
        Means over the films drawn; the difference is paired by film.
    by_class : dict of str to (float, float)
        `in_lungs` and `lungs_take` of each class; NaN where not known.
    faithfulness : Faithfulness
        Of the films drawn.
    """

    films: Sequence[Film]
    in_lungs: Estimate
    lungs_take: Estimate
    difference: Estimate
    by_class: Mapping[str, tuple[float, float]]
    faithfulness: Faithfulness

    @property
    def drawn(self) -> int:
        """How many films the numbers rest on."""
        return sum(film.drawn for film in self.films)

    @property
    def sentence(self) -> str:
        """How much of the attribution lies in the lungs, beside what chance would give."""
        if np.isnan(self.in_lungs.value):
            return "No lung fields were found on these films, so it is not known how much of it lies in the lungs."
        than = "about as much as"
        if self.difference.low > 0:
            than = "more than"
        if self.difference.high < 0:
            than = "less than"
        share, chance = (f"{100 * each.value:.0f} %" for each in (self.in_lungs, self.lungs_take))
        return f"{share} of what spoke for the answers lies in the lungs, {than} chance would give: they take {chance} of the films."

    def as_dict(self) -> dict[str, Any]:
        """Give what `metrics.json` holds; it goes into the bundle, so no file is named."""
        return {
            "method": "Grad-CAM",
            "images": self.drawn,
            "sentence": self.sentence,
            "attribution_in_lungs": self.in_lungs.as_dict(),
            "lungs_take": self.lungs_take.as_dict(),
            "difference": self.difference.as_dict(),
            "by_class": {
                name: {"attribution_in_lungs": _known(inside), "lungs_take": _known(area)}
                for name, (inside, area) in self.by_class.items()
            },
            "without_lungs": sum(film.drawn and math.isnan(film.lungs_take) for film in self.films),
            "empty_maps": sum(film.drawn and film.empty for film in self.films),
            "faithfulness": self.faithfulness.as_dict(),
        }


def look(
    store: Store,
    classifier: Classifier,
    rows: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    seed: int = 0,
) -> Explanation | None:
    """Look at some radiographs of a store with a classifier.

    Parameters
    ----------
    store
        What the classifier was trained on, or tested on; its rows are in random order.
    classifier
        Gives None unless it looks at maps.
    rows, probabilities : int64 (n,), float64 (n, classes)
        Of the test part, with the answers. The first radiographs of each class are drawn, one a group.
    seed
        Of the random orders of `faithfulness`.
    """
    if not classifier.looks_at_maps or not len(rows):
        return None
    answers = classifier.decision.predict(probabilities)
    drawn, wrong = _choose(store.labels[rows], answers, probabilities, store.group[rows])
    chosen = np.concatenate([drawn, wrong])
    images, labels = store.images(rows[chosen]), answers[chosen]
    maps = attribution.grad_cam(classifier, images, labels)
    masks = LungFinder().find(images).masks
    shares, area = attribution.share_in_lungs(maps, masks), attribution.lung_area(masks)
    area[np.isnan(shares)] = np.nan
    films = [
        Film(
            file=str(store.file[rows[at]]),
            truth=store.classes[store.labels[rows[at]]],
            answer=store.classes[answers[at]],
            probability=float(probabilities[at, answers[at]]),
            pixels=images[place],
            overlay=attribution.overlay(images[place], maps[place]),
            in_lungs=float(shares[place]),
            lungs_take=float(area[place]),
            empty=not maps[place].any(),
            drawn=place < len(drawn),
        )
        for place, at in enumerate(chosen)
    ]
    first = slice(len(drawn))
    return _measured(films, faithfulness(classifier, images[first], maps[first], labels[first], steps=STEPS, seed=seed))


def _measured(films: Sequence[Film], faithful: Faithfulness) -> Explanation:
    drawn = [film for film in films if film.drawn]
    pairs = np.array([(film.in_lungs, film.lungs_take) for film in drawn]).reshape(-1, 2)
    known = ~np.isnan(pairs).any(axis=1)
    truths = np.array([film.truth for film in drawn])
    by_class = {str(name): pairs[known & (truths == name)] for name in dict.fromkeys(truths.tolist())}
    inside, area = pairs[known].T
    alone = np.arange(len(inside))  # one film a group was drawn
    return Explanation(
        films=films,
        in_lungs=intervals.mean(inside, alone, 0.95).estimate,
        lungs_take=intervals.mean(area, alone, 0.95).estimate,
        difference=mean_difference(inside - area, alone),
        by_class={
            name: (float(own[:, 0].mean()), float(own[:, 1].mean())) if len(own) else (math.nan, math.nan)
            for name, own in by_class.items()
        },
        faithfulness=faithful,
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _choose(
    labels: NDArray[np.int64], answers: NDArray[np.int64], probabilities: NDArray[np.float64], group: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw as many of each class, one a group, and beside them the surest wrong answers."""
    first = np.sort(np.unique(group, return_index=True)[1])
    classes = np.unique(labels)
    each = max(1, DRAWN // len(classes))
    by_class = [first[labels[first] == label][:each] for label in classes]
    drawn = np.concatenate(by_class)[: DRAWN + WRONG]
    wrong = np.setdiff1d(np.flatnonzero(answers != labels), drawn)
    surest = wrong[np.argsort(-probabilities[wrong, answers[wrong]], kind="stable")]
    return drawn, surest[: max(0, DRAWN + WRONG - len(drawn))][:WRONG]
