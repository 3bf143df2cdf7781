import pytest

from made_audits import CLEAN, FOUND, NOTHING
from plainfilm.results import documents
from plainfilm.results.audit import Audit


@pytest.mark.parametrize(("found", "level"), [(CLEAN, "none"), (NOTHING, "caution"), (FOUND, "warning")])
def test_the_verdict_has_its_level(found, level):
    assert found.result.level == level


def test_each_reason_has_the_level_of_its_own_verdict():
    assert [reason.level for reason in FOUND.result.reasons] == ["warning", "caution"]


@pytest.mark.parametrize("found", [FOUND, NOTHING])
def test_an_audit_comes_back_from_its_json(found):
    text = documents.encode(found.result)
    back = documents.decode(text, Audit, "audit.json")
    assert documents.encode(back) == text
    assert back.compared_with.is_model is (found is FOUND)
