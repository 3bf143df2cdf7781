"""Predictive values as the page lays them out."""

import numpy as np
import pytest

from plainfilm.evidence.evaluation.clinical_utility import EXAMPLES, PEOPLE, measure
from plainfilm.reporting.tables.clinical_utility import show


def utility(hits=45, ill=50, cleared=40, well=50, threshold=0.5):
    labels = np.repeat([1, 0], [ill, well])
    chance = np.concatenate([np.arange(ill) < hits, np.arange(well) >= cleared]).astype(float)
    return measure(labels, chance, positive="COVID", threshold=threshold)


def plain(text):
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ")


def test_a_row_a_prevalence_with_people_that_add_up():
    shown = show(utility())
    assert [plain(row.prevalence) for row in shown.rows] == ["0.1 %", "1 %", "5 %", "10 %", "20 %", "50 %"]
    for row, prevalence in zip(shown.rows, EXAMPLES, strict=True):
        assert row.ill == round(PEOPLE * prevalence) == row.found + row.missed
    one = shown.rows[1]
    assert (one.ill, one.found, one.missed, one.false_alarms) == (100, 90, 10, 1980)
    assert plain(one.ppv.value) == "4.3 %"
    assert plain(one.npv[0]) == "99.87 %"


def test_what_is_not_known_is_a_dash():
    shown = show(utility(ill=0, hits=0))
    assert {row.ppv.value for row in shown.rows} == {"–"}
    assert {row.npv for row in shown.rows} == {("–", "")}
    assert shown.rows[0].found is None
    assert shown.rows[0].false_alarms == 1998
    assert (shown.decision, shown.prevalence) == ("", None)


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        (0.2, "a miss weighs as much as 4 false alarms"),
        (0.8, "a false alarm weighs as much as 4 misses"),
        (0.5, "a miss weighs as much as a false alarm"),
        (0.0, ""),
        (1.0, ""),
    ],
)
def test_a_threshold_is_a_trade(threshold, words):
    assert show(utility(threshold=threshold)).trade == words
