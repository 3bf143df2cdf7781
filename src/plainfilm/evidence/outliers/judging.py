"""What a radiograph is told to be: the detector of outliers, with a second opinion on the view that knows other hospitals too."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plainfilm.evidence.outliers.detector import UNLIKE_TRAINING, UNUSUAL_IN_TRAINING, Detector, OutlierJudgement
from plainfilm.model.view import Views

LATERAL = "looks like a lateral view"
FARTHEST = 2.0  # times the limit of the detector; beyond it a film is refused whatever its view


def judge(
    detector: Detector | None, features: ArrayLike, *, views: Views, pixels: NDArray[np.uint8] | None = None
) -> OutlierJudgement:
    """Judge n images by the detector, if there is one, and by their views.

    A lateral view is flagged. What the detector refuses as unlike its training images is only flagged where it is known as a
    frontal chest film and not farther than `FARTHEST`: a device, another window or a film taken lying lies outside one
    hospital's films, but not outside all of them.

    Parameters
    ----------
    features
        float32 (n, width) of the classifier's encoder.
    views
        Of the same images.
    pixels
        Gray uint8 (n, h, w), if at hand: a frame without a picture is refused.

    Raises
    ------
    ValueError
        Other shapes, or features that are not finite.
    """
    if detector is None:
        n = len(views.lateral)
        found = OutlierJudgement(level=np.full(n, "ok", "U8"), reason=np.full(n, "", "U80"), score=np.full(n, np.nan))
    else:
        found = detector.judge(features, pixels=pixels)
        softened = (found.reason == UNLIKE_TRAINING) & views.frontal & (found.score <= FARTHEST * detector.refuse_above)
        found.level[softened], found.reason[softened] = "flagged", UNUSUAL_IN_TRAINING
    lateral = views.lateral & (found.level != "refused")
    found.level[lateral], found.reason[lateral] = "flagged", LATERAL
    return found
