import numpy as np
import pytest

from plainfilm.evidence.audit import judging, ridge, within_sources
from plainfilm.evidence.audit.sample import Sample


def _judged(labels, source, numbers, classes="AB", group=None):
    rows = np.arange(len(labels))
    group = rows if group is None else group
    sample = Sample(rows=rows, labels=labels, group=group, part=ridge.folds(labels, group), classes=tuple(classes))
    return within_sources.judge(sample, numbers, np.array(source), 0)


@pytest.fixture
def hospitals():
    """Labels, sources and one number, which turns round from a hospital to the next and tells nothing in a third."""
    rng = np.random.default_rng(0)
    labels, source = np.arange(360) % 2, np.repeat(["east", "west", "south"], 120)
    sign = np.select([source == "east", source == "west"], [2.0, -2.0], 0.0)
    return labels, source, (sign * labels + rng.normal(size=360))[:, None]


def test_a_number_that_turns_round_is_seen_where_it_tells(hospitals):
    found = _judged(*hospitals)
    assert {name for name, own in found.items() if any(map(judging.speaks, own.by_class.values()))} == {"east", "west"}
    assert all(own.n == 120 for own in found.values())
    labels, _, numbers = hospitals
    rows = np.arange(len(labels))
    scores = ridge.out_of_fold(numbers, labels, ridge.folds(labels, rows), 2)
    assert ridge.area(labels, scores, rows).value < 0.6


def test_the_only_source_is_what_all_images_show(hospitals):
    labels, source, numbers = hospitals
    assert _judged(labels, np.full_like(source, "one"), numbers) == {}


def test_a_source_of_one_class_or_of_few_patients_is_left_out(hospitals):
    labels, source, numbers = hospitals
    labels = np.where(source == "south", 0, labels)
    group = np.where(source == "west", np.arange(360) % 18, np.arange(360))
    assert set(_judged(labels, source, numbers, group=group)) == {"east"}


def test_of_many_classes_those_that_a_source_has_are_told(hospitals):
    _, source, numbers = hospitals
    labels = np.where(source == "east", np.arange(360) % 2, 1 + np.arange(360) % 2)
    found = _judged(labels, source, numbers, "ABC")
    assert {name: tuple(own.by_class) for name, own in found.items()} == {
        "east": ("A", "B"),
        "south": ("B", "C"),
        "west": ("B", "C"),
    }


def test_more_sources_ask_for_more(hospitals):
    labels, source, numbers = hospitals
    every = _judged(labels, source, numbers)["east"].by_class["B"]
    two = _judged(np.where(source == "south", 0, labels), source, numbers)["east"].by_class["B"]
    assert every.auroc == two.auroc
    assert every.surely < two.surely


def test_labels_by_lot_do_not_speak():
    rng = np.random.default_rng(1)
    for _ in range(40):
        labels, source = rng.permutation(np.arange(200) % 2), np.repeat(["east", "west"], 100)
        found = _judged(labels, source, rng.normal(size=(200, 5)))
        assert not any(judging.speaks(each) for own in found.values() for each in own.by_class.values())
