"""Paired tests against published worked examples, R's mcnemar.test and pROC 1.18.0, and formulas by all pairs.

The scores are S100B, NDKA and WFNS of 113 patients with aneurysmal subarachnoid haemorrhage (Turck et al., Intensive Care
Medicine 2010), pROC's own example; 1 is a poor outcome.
"""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from plainfilm.evidence.statistics.discrimination import delong, delong_difference
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.evidence.statistics.paired import delong_test, holm, mcnemar_test

POOR = np.array(
    list(
        "00001101001011001011101000000000100110110000000001100010001010011101101111000110100000010000000000001111110001000"
    ),
    int,
)
WFNS = np.array(
    list(
        "11113254125255125225211112121134214541425511241125521251222151125214524414121421232421451154221113125225552445111"
    ),
    int,
)  # grades 1 to 5
S100B = np.array(
    """
0.13 0.14 0.1 0.04 0.13 0.1 0.47 0.16 0.18 0.1 0.12 0.1 0.44 0.71 0.04 0.08 0.49 0.04 0.07 0.33 0.09 0.09 0.07
0.11 0.07 0.17 0.07 0.11 0.13 0.19 0.05 0.16 0.41 0.14 0.34 0.35 0.48 0.09 0.96 0.25 0.5 0.46 0.16 0.07 0.43
0.45 0.11 0.08 0.09 0.86 0.52 0.08 0.06 0.13 2.07 0.1 0.14 0.15 0.07 0.06 0.77 0.05 0.09 0.3 0.03 0.09 0.04
0.23 0.7 0.09 0.27 0.71 0.08 0.26 0.08 0.16 0.09 0.13 0.1 0.08 0.11 0.33 0.11 0.28 0.07 0.1 0.32 0.22 0.07
0.05 0.24 0.38 0.1 0.15 0.08 0.14 0.1 0.07 0.04 0.19 0.56 0.14 0.58 0.32 0.82 0.74 0.15 0.47 0.17 0.44 0.15
0.5 0.48
""".split(),
    float,
)
NDKA = np.array(
    """
3.01 8.54 8.09 10.42 17.4 12.75 6 13.2 15.54 6.01 15.96 17.86 5.18 8.9 13.41 20.75 11.6 16.11 32.37 54.82
32.41 49.94 40.34 9.47 6.29 12.53 6.54 6.3 80.3 12.8 9.8 9.81 9.85 18.21 5.03 14.04 21.93 8.02 7.42 8.38 6.59
9.63 13.12 7.96 14.34 41.43 7.63 7.06 12.59 13.56 3.87 9.44 7.66 12.98 419.19 27.19 22.27 9.95 21.22 11.73
10.4 58.83 6.39 11.09 12.22 13.67 17.21 22.63 12.9 9.7 21.57 8.23 72.57 15.54 10.51 10.6 14.57 5.19 9.63 4.61
21.48 17.3 12.71 9.44 11.07 19.46 10.83 5.37 11.97 7.75 9.83 10.55 28.49 8.53 12.57 12.9 46.83 11.68 12.67
9.01 9.57 34.06 11.72 14.26 47.61 11.67 24.58 10.33 13.87 15.89 22.43 6.79 13.45
""".split(),
    float,
)


def clustered(patients, seed, *, seeds=1, apart=0.0):
    """Draw rows of patients with one to four films, of which two classifiers know equally much but for `apart`."""
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(patients), random.integers(1, 5, patients))
    labels = np.where(
        random.random(len(codes)) < 0.85, (random.random(patients) < 0.4)[codes], random.random(len(codes)) < 0.4
    )
    base = labels + random.normal(size=patients)[codes] * 0.5 + random.normal(size=len(codes)) * 0.4
    own = [
        np.stack(
            [
                base + random.normal(size=patients)[codes] * 0.5 + random.normal(size=len(codes)) * 0.5
                for _ in range(seeds)
            ]
        )
        for _ in range(2)
    ]
    return labels, own[0] + apart * labels, own[1], codes


# ---- published values


@pytest.mark.parametrize(
    ("one", "other", "z", "p", "low", "high"),
    [  # roc.test(…, method = "delong") of pROC 1.18.0
        (WFNS, S100B, 2.2089835914, 0.0271757822, 0.0104061770, 0.1742144192),
        (WFNS, NDKA, 2.7977759187, 0.0051455797, 0.0634011709, 0.3600405634),
        (NDKA, S100B, -1.3907700257, 0.1642951752, -0.2876917446, 0.0488706064),
    ],
)
def test_delongs_test_is_that_of_proc(one, other, z, p, low, high):
    found = delong_test(POOR == 1, one, other)
    assert (found.statistic, found.p) == pytest.approx((z, p), rel=1e-7)
    assert (found.difference.low, found.difference.high) == pytest.approx((low, high), rel=1e-7)


