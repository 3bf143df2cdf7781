import numpy as np
import pytest
from scipy.stats import chi2_contingency

from plainfilm.evidence.statistics import homogeneity


def drawn(seed, patients, share=0.8, apart=0.0):
    """Patients of one to three rows in three subgroups, some of them in two."""
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(patients), random.integers(1, 4, patients))
    member = np.where(
        random.random(len(codes)) < 0.8, random.integers(0, 3, patients)[codes], random.integers(0, 3, len(codes))
    )
    easy = random.normal(size=patients)[codes] + random.normal(size=len(codes)) + 1.2
    return easy + apart * (member == 2) > 0, member, codes


def test_for_rows_that_stand_alone_it_is_nearly_pearsons():
    random = np.random.default_rng(0)
    member, rows = random.integers(0, 3, 3000), np.arange(3000)
    hits = random.random(3000) < 0.8 - 0.04 * member
    found, freedom, p = homogeneity.of_shares(hits, member, rows)
    table = [[((member == own) & (hits == hit)).sum() for own in range(3)] for hit in (True, False)]
    assert freedom == 2
    assert found == pytest.approx(chi2_contingency(table, correction=False)[0], rel=0.05)
    assert p < 0.05


def test_one_in_twenty_is_set_apart_by_chance_and_most_that_differ():
    chance = [homogeneity.of_shares(*drawn(seed, 150))[2] for seed in range(400)]
    assert 0.02 <= np.mean(np.array(chance) <= 0.05) <= 0.08
    differ = [homogeneity.of_shares(*drawn(seed, 300, apart=-1.0))[2] for seed in range(20)]
    assert np.mean(np.array(differ) <= 0.05) > 0.8


def test_areas_differ_where_one_subgroup_is_told_less():
    p = {}
    for apart in (0.0, 1.2):
        found = []
        for seed in range(200 if not apart else 20):
            random = np.random.default_rng(seed)
            codes = np.repeat(np.arange(200), 2)
            ill, member = (random.random(200) < 0.5)[codes], random.integers(0, 2, 200)[codes]
            scores = (1.5 - apart * (member == 1)) * ill + random.normal(size=200)[codes] + random.normal(size=400)
            found.append(homogeneity.of_areas(ill, scores, member, codes)[2])
        p[apart] = np.mean(np.array(found) <= 0.05)
    assert 0.01 <= p[0.0] <= 0.1
    assert p[1.2] > 0.8


def test_subgroups_of_few_patients_are_not_set_apart_by_chance_more_often_than_one_in_twenty():
    """Three subgroups of some 15 patients of each class: by chi square one in eleven was."""
    found = []
    for seed in range(300):
        random = np.random.default_rng(seed)
        codes = np.repeat(np.arange(100), random.integers(1, 4, 100))
        ill, member = (random.random(100) < 0.5)[codes], random.integers(0, 3, 100)[codes]
        scores = 1.2 * ill + 0.7 * random.normal(size=100)[codes] + random.normal(size=len(codes))
        found.append(homogeneity.of_areas(ill, scores, member, codes)[2])
    assert 0.02 <= np.mean(np.array(found) <= 0.05) <= 0.07


def test_what_cannot_be_told_apart_is_not_tested():
    yes, member, codes = np.ones(6, bool), np.array([0, 0, 0, 1, 1, 1]), np.arange(6)
    for found in (
        homogeneity.of_shares(yes, member, codes),
        homogeneity.of_shares(member == 0, np.zeros(6, np.int64), codes),
        homogeneity.of_areas(yes, np.arange(6.0), member, codes),
    ):
        assert found[1] == 0
        assert np.isnan(found[2])
    without = np.array([True, True, True, True, False, True])
    assert homogeneity.of_shares(without, member, codes)[1] == 1  # a subgroup without a single miss
