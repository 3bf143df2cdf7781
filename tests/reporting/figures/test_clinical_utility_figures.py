"""Predictive values and decision curve, looked at as pixels and as SVG."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from plainfilm.evidence.evaluation.clinical_utility import measure
from plainfilm.reporting.figures.clinical_utility import decision_curve, predictive_values

BLUE, ORANGE = (11, 92, 173), (194, 65, 12)


def utility(hits=45, ill=50, cleared=40, well=50):
    labels = np.repeat([1, 0], [ill, well])
    chance = np.concatenate([np.arange(ill) < hits, np.arange(well) >= cleared]).astype(float)
    return measure(labels, chance, positive="COVID", threshold=0.5).result


def line(drawing, colour, columns):
    """Middle row of the pixels of a colour in a band of columns; rows count downwards."""
    whole = Image.open(io.BytesIO(drawing.png)).convert("RGB")
    image = np.asarray(whole.resize((whole.width // 2, whole.height // 2), Image.Resampling.NEAREST)).astype(int)
    near = (np.abs(image - colour).sum(axis=2) < 30)[:, slice(*columns)]
    return np.flatnonzero(near.any(axis=1)).mean()


def test_ppv_rises_with_prevalence_and_npv_falls():
    drawing = predictive_values(utility())
    left, right = (240, 280), (600, 640)
    assert line(drawing, BLUE, left) > line(drawing, BLUE, (300, 340)) > line(drawing, BLUE, (480, 520))
    assert line(drawing, ORANGE, left) < line(drawing, ORANGE, right)


def test_a_better_specificity_lifts_ppv():
    middle = (300, 340)
    assert line(predictive_values(utility(cleared=49)), BLUE, middle) < line(predictive_values(utility()), BLUE, middle)


def test_treating_all_falls_and_a_perfect_model_does_not():
    drawing = decision_curve(utility(50, 50, 50, 50))
    assert line(drawing, BLUE, (120, 160)) == pytest.approx(line(drawing, BLUE, (420, 460)), abs=2)
    assert line(drawing, ORANGE, (120, 160)) < line(drawing, ORANGE, (300, 340))


@pytest.mark.parametrize("draw", [predictive_values, decision_curve])
def test_the_page_gets_colours_by_name_and_no_styles_and_the_same_every_time(draw):
    svg = draw(utility()).svg
    assert {"var(--s0)", "var(--s1)"} <= set(re.findall(r"var\(--\w+\)", svg))
    assert not re.search(r"#[0-9a-f]{6}|style=|<script", svg)
    assert len(svg) < 25_000
    assert draw(utility()) == draw(utility())


def test_without_both_classes_there_is_no_curve():
    assert decision_curve(utility(ill=0, hits=0)) is None
    assert predictive_values(utility(ill=0, hits=0)) is None


def test_npv_alone_is_drawn():
    assert predictive_values(utility(hits=0, cleared=50)) is not None
