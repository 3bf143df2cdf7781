from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from plainfilm.evidence.outliers import detector as outliers
from plainfilm.evidence.outliers import learning
from plainfilm.evidence.outliers.detector import Turned, fit
from plainfilm.evidence.outliers.feature_space import Space
from plainfilm.evidence.outliers.learning import describe, limit, regress


def mixtures(n, width, seed=0, causes=6):
    """Rectified mixtures of hidden causes, as features of radiographs might be."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(causes, width))
    return np.maximum(rng.normal(size=(n, causes)) @ mixing + 3 + rng.normal(0, 0.5, (n, width)), 0).astype(np.float32)


@st.composite
def rows_in_folds(draw):
    """Features of some rows, a few of them dead or all but dead, their groups, and turned images of some."""
    n, width = draw(st.integers(8, 90)), draw(st.integers(80, 150))
    features = draw(st.sampled_from([1e-4, 1.0, 1e4])) * mixtures(n, width, draw(st.integers(0, 2**16)))
    features[:, : draw(st.integers(0, width // 3))] = draw(st.sampled_from([0.0, 1.0])) * features.max()
    features[draw(st.integers(0, n - 1)), draw(st.integers(0, width - 1))] *= draw(st.sampled_from([1, 0, 50]))
    group = np.random.default_rng(draw(st.integers(0, 2**16))).integers(0, draw(st.integers(5, n)), n)
    group[:5] = np.arange(5)
    chosen = np.arange(0, n, draw(st.integers(1, 4)))
    moved = features[chosen].max(axis=0) - features[chosen]
    others = chosen[:: draw(st.integers(1, 3))]
    turned = Turned(
        features={"inverted": moved, "upside down": features[others, ::-1]},
        group={"inverted": group[chosen], "upside down": group[others]},
    )
    return features.astype(np.float32), group, turned


def refitted(features, group, turned, seed):
    """Logarithms of the first two thresholds, and the third, of a fit for each fold on what it leaves."""
    codes = np.unique(group, return_inverse=True)[1]
    distance, turning = np.empty(len(features)), np.zeros(len(features))
    for out in outliers._folds(codes, seed):
        left = {name: ~np.isin(own, group[out]) for name, own in turned.group.items()}
        count = sum(map(np.count_nonzero, left.values()))
        space = describe(features[~out], seed=seed)
        distance[out] = space.log_distance(features[out])
        if count:
            views = [each[left[name]] for name, each in turned.features.items()]
            every = np.ones((1, np.count_nonzero(~out) + count), bool)
            (way_up,) = regress(features[~out], views, every, [space])
            turning[out] = -way_up.scores(space.scaled(features[out]))[:, 0]
    distant = [limit(distance, codes, share) for share in (outliers.REFUSED, outliers.UNUSUAL)]
    return [*distant, limit(turning, codes, outliers.TURNED)]


@settings(max_examples=60)
@given(rows_in_folds(), st.integers(0, 100))
def test_thresholds_are_those_of_a_fit_on_what_each_fold_leaves(data, seed):
    features, group, turned = data
    made = fit(features, group, turned=turned, seed=seed)
    found = [np.log(made.refuse_above), np.log(made.flag_above), made.turned_above]
    np.testing.assert_allclose(found, refitted(features, group, turned, seed), rtol=1e-3, atol=1e-3)


def exactly(features):
    """Describe rows by an exact decomposition in float64."""
    x = features.astype(np.float64)
    space = describe(features, seed=0)
    _, size, directions = np.linalg.svd((x - space.mean) / space.spread, full_matrices=False)
    kept = len(space.variance)
    rest = (size[kept:] ** 2).sum() / len(x) / (x.shape[1] - kept)
    variance = np.maximum(size[:kept] ** 2 / len(x), rest)
    return Space(mean=space.mean, spread=space.spread, basis=directions[:kept], variance=variance, rest=float(rest))


@pytest.mark.parametrize(("n", "width", "causes"), [(300, 120, 6), (60, 200, 6), (400, 300, 60)])
def test_distances_are_near_those_of_an_exact_decomposition(n, width, causes):
    features, new = mixtures(n, width, causes=causes), mixtures(100, width, seed=1, causes=causes)
    space = describe(features, seed=0)
    exact = exactly(features)
    np.testing.assert_allclose(space.variance[:6], exact.variance[:6], rtol=1e-3)
    assert space.rest == pytest.approx(exact.rest, rel=0.05)
    np.testing.assert_allclose(space.log_distance(new), exact.log_distance(new), atol=0.2)


def test_directions_are_orthonormal_and_those_of_an_exact_decomposition():
    features = mixtures(300, 120)
    space = describe(features, seed=0)
    exact = exactly(features)
    assert space.basis.shape == (32, 120)
    np.testing.assert_allclose(np.abs(np.sum(exact.basis[:6] * space.basis[:6], axis=1)), 1, atol=1e-2)
    np.testing.assert_allclose(space.basis @ space.basis.T, np.eye(32), atol=1e-5)


def test_rows_that_do_not_vary_have_no_direction_and_no_size():
    space = describe(np.full((40, 9), 7.5, np.float32), seed=0)
    assert not space.basis.any()
    np.testing.assert_array_equal(space.variance, np.float32(space.rest))


@pytest.mark.parametrize(("n", "m", "width"), [(300, 20, 40), (30, 6, 200), (5, 1, 3)])
def test_slopes_are_those_of_an_exact_ridge_regression(n, m, width):
    upright = mixtures(n, width)
    turns = [2 * mixtures(m, width, seed=1), mixtures(m, width, seed=2)[:, ::-1]]
    space = describe(upright, seed=0)
    (found,) = regress(upright, turns, np.ones((1, n + 2 * m), bool), [space])
    rows = np.concatenate([space.scaled(each) for each in (upright, *turns)]).astype(np.float64)
    truth = np.eye(3)[np.repeat(np.arange(3), [n, m, m])]
    weight = np.repeat([0.5 / n, 0.5 / (2 * m)], [n, 2 * m])[:, None]
    middle, share = (weight * rows).sum(axis=0), (weight * truth).sum(axis=0)
    centred = np.sqrt(weight) * (rows - middle)
    penalty = learning.PENALTY * (centred**2).sum() / len(rows) + 1e-6
    slope = np.linalg.solve(
        centred.T @ centred + penalty * np.eye(width), centred.T @ (np.sqrt(weight) * (truth - share))
    )
    np.testing.assert_allclose(found.scores(rows.astype(np.float32)), share + (rows - middle) @ slope, atol=2e-4)


def test_upright_and_turned_rows_weigh_the_same_however_many_there_are():
    upright, turned = mixtures(300, 120), mixtures(20, 120, seed=1) + 1
    space = describe(upright, seed=0)
    plain = replace(space, mean=np.zeros(120, np.float32), spread=np.ones(120, np.float32))
    (ways,) = regress(upright, [turned], np.ones((1, 320), bool), [plain])
    assert (ways.scores(upright)[:, 0].mean() + ways.scores(turned)[:, 0].mean()) / 2 == pytest.approx(0.5, abs=1e-4)


@settings(max_examples=200)
@given(
    arrays.arrays(np.int64, st.integers(6, 60), elements=st.integers(0, 12)),
    st.sampled_from([0.05, 0.1, 0.2, 0.4]),
    st.integers(0, 2**16),
)
def test_a_group_kept_out_exceeds_the_others_limit_with_no_more_than_the_share_on_average(group, share, seed):
    codes = np.unique(group, return_inverse=True)[1]
    groups = codes.max() + 1
    if groups < 4:
        return
    scores = np.round(np.random.default_rng(seed).normal(size=len(codes)), 1)  # ties, too
    beyond = []
    for out in range(groups):
        rest = codes != out
        others = np.unique(codes[rest], return_inverse=True)[1]
        beyond.append((scores[~rest] > limit(scores[rest], others, share)).mean())
    assert np.mean(beyond) <= max(share, 1 / groups) + 1e-9


def test_the_limit_is_the_usual_conformal_quantile_where_rows_stand_alone():
    scores = np.random.default_rng(0).permutation(199).astype(float)
    assert limit(scores, np.arange(199), 0.05) == 189  # the 190th of 199: (1 - 0.05) (199 + 1)


def test_too_few_rows_for_a_share_give_no_lower_limit_than_the_largest():
    scores = np.array([0.0, 0.1, 0.2, 5.0])
    assert limit(scores, np.arange(4), 0.01) >= 5
