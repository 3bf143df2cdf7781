"""Subgroups by columns that a store keeps, and whether a metric is the same in all of them."""

from types import SimpleNamespace

import numpy as np
import pytest

from plainfilm.errors import UsageError
from plainfilm.evidence import attributes
from plainfilm.evidence.evaluation import subgroups
from plainfilm.reporting.tables import subgroups as tables
from plainfilm.results import documents
from plainfilm.results.metrics import Subgroups


def store(**columns):
    return SimpleNamespace(
        provenance={name: np.array(values) for name, values in columns.items()},
        source=np.array(["here"] * 4),
        subgroups=("scanner_room", "sex"),
    )


def test_columns_that_are_asked_for_stand_beside_the_usual_kinds_as_they_were_written():
    found = attributes.traits(
        store(scanner_room=["A 1", "a  1", "unknown", "B"], sex=["m", "f", "f", ""]), np.arange(4)
    )
    assert list(found) == [*attributes.NAMES, "scanner_room"]
    assert found["scanner_room"].tolist() == ["A 1", "a 1", "", "B"]
    assert found["sex"].tolist() == ["M", "F", "F", ""]


def test_a_column_that_the_store_does_not_keep_is_refused_and_keep_is_named():
    with pytest.raises(
        UsageError, match=r"columns that the store keeps: sex, .*scanner_room.*; received ethnicity\..*keep"
    ):
        attributes.check_columns(store(scanner_room=["a"] * 4), ["scanner_room", "ethnicity"])
    attributes.check_columns(store(scanner_room=["a"] * 4), ["scanner_room", "sex", "source"])


@pytest.fixture(scope="module")
def found():
    random = np.random.default_rng(1)
    labels, room = random.integers(0, 2, 600), np.array(["old", "new", "mobile"])[random.integers(0, 3, 600)]
    skill = np.where(room == "mobile", 0.3, 3.0)
    chance = 1 / (1 + np.exp(-(skill * (labels - 0.5) + random.normal(size=600))))
    known = {"sex": np.array(["F", "M"])[random.integers(0, 2, 600)], "scanner_room": room}
    return subgroups.measure(
        known, labels, np.stack([1 - chance, chance], axis=1), classes=("A", "B"), positive="B", threshold=0.5
    )


def test_each_kind_is_tested_once_over_all_its_subgroups_and_corrected_for_all(found):
    told = {(each.kind, each.metric): each for each in found.result.interactions}
    assert set(told) == {
        (kind, metric) for kind in ("sex", "scanner_room") for metric in ("sensitivity", "specificity", "auroc")
    }
    assert told["scanner_room", "auroc"].subgroups == 3
    assert told["scanner_room", "auroc"].p_corrected < 0.001
    assert min(each.p for key, each in told.items() if key[0] == "sex") > 0.01
    assert all(each.p_corrected >= each.p for each in told.values())


def test_they_are_written_shown_and_read_again(found):
    assert set(found.result.columns["scanner_room"]) == {"old", "new", "mobile"}
    assert "scanner_room" in found.result.kinds
    plain = documents.plain(found.result)
    assert plain["columns"]["scanner_room"]["mobile"]["n"] > 100
    assert isinstance(found.result, Subgroups)
    shown = tables.show(found)
    assert [block.title for block in shown.blocks] == ["Sex", "scanner_room"]
    assert ("scanner_room", "AUROC", 3) in [each[:3] for each in shown.interactions]


def of_three(lift):
    """Answers of three classes in two rooms; in room b the last class is told worse by `lift`."""
    rng = np.random.default_rng(5)
    labels, room = rng.integers(0, 3, 600), np.array(["a", "b"] * 300)
    scores = rng.normal(size=(600, 3))
    scores[np.arange(600), labels] += np.where((room == "b") & (labels == 2), 1.5 - lift, 1.5)
    chance = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return subgroups.measure({"room": room}, labels, chance, classes=("A", "B", "C"), positive=None, threshold=0.5)


def test_of_more_classes_each_against_the_rest_is_tested_and_all_are_corrected_together():
    found = {(each.metric, each.of_class): each for each in of_three(1.2).result.interactions}
    assert set(found) == {(metric, name) for metric in ("sensitivity", "specificity", "auroc") for name in "ABC"}
    assert found["sensitivity", "C"].p_corrected < 0.01
    assert found["sensitivity", "A"].p > 0.05
    assert all(each.subgroups == 2 for each in found.values())
    assert all(each.p_corrected >= min(1, each.p) for each in found.values())
    least = min(found.values(), key=lambda each: each.p)
    assert least.p_corrected == pytest.approx(min(1, 9 * least.p))
    alike = of_three(0.0).result.interactions
    assert min(each.p_corrected for each in alike) > 0.05


def test_tests_of_several_findings_are_corrected_together():
    alone = of_three(1.2)
    both = subgroups.corrected_together({"Mass": alone, "Nodule": alone})
    least = min((each for each in both["Mass"].result.interactions), key=lambda each: each.p)
    assert least.p_corrected == pytest.approx(min(1, 18 * least.p))
    assert [each.p for each in both["Nodule"].result.interactions] == [each.p for each in alone.result.interactions]
