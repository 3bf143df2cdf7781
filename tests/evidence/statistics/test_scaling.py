import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit, log_softmax, softmax

from plainfilm.evidence.statistics.scaling import fit_scaling

BALANCED = [0.5, 0.5]


def drawn(n, ill, *, seed=0, apart=2.0):
    """Log likelihood ratios of films of which a share is `ill`, and their labels: what a perfect balanced head answers."""
    random = np.random.default_rng(seed)
    labels = (np.arange(n) < round(ill * n)).astype(np.int64)
    score = random.normal(size=n) + apart * labels
    return (apart * (score - apart / 2))[:, None], labels


def test_slope_and_intercept_undo_a_factor_and_a_shift():
    random = np.random.default_rng(0)
    odds = random.normal(0, 2, (40_000, 1))
    labels = (random.random(40_000) < expit(odds[:, 0])).astype(np.int64)
    found = fit_scaling(3 * odds + 4, labels, positive=1)
    np.testing.assert_allclose(found.of(3 * odds + 4), odds, atol=0.25)


def test_vector_scaling_undoes_a_factor_and_a_shift_a_class():
    random = np.random.default_rng(0)
    true = random.normal(0, 2, (40_000, 3))
    labels = (true + random.gumbel(size=true.shape)).argmax(axis=1)
    given = (true - [0.5, -1.0, 0.3]) * [1.0, 2.0, 1.5]
    found = fit_scaling(given, labels, positive=0)
    np.testing.assert_allclose(softmax(found.of(given), axis=1), softmax(true, axis=1), atol=0.04)


@pytest.mark.parametrize("ill", [0.03, 0.09, 0.3, 0.5])
def test_balanced_class_weights_are_taken_out(ill):
    """At 9 % ill a temperature alone left the mean probability at 12 to 20 %."""
    logits, labels = drawn(300, ill)
    fresh, truth = drawn(100_000, ill, seed=1)
    found = fit_scaling(logits, labels, positive=1, trained_at=BALANCED, shares=[1 - ill, ill])
    assert expit(found.of(fresh)).mean() == pytest.approx(truth.mean(), rel=0.25)


def test_a_handful_of_positives_does_not_decide_alone():
    """Three positives that lie apart from all others have no best slope and intercept without a prior."""
    labels = (np.arange(100) < 3).astype(np.int64)
    logits = np.where(labels == 1, 6.0, -6.0)[:, None]
    found = fit_scaling(logits, labels, positive=1, trained_at=BALANCED, shares=[0.97, 0.03])
    assert 0.3 < found.slopes[0] < 3
    assert found.intercepts[0] == pytest.approx(np.log(3 / 97), abs=1)


def test_without_rows_only_the_class_weights_are_taken_out():
    found = fit_scaling(np.zeros((0, 1)), np.zeros(0, int), positive=1, trained_at=BALANCED, shares=[0.9, 0.1])
    assert found.slopes == pytest.approx([1.0], abs=1e-4)
    assert found.intercepts == pytest.approx([np.log(1 / 9)], abs=1e-4)


@pytest.mark.parametrize("positive", [0, 1])
def test_two_logits_and_their_difference_are_calibrated_alike(positive):
    random = np.random.default_rng(1)
    pair, labels = random.normal(0, 3, (300, 2)), random.integers(0, 2, 300)
    odds = pair[:, [positive]] - pair[:, [1 - positive]]
    shares = {"trained_at": BALANCED, "shares": [0.8, 0.2]}
    both, one = (fit_scaling(each, labels, positive=positive, **shares) for each in (pair, odds))
    scaled = both.of(pair)
    np.testing.assert_allclose(scaled[:, positive] - scaled[:, 1 - positive], one.of(odds)[:, 0], rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_where_the_likelihood_with_its_priors_is_flat(seed):
    """Another optimiser, on a loss written out here, finds nothing better."""
    random = np.random.default_rng(seed)
    logits, labels = random.normal(0, 2, (40, 3)), random.integers(0, 3, 40)
    trained, shares = np.array([0.4, 0.4, 0.2]), np.array([0.7, 0.2, 0.1])

    def loss(point):
        stretch, offsets = np.exp(point[:3]), point[3:]
        likely = log_softmax((logits - np.log(trained)) * stretch + np.log(shares) + offsets, axis=1)
        prior = point[:3].mean() ** 2 / 2 + point[:3].var() * 3 / (2 * 0.25**2) + (offsets**2).sum() / 8
        return prior - likely[np.arange(40), labels].sum()

    best = minimize(loss, np.zeros(6), method="Nelder-Mead", options={"maxiter": 20_000, "xatol": 1e-8, "fatol": 1e-12})
    found = fit_scaling(logits, labels, positive=0, trained_at=trained, shares=shares)
    assert found.slopes == pytest.approx(np.exp(best.x[:3]), abs=1e-3)
    assert found.intercepts == pytest.approx(np.log(shares) + best.x[3:] - found.slopes * np.log(trained), abs=3e-3)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_separated_rows_leave_a_finite_fit(scale):
    labels = np.repeat([0, 1], 20)
    for sign in (1, -1):
        found = fit_scaling(sign * scale * (2.0 * labels - 1)[:, None], labels, positive=1)
        assert 0 < found.slopes[0] < 100
        assert np.isfinite(log_expit(found.of(scale * (2.0 * labels - 1)[:, None]))).all()


@pytest.mark.parametrize(
    ("logits", "labels", "complaint"),
    [([[np.inf]], [0], "finite logits"), ([1.0], [0], "shape"), ([[1.0], [2.0]], [0, 2], "labels 0 to 1")],
)
def test_what_does_not_fit_is_said(logits, labels, complaint):
    with pytest.raises(ValueError, match=complaint):
        fit_scaling(logits, labels, positive=1)
