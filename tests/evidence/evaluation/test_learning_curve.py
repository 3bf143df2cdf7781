"""The learning curve over sources: means, differences and the sentence, on AUROCs whose truth is known."""

import numpy as np
import pytest

from plainfilm.data.source_curve import Drawn
from plainfilm.data.source_split import SourceFold
from plainfilm.evidence.evaluation.learning_curve import Tried, learning_curve
from plainfilm.evidence.statistics.discrimination import area_under_roc

PATIENTS = 120  # of each left-out source
POSITIVE = np.tile([False, True], PATIENTS // 2)


def fold(name):
    return SourceFold(sources=(name,), companions=(), split=np.array(["test"]))


def tried(lift, *, hospitals, films, names="ab", draws=1, noise=0.0, seed=0, others=False):
    """Trainings whose answers part the classes by `lift`; the patients of a source are the same in all."""
    made = []
    for place, name in enumerate(names):
        base = np.random.default_rng(place).normal(size=PATIENTS)
        for number in range(draws):
            own = np.random.default_rng((seed, place, number)).normal(size=PATIENTS)
            codes = np.arange(PATIENTS) + place * PATIENTS
            area = area_under_roc(POSITIVE, base + lift * POSITIVE + noise * own, codes, 0.95)
            made.append(
                Tried(
                    Drawn(
                        fold=fold(name),
                        hospitals=hospitals,
                        films=films,
                        chosen=frozenset({number * others}),
                        rows=np.arange(films),
                    ),
                    area,
                )
            )
    return made


def test_a_point_is_the_mean_over_left_out_sources_each_counted_once():
    one = [
        *tried(1.0, hospitals=1, films=80, names="a", draws=3, noise=0.5),
        *tried(0.2, hospitals=1, films=80, names="b"),
    ]
    (point,) = learning_curve(one).points
    values = [each.area.estimate.value for each in one]
    assert (point.sources, point.films, point.trainings) == (1, 80, 4)
    assert point.auroc.value == pytest.approx((np.mean(values[:3]) + values[3]) / 2)
    assert point.auroc.low < point.auroc.value < point.auroc.high
    assert (point.lowest, point.highest) == (min(values), max(values))


def test_another_hospital_is_worth_more_than_twice_the_films():
    found = learning_curve([
        *tried(0.5, hospitals=1, films=80), *tried(0.52, hospitals=1, films=160),
        *tried(1.4, hospitals=2, films=80), *tried(1.45, hospitals=2, films=160),
    ])  # fmt: skip
    one, twice, two, _ = (point.auroc.value for point in found.points)
    assert found.tested == ("a", "b")
    assert found.sentence.startswith(
        f"With 80 films of one hospital, AUROC at those left out is {one:.2f}, with as many of two {two:.2f}, with twice as many of one "
        f"{twice:.2f}. Another hospital is worth more than twice the films: {two - twice:+.3f} ("
    )
    assert ", at 2 of 2 left out. From 80 to 160 films of two hospitals, it changes by +0.0" in found.sentence


def test_twice_the_films_can_be_worth_more():
    found = learning_curve([
        *tried(0.5, hospitals=1, films=80), *tried(1.6, hospitals=1, films=160), *tried(0.6, hospitals=2, films=80),
    ])  # fmt: skip
    assert "Twice the films are worth more than another hospital: \N{MINUS SIGN}0." in found.sentence


@pytest.mark.parametrize("others", [False, True])  # films drawn anew of the same sources, or of other sources each time
def test_a_difference_within_the_spread_of_draws_is_not_told(others):
    points = [(1, 80, 0.8), (1, 160, 0.82), (2, 80, 0.9)]
    steady = [
        each
        for count, films, lift in points
        for each in tried(lift, hospitals=count, films=films, draws=2, others=others)
    ]
    loose = [
        each
        for count, films, lift in points
        for each in tried(lift, hospitals=count, films=films, draws=2, noise=1.5, seed=count * films, others=others)
    ]
    assert "worth more than twice the films: +" in learning_curve(steady).sentence
    assert "whether it is worth more than twice the films cannot be told" in learning_curve(loose).sentence


def test_from_two_hospitals_to_more():
    found = learning_curve([
        each for count, lift in ((1, 0.5), (2, 1.0), (4, 1.1))
        for each in tried(lift, hospitals=count, films=80)
    ])  # fmt: skip
    assert "with as many of two 0." in found.sentence
    assert ". Another hospital brings +0." in found.sentence
    assert "From two to four hospitals, with 80 films, it changes by +0.0" in found.sentence


def test_where_one_hospital_is_left_to_learn_from_the_curve_is_over_films_and_says_why():
    found = learning_curve([*tried(0.5, hospitals=1, films=160), *tried(0.4, hospitals=1, films=80)])
    assert found.sentence.startswith("From 80 to 160 films of one hospital, it changes by +0.0")
    assert found.sentence.endswith("this says nothing of another one.")
    (alone,) = learning_curve(tried(0.5, hospitals=1, films=80)).points
    assert alone.films == 80
