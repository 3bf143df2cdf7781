import numpy as np
import pytest

from plainfilm.evidence.audit import foreign_objects, masking
from plainfilm.evidence.audit.sample import Sample
from plainfilm.model.foreign_objects import CELLS, KINDS
from plainfilm.model.lung_segmentation import SIDE, LungFields


class Finder:
    """Responds as it is told, whatever the images."""

    def __init__(self, maps):
        self.maps = maps

    def find(self, _images):
        return self.maps


@pytest.fixture
def hidden():
    masks = np.zeros((4, SIDE, SIDE), bool)
    masks[:3, 32:96, 20:50] = masks[:3, 32:96, 80:110] = True
    return masking.hide(LungFields(masks, np.array([True, True, True, False])))


def _maps():
    return np.zeros((4, len(KINDS), CELLS, CELLS), np.float32)


def _numbers(maps, hidden):
    return foreign_objects.numbers(Finder(maps), np.zeros((4, 64, 64), np.uint8), hidden)


def test_only_what_lies_within_the_lungs_counts(hidden):
    maps = _maps()
    maps[0, 1, 12, 5] = maps[1, 1, 1, 12] = 9  # within a lung; above both
    maps[3, 1, 12, 5] = 9  # where no lungs were found the common part stands for them
    numbers = _numbers(maps, hidden)
    assert numbers.dtype == np.float64
    assert numbers.any(axis=1).tolist() == [True, False, False, True]


def test_numbers_are_the_largest_their_means_and_their_count(hidden):
    maps = _maps()
    maps[0, 2, 10:12, 5] = [2.0, 1.0]
    largest, of_three, of_eight, cells = _numbers(maps, hidden)[0, 8:12]
    assert (largest, cells) == pytest.approx((2, 2), abs=1e-5)
    assert (of_three, of_eight) == pytest.approx((1, 3 / 8), abs=1e-5)


def test_objects_are_counted_by_class_and_the_surest_come_first(hidden):
    maps = _maps()
    maps[1, 0, 12, 5], maps[2, 0, 12, 5] = KINDS[0].found + 0.5, KINDS[0].found + 1
    maps[0, 0, 12, 5] = KINDS[0].found - 0.01
    numbers, each = _numbers(maps, hidden), np.arange(4)
    sample = Sample(rows=each, labels=np.array([0, 0, 1, 1]), group=each, part=each % 2, classes=("A", "B"))
    found = foreign_objects.found(sample, numbers)
    assert list(found) == [kind.name for kind in KINDS]
    assert [found["text"].by_class[name].value for name in ("A", "B")] == [0.5, 0.5]
    assert found["tube or line"].by_class["A"].value == 0
    assert found["text"].missed == KINDS[0].missed
    assert foreign_objects.surest(numbers).tolist() == [2, 1]
