import json
import math
import re
import runpy
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np
import pytest

from plainfilm.errors import DocumentError
from plainfilm.results import documents
from plainfilm.results.audit import Audit
from plainfilm.results.comparison import Comparison
from plainfilm.results.documents import Document
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.external import ExternalMetrics
from plainfilm.results.metrics import RunMetrics
from plainfilm.results.search import Search

OLD = Path(__file__).parents[1] / "written_by_0_1_0"
write_docs = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "write_docs.py"))


class Small(Document, frozen=True, kw_only=True):
    FORMAT: ClassVar[str] = "plainfilm-small"
    VERSION: ClassVar[int] = 2

    share: Estimate
    note: str | None = None


def test_a_document_names_its_format_and_version_and_comes_back():
    made = Small(share=Estimate(np.float64(0.5), 0, np.float32(1)))
    text = documents.encode(made, indent=1)
    assert json.loads(text) == {
        "format": "plainfilm-small",
        "version": 2,
        "share": {"value": 0.5, "low": 0.0, "high": 1.0},
    }
    assert text.startswith(b'{\n "format"')
    assert text.endswith(b"}\n")
    assert documents.decode(text, Small, "small.json") == made


def test_what_is_not_defined_is_null_in_json_and_not_a_number_here():
    text = documents.encode(Small(share=UNDEFINED))
    assert json.loads(text)["share"] == {"value": None, "low": None, "high": None}
    back = documents.decode(text, Small, "small.json").share
    assert not back.is_known
    assert math.isnan(back.low)


def test_a_file_name_that_is_no_unicode_and_a_number_that_is_not_finite_are_written():
    text = documents.encode(Small(share=Estimate(float("inf"), np.float64("nan"), 1), note="\udce4.png ü"))
    assert text.isascii()
    told = json.loads(text)
    assert (told["share"]["value"], told["share"]["low"], told["note"]) == (None, None, "\udce4.png ü")


def test_unknown_keys_and_older_versions_are_read():
    text = '{"version": 1, "share": {"value": 1, "low": 1, "high": 1}, "new": 3}'
    assert documents.decode(text, Small, "small.json").share.value == 1.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "none"),
        ("[]", "none"),
        (b"\xff", "none"),
        ('{"format": "plainfilm-audit"}', "'plainfilm-audit'"),
        ('{"format": "plainfilm-small", "version": 3}', "Update plainfilm"),
        ('{"share": 3}', r"\$.share"),
        ('{"share": {"value": "a", "low": 1, "high": 1}}', r"\$.share.value"),
        ('{"share": {"value": 0.5}}', "low"),
        ("{}", "share"),
    ],
)
def test_anything_else_is_one_line(text, said):
    with pytest.raises(DocumentError, match=said) as error:
        documents.decode(text, Small, "small.json")
    assert "small.json" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("run/metrics.json", RunMetrics),
        ("folds/metrics.json", RunMetrics),
        ("evaluate/metrics.json", ExternalMetrics),
        ("audit/audit.json", Audit),
        ("compare/comparison.json", Comparison),
        ("tune/tuning.json", Search),
    ],
)
def test_what_0_1_0_wrote_is_read_and_written_key_by_key(file, kind):
    text = (OLD / file).read_text(encoding="utf-8")
    again = documents.plain(documents.decode(text, kind, file))
    assert again.pop("format") == kind.FORMAT
    assert again.pop("version") == 1
    assert json.dumps(again) == json.dumps(json.loads(text)), "the same keys and values in the same order"


def records(kind):
    """A type of result and all types within it."""
    found = [each.cls for each in write_docs["_inside"](msgspec.inspect.type_info(kind)) if hasattr(each, "cls")]
    return {kind, *found, *(inner for each in write_docs["_records_in"](kind) for inner in records(each))}


@pytest.mark.parametrize("kind", write_docs["DOCUMENTS"].values(), ids=lambda kind: kind.__name__)
def test_every_key_of_a_result_is_explained_by_a_sentence(kind):
    for record in records(kind) - {Estimate}:
        assert record.__doc__.splitlines()[0].endswith(".")
        for field in msgspec.inspect.type_info(record).fields:
            meaning = write_docs["_schema"](field.type).get("description", "")
            assert re.fullmatch(r"[A-Z].*\.", meaning), f"{record.__name__}.{field.name}"
