"""The picture for slides, looked at as pixels."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from made_audits import CLEAN, FOUND, NOTHING, changed, films, probe, ugly
from plainfilm.evidence.audit.findings import AuditFindings
from plainfilm.reporting.figures.audit import picture
from plainfilm.results.audit import Sees
from plainfilm.results.estimate import UNDEFINED, Estimate

ORANGE, GREY, BLUE, RED, BROWN = (194, 65, 12), (75, 85, 100), (11, 92, 173), (163, 32, 26), (125, 75, 0)


def seen(audit: AuditFindings) -> np.ndarray:
    image = Image.open(io.BytesIO(picture(audit).png)).convert("RGB")
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.NEAREST)
    return np.asarray(half).astype(int)


def pixels_of(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(image - colour).sum(axis=2) < 6


SOME, DARK = Estimate(0.7, 0.6, 0.8), films(2) // 255


def only(sees: Sees = "no lungs", auroc: Estimate = SOME, seen: NDArray[np.uint8] = DARK) -> AuditFindings:
    return changed(FOUND, probes=[probe("one", sees, auroc, seen)])


@pytest.mark.parametrize(("audit", "colour"), [(CLEAN, BLUE), (changed(CLEAN, verdict="shortcut possible"), BROWN),
                                               (FOUND, RED)])  # fmt: skip
def test_the_verdict_has_its_colour(audit, colour):
    head = seen(audit)[:120]
    assert pixels_of(head, colour).sum() > 2000


def test_the_dot_stands_between_the_ends_of_its_interval():
    marks = np.flatnonzero(pixels_of(seen(only()), ORANGE)[:, 900:].any(axis=0)) + 900
    wide = np.flatnonzero(pixels_of(seen(only(auroc=Estimate(0.7, 0.55, 0.95))), ORANGE)[:, 900:].any(axis=0)) + 900
    assert wide[0] < marks[0] < marks[-1] < wide[-1]


def test_a_higher_auroc_stands_further_right():
    middles = [
        np.flatnonzero(pixels_of(seen(only(auroc=Estimate(v, v, v))), ORANGE)[:, 900:].any(axis=0)).mean()
        for v in (0.55, 0.75, 0.95)
    ]
    assert middles[1] - middles[0] == pytest.approx(middles[2] - middles[1], abs=2)
    assert middles[0] < middles[1]


@pytest.mark.parametrize(
    ("sees", "colour"), [("no lungs", ORANGE), ("no image", ORANGE), ("coarse", GREY), ("lungs", BLUE)]
)
def test_each_kind_has_its_colour(sees, colour):
    image = seen(only(sees=sees))
    assert {c for c in (ORANGE, GREY, BLUE) if pixels_of(image, c).sum() > 200} == {colour}


def test_the_film_strip_is_in_the_picture():
    dark, bright = (seen(only(seen=np.full((2, 64, 64), level, np.uint8))) for level in (10, 250))
    changed = np.abs(dark - bright).sum(axis=2) > 600
    assert changed.sum() > 2 * 80 * 80
    assert np.flatnonzero(changed.any(axis=0))[0] > 400, "right of the names"


def test_a_probe_that_could_not_run_has_no_mark():
    assert not pixels_of(seen(only(auroc=UNDEFINED))[:, 900:], ORANGE).any()


def test_more_probes_make_a_taller_picture_of_one_width():
    sizes = [seen(audit).shape for audit in (NOTHING, only(), FOUND, ugly())]
    assert {width for _, width, _ in sizes} == {1650}
    assert sizes[0][0] <= sizes[1][0] < sizes[2][0]


def test_of_many_probes_of_a_kind_the_highest_are_drawn():
    def many(count: int) -> AuditFindings:
        return changed(
            FOUND, probes=[probe(f"p{i}", "no image", Estimate(0.9 - i / 100, 0.5, 1)) for i in range(count)]
        )

    assert seen(many(20)).shape == seen(many(3)).shape
    assert pixels_of(seen(many(3)), ORANGE).sum() == pytest.approx(pixels_of(seen(many(20)), ORANGE).sum(), rel=0.01)
    assert picture(many(20)).png != picture(many(3)).png, "it says that there are more"


def test_what_is_seen_with_the_lungs_hidden_is_drawn_however_low():
    others = [probe(f"p{i}", "no lungs", Estimate(0.9, 0.8, 1)) for i in range(5)]
    low = probe("hidden", "no lungs", Estimate(0.5, 0.4, 0.6), films(4))
    assert seen(changed(FOUND, probes=[*others, low])).shape > seen(changed(FOUND, probes=others)).shape


def test_the_same_audit_is_the_same_picture():
    assert picture(FOUND).png == picture(FOUND).png
