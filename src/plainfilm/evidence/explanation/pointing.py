"""How often the peak of Grad-CAM lies at a soft opacity that was planted at a known place, for one classifier."""

import numpy as np
from numpy.typing import NDArray

from plainfilm.evidence.explanation import attribution
from plainfilm.evidence.explanation.planting import distance, plant
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.model.classifier import Classifier
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import Pointing

NEAR = 0.1  # of the side
MOVED = float(np.log(2))  # rise of the log odds that counts as a reaction: twice the odds
FEWEST = 10  # films that must react
_SURE = 1e-9  # of probabilities; beyond it rounding decides
OFTEN = 0.5  # a picture points if its peak is surely near more often


def measure(
    classifier: Classifier,
    images: NDArray[np.uint8],
    masks: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
    *,
    seed: int = 0,
    level: float = 0.95,
) -> Pointing:
    """Plant an opacity in each film and see whether the picture of what moved points at it.

    Two passes of the network a film.

    Parameters
    ----------
    classifier
        One that looks at maps.
    images, masks, probabilities : uint8 (n, s, s), bool (n, m, m), float64 (n, classes)
        Unrelated films, their lung fields and their answers; of two classes those that are called negative. A film without
        lungs is left out.
    seed
        Of the opacities.
    level
        Coverage of the interval.

    Returns
    -------
    Pointing
        Of the films whose answer moved: the class whose log odds rose most (of two classes the positive one) rose by
        `MOVED` at least. Its picture is what is measured.

    References
    ----------
    The pointing game: Zhang et al., Top-down Neural Attention by Excitation Backprop, ECCV 2016.
    """
    rng = np.random.default_rng(seed)
    planted = [(row, *found) for row, image in enumerate(images) if (found := plant(image, masks[row], rng))]
    if not planted:
        return _said(0, np.empty(0, bool), level)
    rows, films, places = (np.array(each) for each in zip(*planted, strict=True))
    rises = _log_odds(classifier.predict_proba(films)) - _log_odds(probabilities[rows])
    positive = classifier.decision.positive
    label = rises.argmax(axis=1) if positive is None else np.full(len(rows), classifier.classes_.index(positive))
    moved = rises[np.arange(len(rows)), label] >= MOVED
    maps = attribution.grad_cam(classifier, films[moved], label[moved])
    return _said(len(rows), distance(maps, places[moved]) <= NEAR, level)


def _log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    sure = np.clip(probabilities, _SURE, 1 - _SURE)
    return np.asarray(np.log(sure / (1 - sure)))


def _said(planted: int, near: NDArray[np.bool_], level: float) -> Pointing:
    if len(near) < FEWEST:
        sentence = (
            f"The model does not react to planted opacities: a soft one in the lungs moved the answer on {len(near)} of {planted} radiographs, "
            f"and {FEWEST} are needed. Nothing can be said of whether its pictures point."
        )
        return Pointing(sentence=sentence, planted=planted, reacted=len(near), near=None, points=False)
    share = wilson(near, level=level)
    sentence = (
        f"Soft opacities were planted in the lungs of {planted} radiographs. {len(near)} of them moved the answer, and on {_percent(share)} of these "
        "the picture's peak lies within a tenth of the side of the opacity."
    )
    return Pointing(sentence=sentence, planted=planted, reacted=len(near), near=share, points=share.low > OFTEN)


def _percent(share: Estimate) -> str:
    return f"{100 * share.value:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f} %)"
