"""Labels that the other films contradict: found among the first, whatever the shares of the classes, by patient."""

import numpy as np
import pytest

from plainfilm.evidence.relabelling import doubts


def made(seed, *, sizes=(60, 240), apart=3.0, width=20):
    """Features of films whose classes lie `apart` standard deviations from one another, and their true classes."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    middle = rng.normal(size=(len(sizes), width))
    middle *= apart / np.linalg.norm(middle, axis=1, keepdims=True)
    return (rng.normal(size=(len(truth), width)) + middle[truth]).astype(np.float32), truth, rng


def flipped(truth, rng, share=0.05):
    rows = rng.choice(len(truth), round(share * len(truth)), replace=False)
    labels, classes = truth.copy(), truth.max() + 1
    labels[rows] = (labels[rows] + rng.integers(1, classes, len(rows))) % classes
    return labels, rows


def judged(features, labels, group=None, **options):
    group = np.arange(len(labels)) if group is None else group
    asked = {"repeats": 3, "seed": 0, **options}
    return doubts.judge(features.__getitem__, labels, group, int(labels.max()) + 1, **asked)


@pytest.mark.parametrize("sizes", [(150, 150), (40, 260), (80, 100, 120)])
def test_most_flipped_labels_are_among_the_first_tenth(sizes):
    found = []
    for seed in range(3):
        features, truth, rng = made(seed, sizes=sizes)
        labels, rows = flipped(truth, rng)
        told = judged(features, labels)
        first = np.argsort(-told.doubt)[: len(labels) // 10]
        found.append(np.isin(rows, first).mean())
        assert set(rows) >= set(np.flatnonzero(told.suggested >= 0)) - set(np.argsort(-told.doubt)[: 2 * len(rows)])
    assert np.mean(found) >= 0.8


def test_what_is_suggested_is_the_true_class():
    features, truth, rng = made(0, sizes=(80, 100, 120), apart=5)
    labels, rows = flipped(truth, rng)
    told = judged(features, labels)
    caught = [row for row in rows if told.suggested[row] >= 0]
    assert len(caught) >= 0.6 * len(rows)
    assert (told.suggested[caught] == truth[caught]).mean() > 0.9
    assert np.allclose(told.probabilities.sum(axis=1), 1)
    assert ((told.doubt >= 0) & (told.doubt <= 1)).all()


def test_features_without_information_doubt_few_labels_of_a_rare_class():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [30, 270])
    told = judged(rng.normal(size=(300, 20)).astype(np.float32), labels)
    assert (told.suggested >= 0).mean() < 0.6, "the rare class is not doubted as a whole, since it is rare"


def test_films_of_a_patient_do_not_vouch_for_one_another():
    """Ten films of one patient under a wrong label: where they could be learnt from, each would confirm the others."""
    features, truth, rng = made(1, sizes=(100, 100), apart=4)
    labels, group = truth.copy(), np.arange(len(truth))
    labels[:10], group[:10] = 1, 0
    features[:10] = features[0] + 0.01 * rng.normal(size=features[:10].shape)
    assert (judged(features, labels, group).suggested[:10] == 0).all()


def test_many_films_are_judged_in_blocks(monkeypatch):
    features, truth, rng = made(2, sizes=(120, 180))
    labels, rows = flipped(truth, rng)
    monkeypatch.setattr(doubts, "BLOCK", 100)
    asked, steps = [], []
    told = doubts.judge(lambda places: (asked.append(len(places)), features[places])[1], labels, np.arange(300), 2,
                        repeats=2, advance=lambda done, every: steps.append((done, every)))  # fmt: skip
    assert max(asked) <= 110
    assert steps[-1] == (6, 6)
    assert np.isin(rows, np.argsort(-told.doubt)[:30]).mean() > 0.6


def test_one_seed_gives_one_order():
    features, truth, rng = made(3)
    labels, _ = flipped(truth, rng)
    assert (judged(features, labels).doubt == judged(features, labels).doubt).all()
    assert (judged(features, labels).doubt != judged(features, labels, seed=1).doubt).any()
