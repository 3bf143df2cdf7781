"""Where a classifier looked on a few test radiographs: pictures, how much of it lies in the lungs, and whether to believe it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.evidence.explanation import attribution, pointing
from plainfilm.evidence.explanation.faithfulness import faithfulness, mean_difference
from plainfilm.evidence.statistics import intervals
from plainfilm.model.classifier import Classifier
from plainfilm.model.lung_segmentation import LungFinder
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import ClassAttribution, Explanation, Faithfulness, Pointing

DRAWN = 12  # radiographs that the numbers rest on, dealt over the classes
WRONG = 4  # wrong answers shown beside them
PLANTED = 28  # radiographs that an opacity is planted in; half as many passes again, with the lungs
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
        Share of the attribution inside the lung fields, and of the radiograph's area that they take; NaN where no lungs were
        found, the first also where the map is empty.
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
class ExplanationFindings:
    """The radiographs that were looked at, by class, then the wrong answers that were not drawn; and what they show."""

    films: Sequence[Film]
    result: Explanation


def look(
    store: Store,
    classifier: Classifier,
    rows: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    seed: int = 0,
) -> ExplanationFindings | None:
    """Look at some radiographs of a store with a classifier.

    Parameters
    ----------
    store
        What the classifier was trained on, or tested on; its rows are in random order.
    classifier
        Gives None unless it looks at maps.
    rows, probabilities : int64 (n,), float64 (n, classes)
        Of the test set, with the answers. The first radiographs of each class are drawn, one a group.
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
    pictures = store.pictures(rows[chosen])
    films = [
        Film(
            file=str(store.file[rows[at]]),
            truth=store.classes[store.labels[rows[at]]],
            answer=store.classes[answers[at]],
            probability=float(probabilities[at, answers[at]]),
            pixels=pictures[place],
            overlay=attribution.overlay(pictures[place], maps[place]),
            in_lungs=float(shares[place]),
            lungs_take=float(area[place]),
            empty=not maps[place].any(),
            drawn=place < len(drawn),
        )
        for place, at in enumerate(chosen)
    ]
    first = slice(len(drawn))
    pointed = _point(store, classifier, rows, probabilities, seed)
    faithful = faithfulness(
        classifier, images[first], maps[first], labels[first], steps=STEPS, pointing=pointed, seed=seed
    )
    return ExplanationFindings(films=films, result=_measured(films, faithful, pointed))


def look_at_lungs(
    store: Store, classifier: Classifier, rows: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> tuple[Estimate, Estimate] | None:
    """Measure on as many radiographs as `look` draws what share of the attribution lies in the lungs, and what they take.

    Parameters and None as of `look`.
    """
    if not classifier.looks_at_maps or not len(rows):
        return None
    answers = classifier.decision.predict(probabilities)
    drawn, _ = _choose(store.labels[rows], answers, probabilities, store.group[rows])
    images = store.images(rows[drawn])
    masks = LungFinder().find(images).masks
    shares = attribution.share_in_lungs(attribution.grad_cam(classifier, images, answers[drawn]), masks)
    return _means(np.stack([shares, attribution.lung_area(masks)], axis=1))


def _means(pairs: NDArray[np.float64]) -> tuple[Estimate, Estimate]:
    """Mean share in the lungs and mean share that they take, over rows (n, 2) of which both are known."""
    known = pairs[~np.isnan(pairs).any(axis=1)]
    alone = np.arange(len(known))  # one radiograph a group was drawn
    inside, area = (intervals.mean(each, alone, 0.95).estimate for each in known.T)
    return inside, area


def _point(
    store: Store, classifier: Classifier, rows: NDArray[np.int64], probabilities: NDArray[np.float64], seed: int
) -> Pointing:
    """Plant opacities in films of different groups; of two classes in those called negative."""
    positive = classifier.decision.positive
    asked = np.arange(len(rows))
    if positive is not None:
        asked = asked[classifier.decision.predict(probabilities) != classifier.classes_.index(positive)]
    unrelated = asked[np.sort(np.unique(store.group[rows[asked]], return_index=True)[1])[:PLANTED]]
    images = store.images(rows[unrelated])
    return pointing.measure(classifier, images, LungFinder().find(images).masks, probabilities[unrelated], seed=seed)


def _measured(films: Sequence[Film], faithful: Faithfulness, pointed: Pointing) -> Explanation:
    """Sum up the radiographs that were drawn; no file is named, since it goes into the bundle."""
    drawn = [film for film in films if film.drawn]
    pairs = np.array([(film.in_lungs, film.lungs_take) for film in drawn]).reshape(-1, 2)
    known = ~np.isnan(pairs).any(axis=1)
    truths = np.array([film.truth for film in drawn])
    inside, area = pairs[known].T
    alone = np.arange(len(inside))  # one radiograph a group was drawn
    in_lungs, lungs_take = _means(pairs)
    difference = mean_difference(inside - area, alone)
    without = int(np.isnan(pairs[:, 1]).sum())
    return Explanation(
        method="Grad-CAM",
        images=len(drawn),
        sentence=_sentence(in_lungs, lungs_take, difference, found=without < len(drawn)),
        attribution_in_lungs=in_lungs,
        lungs_take=lungs_take,
        difference=difference,
        by_class={name: _of_class(pairs[known & (truths == name)]) for name in dict.fromkeys(truths.tolist())},
        without_lungs=without,
        empty_maps=sum(film.empty for film in drawn),
        faithfulness=faithful,
        pointing=pointed,
    )


def _of_class(pairs: NDArray[np.float64]) -> ClassAttribution:
    inside, area = pairs.mean(axis=0).tolist() if len(pairs) else (None, None)
    return ClassAttribution(attribution_in_lungs=inside, lungs_take=area)


def _sentence(in_lungs: Estimate, lungs_take: Estimate, difference: Estimate, *, found: bool) -> str:
    """Say how much of the attribution lies in the lungs, beside what chance would give; `found` are lungs of any film."""
    if not in_lungs.is_known:
        why = (
            "Nothing speaks for the answers where lung fields were found"
            if found
            else "No lung fields were found on these films"
        )
        return f"{why}, so it is not known how much of it lies in the lungs."
    than = "about as much as"
    if difference.low > 0:
        than = "more than"
    if difference.high < 0:
        than = "less than"
    share, chance = (f"{100 * each.value:.0f} %" for each in (in_lungs, lungs_take))
    return f"{share} of what spoke for the answers lies in the lungs, {than} chance would give: they take {chance} of the radiographs."


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