@pytest.mark.parametrize(("other", "z", "p"), [(S100B, 1.9079731846, 0.0563946822), (NDKA, 2.7869308743, 0.0053209828)])
def test_delongs_test_in_groups_is_that_of_obuchowskis_published_program(other, z, p):
    """The values are those that funcs_clusteredROC.R gives for the same rows, three in a row as one patient."""
    found = delong_test(POOR == 1, WFNS, other, group=np.arange(len(POOR)) // 3)
    assert (found.statistic, found.p) == pytest.approx((z, p), rel=1e-7)


def test_mcnemars_test_is_that_of_agrestis_example():
    """Approval of a prime minister in two surveys (Agresti, Categorical Data Analysis, section 10.1): z² = 17.36."""
    one = np.repeat([True, True, False, False], [794, 150, 86, 570])
    other = np.repeat([True, False, True, False], [794, 150, 86, 570])
    found = mcnemar_test(one, other)
    assert found.statistic == pytest.approx(17.3559, abs=5e-5)
    assert found.p == pytest.approx(3.099e-5, rel=2e-4)  # mcnemar.test(…, correct = FALSE) of R 4.2
    assert found.difference.value == pytest.approx(64 / 1600)
    assert (found.difference.low, found.difference.high) == pytest.approx((0.0213, 0.0587), abs=5e-5)  # as Agresti's


def test_mcnemars_test_in_groups_is_obuchowskis_by_hand():
    """Six patients of Obuchowski's thyroid example have (-2, -1, 0, 0, -1, 0) glands for SPECT: 5/6 · 4² / 6."""
    sizes, apart = (3, 3, 3, 1, 3, 4), (2, 1, 0, 0, 1, 0)
    group = np.repeat(np.arange(6), sizes)
    other = np.ones(len(group), bool)
    one = np.concatenate([np.arange(size) >= misses for size, misses in zip(sizes, apart, strict=True)])
    found = mcnemar_test(one, other, group=group)
    assert found.statistic == pytest.approx(5 / 6 * 16 / 6)
    assert found.p == pytest.approx(2 * 0.5**3)  # three patients, all for SPECT: counted exactly


def test_holm_is_rs():
    assert holm([0.01, 0.04, 0.03, 0.005, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.5])  # p.adjust(…, "holm")
    assert holm([]) == []
    found = holm([0.02, float("nan"), 0.03])
    assert [found[0], found[2]] == pytest.approx([0.04, 0.04])
    assert np.isnan(found[1])


# ---- what they are of


def test_the_difference_is_that_of_the_areas_and_turns_with_the_order():
    labels, one, other, codes = clustered(60, 1)
    found, turned = delong_test(labels, one, other, group=codes), delong_test(labels, other, one, group=codes)
    assert found.difference.value == pytest.approx(
        delong(labels, one[0], group=codes).value - delong(labels, other[0], group=codes).value
    )
    assert found.difference.value == pytest.approx(delong_difference(labels, one[0], other[0], codes).value)
    assert (turned.statistic, turned.p) == pytest.approx((-found.statistic, found.p))
    assert np.isnan(found.p_seeds)


def test_patients_of_several_films_widen_it():
    labels, one, other, _ = clustered(60, 2)
    right = [(scores > 0.5) == labels for scores in (one, other)]
    repeated = [np.repeat(each, 4) for each in (labels, one[0], other[0], np.arange(len(labels)))]
    alone = delong_test(labels, one, other)
    assert delong_test(*repeated[:3], group=repeated[3]).p == pytest.approx(alone.p, rel=0.05)
    assert delong_test(*repeated[:3]).p < alone.p
    assert mcnemar_test(*(np.repeat(each, 4, axis=1) for each in right), group=repeated[3]).p == pytest.approx(
        mcnemar_test(*right).p, rel=0.05
    )


def test_several_classes_have_the_mean_of_their_areas():
    random = np.random.default_rng(4)
    labels = random.integers(0, 3, 150)
    truth = np.stack([labels == c for c in range(3)])
    one, other = (truth + random.normal(size=(3, 150)) * noise for noise in (0.8, 1.0))
    found = delong_test(truth, one, other)
    areas = [[delong(own, score).value for own, score in zip(truth, scores, strict=True)] for scores in (one, other)]
    assert found.difference.value == pytest.approx(np.mean(areas[0]) - np.mean(areas[1]))
    assert found.p == pytest.approx(2 * norm.sf(abs(found.statistic)))


# ---- seeds


def test_seeds_that_scatter_take_a_difference_away_and_others_leave_it():
    labels, one, _, codes = clustered(400, 3)
    steady = np.repeat(one, 3, axis=0)
    worse = steady - 0.25 * labels
    alike = delong_test(labels, steady, worse, group=codes)
    assert alike.p < 0.001
    assert alike.p_seeds == pytest.approx(alike.p)
    scattered = steady - np.array([0.75, 0.0, 0.0])[:, None] * labels
    found = delong_test(labels, steady, scattered, group=codes)
    assert found.p < 0.001
    assert found.p_seeds > 0.2
    right = [(scores > 0.8) == labels for scores in (steady, scattered)]
    told = mcnemar_test(*right, group=codes)
    assert told.p < 0.05 < told.p_seeds


def test_what_patients_explain_of_the_scatter_of_seeds_is_not_counted_twice():
    """Seeds that differ by noise on rows alone: half the time they scatter by less than patients explain, and cost nothing."""
    drawn = [clustered(200, seed, seeds=4) for seed in range(30)]
    found = [delong_test(labels, one, other, group=codes) for labels, one, other, codes in drawn]
    assert all(each.p_seeds >= each.p for each in found)
    assert 4 <= sum(each.p_seeds == each.p for each in found) <= 20  # of both recipes, one in four


# ---- edges


def test_equal_answers_do_not_differ():
    labels, one, _, codes = clustered(30, 6)
    found = delong_test(labels, one, 2 * one + 1, group=codes)
    assert (found.difference.value, found.statistic, found.p) == (0, 0, 1)
    right = (one > 0.5) == labels
    assert mcnemar_test(right, right, group=codes).p == 1
    assert mcnemar_test(np.repeat(right, 2, axis=0), np.repeat(right, 3, axis=0), group=codes).p_seeds == 1


def test_few_patients_of_many_films_are_tested_by_the_difference_that_they_make():
    """One patient of nine films against eight of one: the sign test would find the worse one better (p = 0.039)."""
    one = np.array([True] * 9 + [False] * 8)
    found = mcnemar_test(one, ~one, group=[0] * 9 + list(range(1, 9)))
    assert found.difference.value == pytest.approx(1 / 17)
    assert found.p == 1  # 9 - 8 = 1 is the least that these differences can make


@pytest.mark.parametrize(("answers", "patients"), [(20, 20), (5, 1)])
def test_patients_who_all_differ_alike_leave_an_interval_of_some_width(answers, patients):
    """All right against all wrong; and one patient alone, of whose kind nobody knows another."""
    right, wrong = np.ones(answers, bool), np.zeros(answers, bool)
    found = mcnemar_test(right, wrong, group=np.arange(answers) % patients).difference
    assert found.value == found.high == 1
    wilson_low = 1 / (1 + 1.959964**2 / patients)
    assert found.low == pytest.approx(2 * wilson_low - 1)
    alone = mcnemar_test(np.arange(5) < 3, np.arange(5) < 4, group=np.zeros(5)).difference
    assert alone.low < -0.8 < alone.value < 0.6 < alone.high


def test_few_patients_of_one_film_have_the_exact_binomial_p():
    one, other = np.arange(12) < 9, np.arange(12) >= 4  # 4 against 3
    assert mcnemar_test(one, other).p == pytest.approx(binomtest(4, 7).pvalue)
    one, other = np.arange(12) >= 0, np.arange(12) >= 8
    assert mcnemar_test(one, other).p == pytest.approx(binomtest(8, 8).pvalue)


def test_perfect_answers_to_a_few_may_yet_differ():
    labels, random = np.arange(20) < 10, np.random.default_rng(0)
    found = delong_test(labels, labels + random.random(20) / 2, labels + random.random(20) / 2)
    assert (found.difference.value, found.p) == (0, 1)
    assert found.difference.low == -found.difference.high < -0.19
    assert delong_test(labels, labels, labels).difference.high == pytest.approx(found.difference.high)
    right = np.ones(20, bool)
    assert mcnemar_test(right, right).difference.high == pytest.approx(wilson(~right).high)
    few = mcnemar_test(right, right, group=np.arange(20) // 4).difference
    assert few.high == pytest.approx(wilson(~right[:5]).high)


def test_what_cannot_be_tested_is_said_to_be_so():
    for found in (
        delong_test([True, True], [0.1, 0.2], [0.3, 0.1]),  # one class
        delong_test([True, False], [0.9, 0.1], [0.1, 0.9], group=[0, 0]),  # one patient
        mcnemar_test([], []),
    ):
        assert np.isnan(found.p)
        assert np.isnan(found.statistic)
        assert not found.difference.is_known


@pytest.mark.parametrize(
    "call",
    [
        lambda: delong_test([True, False], [0.1], [0.2, 0.3]),
        lambda: delong_test([True, False], [0.1, np.nan], [0.2, 0.3]),
        lambda: delong_test([True, False], [0.1, 0.2], [0.2, 0.3], level=1.0),
        lambda: mcnemar_test([True, False], [True]),
    ],
)
def test_what_does_not_fit_together_is_refused(call):
    with pytest.raises(ValueError, match="Expected"):
        call()
