import numpy as np
import pytest

from plainfilm.evidence.evaluation.in_time import _changed
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.results.estimate import UNDEFINED
from plainfilm.results.metrics import TimePart


def part(shares, n=200):
    classes = {
        name: wilson(np.arange(n) < share * n) if share is not None else UNDEFINED for name, share in shares.items()
    }
    return TimePart(n=n, groups=n, classes=classes, mix={})


@pytest.mark.parametrize(
    ("findings", "said"), [(1, "more than chance explains"), (14, "no more than chance may make it")]
)
def test_the_finding_that_changed_most_had_as_many_chances_as_there_are(findings, said):
    """A difference of 10 points on 200 and 200: one that was asked of by itself, or the largest of fourteen."""
    earlier = part({f"f{number}": 0.3 for number in range(findings)})
    later = part({f"f{number}": 0.4 if number == findings // 2 else 0.3 for number in range(findings)})
    told = _changed(earlier, later, are_findings=True)
    assert told.startswith(f"f{findings // 2} is 40.0 % of the later radiographs of which that is known and 30.0 %")
    assert told.endswith(f"it differs by {said}.")


def test_what_is_not_known_later_did_not_change():
    told = _changed(part({"a": 0.3, "b": 0.5}), part({"a": None, "b": 0.5}), are_findings=True)
    assert told.startswith("b is 50.0 %")
    assert "Nothing is known" in _changed(part({"a": 0.3}), part({"a": None}), are_findings=True)


def test_of_two_classes_both_change_alike():
    told = _changed(part({"a": 0.3, "b": 0.7}), part({"a": 0.4, "b": 0.6}), are_findings=False)
    assert (
        told
        == "a is 40.0 % of the later radiographs and 30.0 % of the earlier ones: it differs by more than chance explains."
    )
