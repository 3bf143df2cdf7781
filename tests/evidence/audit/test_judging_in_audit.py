import numpy as np
import pytest

from plainfilm.evidence.audit import judging, ridge
from plainfilm.evidence.audit.sample import Sample


def _sample(labels, classes):
    rows = np.arange(len(labels))
    return Sample(
        rows=rows, labels=labels, group=rows, part=ridge.folds(labels, rows), classes=tuple("ABCDEFGH"[:classes])
    )


def _told(n, classes, share, seed=0):
    """Scores of noise, and of a sign on `share` of class B."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    scores = rng.normal(size=(n, classes))
    scores[(labels == 1) & (rng.random(n) < share), 1] += 9
    return judging.tell(_sample(labels, classes), scores)[1]


@pytest.mark.parametrize("classes", [3, 5, 8])
def test_a_sign_on_one_class_speaks_for_it_alone(classes):
    found = _told(600, classes, 1.0)
    assert [name for name, own in found.items() if judging.speaks(own)] == ["B"]
    assert found["B"].surely > 0.9


@pytest.mark.parametrize(("n", "speaks"), [(2000, True), (600, True), (60, False)])
def test_a_sign_on_three_in_ten_speaks_where_there_are_enough(n, speaks):
    found = _told(n, 2, 0.3)
    assert judging.speaks(found["B"]) is speaks
    assert found["B"].told.value == pytest.approx(0.3, abs=0.1)


def test_noise_never_speaks():
    assert not any(judging.speaks(own) for seed in range(40) for own in _told(240, 2 + seed % 4, 0.0, seed).values())


def test_more_classes_ask_for_more():
    assert judging.sure(2) == judging.SURE
    assert judging.sure(5) == pytest.approx(1 - 0.005 / 5)
    assert judging.sure(2, among=3) == pytest.approx(1 - 0.005 / 3)
    assert judging.sure(5, among=3) == pytest.approx(1 - 0.005 / 15)


def test_a_patient_with_many_films_is_little_more_than_one_draw():
    labels, group = np.repeat([0, 1], 60), np.concatenate([np.arange(60), np.repeat(np.arange(60, 72), 5)])
    sample = Sample(
        rows=np.arange(120), labels=labels, group=group, part=ridge.folds(labels, group), classes=("A", "B")
    )
    assert sample.draws() == {"A": 60, "B": 12}
    scores = np.random.default_rng(0).normal(size=(120, 2)) + 0.9 * labels[:, None]
    alone = judging.tell(_sample(labels, 2), scores)[1]["B"].surely
    assert judging.tell(sample, scores)[1]["B"].surely < alone


def test_power_is_what_the_rules_see_four_times_in_five():
    labels = np.arange(600) % 2
    power = judging.power(_sample(labels, 2))
    assert power.class_ == "A"

    def seen(share):
        return np.mean([judging.speaks(_told(600, 2, share, seed)["B"]) for seed in range(60)])

    assert seen(power.told) == pytest.approx(0.8, abs=0.17)
    assert seen(power.told / 2) < 0.2


def test_fewer_images_see_less():
    small, large = (judging.power(_sample(np.arange(n) % 2, 2)) for n in (100, 1000))
    assert small.auroc > large.auroc > judging.NOTABLE
    assert small.told > large.told > judging.PART
    assert "could not have been seen" in small.sentence
