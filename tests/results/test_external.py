from pathlib import Path

import msgspec
import pytest

from plainfilm.results import documents
from plainfilm.results.external import SEVERITY, VERDICTS, ExternalMetrics, Recalibration, is_external
from plainfilm.results.metrics import RunMetrics

OLD = Path(__file__).parents[1] / "written_by_0_1_0"


@pytest.mark.parametrize(
    ("file", "kind", "external"),
    [("evaluate", ExternalMetrics, True), ("run", RunMetrics, False), ("folds", RunMetrics, False)],
)
def test_an_external_validation_is_told_from_a_training_with_and_without_a_format(file, kind, external):
    text = (OLD / file / "metrics.json").read_bytes()
    assert is_external(text) is external
    assert is_external(documents.encode(documents.decode(text, kind, file))) is external


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"format": 3}', b"{}", b'{"splits": {"test": 1}}'])
def test_what_is_no_metrics_is_no_external_validation(data):
    assert not is_external(data)


def test_a_format_that_is_named_counts_more_than_the_splits():
    assert not is_external(b'{"format": "plainfilm-metrics", "splits": {"external": {}}}')


def test_what_is_not_offered_has_a_reason_alone():
    told = {"offered": False, "reason": "It is for two classes only."}
    assert documents.plain(msgspec.convert(told, Recalibration)) == told


def test_verdicts_go_from_the_best_to_the_worst():
    levels = ["none", "caution", "warning"]
    assert sorted(VERDICTS, key=lambda each: levels.index(SEVERITY[each])) == list(VERDICTS)
