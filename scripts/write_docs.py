"""Writes the parts of the docs that say what the code says. Write: python scripts/write_docs.py.

A page has one such part, between the lines BEGIN and END. A new one is a line in GENERATED.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import inspect

from plainfilm.model.recipe_schema import KEYS, KINDS, Recipe, RecipeKey
from plainfilm.results.audit import Audit
from plainfilm.results.comparison import Comparison
from plainfilm.results.documents import Document
from plainfilm.results.estimate import Estimate
from plainfilm.results.exported import Exported, FileMetadata
from plainfilm.results.external import ExternalMetrics, UnlabelledMetrics
from plainfilm.results.ingested import IngestSummary
from plainfilm.results.inspection import BackboneList, Cache, Findings, KeptWeights, Serving
from plainfilm.results.manifest import Manifest
from plainfilm.results.metrics import RunMetrics
from plainfilm.results.predictions import PredictionDocument
from plainfilm.results.relabelling import Relabelled, Relabelling
from plainfilm.results.search import Search
from plainfilm.results.watched import DriftFindings

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- written by scripts/write_docs.py -->", "<!-- end of what is written -->"


def recipe_keys() -> str:
    """A table a section of a recipe, a row a key."""
    default = Recipe()
    sections = {each.name: getattr(default, each.name) for each in dataclasses.fields(Recipe) if not each.metadata}
    parts = [_section("Top of the file", "Before the first section.", "")]
    parts += [_section(f"`[{name}]`", section.__doc__, name) for name, section in sections.items()]
    return "\n\n".join(parts)


def _section(title: str, about: str, name: str) -> str:
    rows = [_row(key) for key in KEYS.values() if key.key.rpartition(".")[0] == name]
    head = ["| key, flag | type | default | range or choices | meaning |", "|---|---|---|---|---|"]
    return "\n".join([f"### {title}", "", about, "", *head, *rows])


def _row(key: RecipeKey) -> str:
    names = ", ".join(f"`{name}`" for name in (key.key, key.flag) if name)
    default = f"`{key.shown_default}`" if key.shown_default else ""
    kind = KINDS[key.kind].removeprefix("a ")
    return "| " + " | ".join([names, kind, default, key.allowed, key.meaning]) + " |"


DOCUMENTS: Mapping[str, type[Document]] = {
    "`ingest --json`": IngestSummary,
    "`metrics.json` of a run": RunMetrics,
    "`audit.json`": Audit,
    "`relabel.json`": Relabelling,
    "`relabel --apply --json`": Relabelled,
    "`metrics.json` of an external validation": ExternalMetrics,
    "`metrics.json` of radiographs without labels": UnlabelledMetrics,
    "`manifest.json` of a bundle": Manifest,
    "`predict --json`": PredictionDocument,
    "`export --json`": Exported,
    "Metadata of an exported file": FileMetadata,
    "`doctor --json`": Findings,
    "`cache --json`": Cache,
    "`weights list --json`": BackboneList,
    "`weights fetch --json` and `weights import --json`": KeptWeights,
    "`serve --json`": Serving,
    "`comparison.json`": Comparison,
    "`tuning.json`": Search,
    "`drift --json`": DriftFindings,
}
_NAMES = {
    inspect.IntType: "whole number",
    inspect.FloatType: "number",
    inspect.StrType: "text",
    inspect.CustomType: "text",
    inspect.BoolType: "true or false",
}


def result_keys() -> str:
    """A section a document, in it a table a type, a row a key; a type that stands in several documents once."""
    parts, told = [], {Estimate}
    for title, document in DOCUMENTS.items():
        parts.append(f"## {title}\n\n`format` is `{document.FORMAT}`, `version` is {document.VERSION}.")
        waiting: list[Any] = [document]
        while waiting:
            kind = waiting.pop(0)
            if kind not in told:
                told.add(kind)
                parts.append(_record(kind))
                waiting = _records_in(kind) + waiting
    return "\n\n".join(parts)


def _record(kind: Any) -> str:
    rows = [
        f"| `{each.encode_name}` | {_kind(each.type)}{', may be left out' if _may_lack(kind, each) else ''} | {_range(each.type)} | {_schema(each.type)['description']} |"
        for each in inspect.type_info(kind).fields  # type: ignore[attr-defined]
    ]
    head = ["| key | type | unit, range | meaning |", "|---|---|---|---|"]
    return "\n".join([f"### {kind.__name__}", "", kind.__doc__.splitlines()[0], "", *head, *rows])


def _may_lack(kind: Any, field: Any) -> bool:
    return not field.required and kind.__struct_config__.omit_defaults


def _records_in(kind: Any) -> list[Any]:
    fields = inspect.type_info(kind).fields  # type: ignore[attr-defined]
    inner = [each for field in fields for each in _inside(field.type)]
    return [each.cls for each in inner if isinstance(each, inspect.StructType)]


def _inside(kind: Any) -> list[Any]:
    """The types within a type, itself first."""
    parts = [getattr(kind, name) for name in ("type", "value_type", "item_type") if hasattr(kind, name)]
    parts += [*getattr(kind, "types", ())]
    return [kind, *(each for part in parts for each in _inside(part))]


def _schema(kind: Any) -> dict[str, Any]:
    """What annotations say of a type; the outer ones count."""
    if not isinstance(kind, inspect.Metadata):
        return {}
    return _schema(kind.type) | (kind.extra_json_schema or {})


def _kind(kind: Any) -> str:
    match kind:
        case inspect.Metadata(type=inner):
            told = _kind(inner)
        case inspect.UnionType(types=several):
            told = " or ".join("null" if isinstance(each, inspect.NoneType) else _kind(each) for each in several)
        case inspect.DictType(value_type=inner):
            told = f"{_kind(inner)} by name"
        case inspect.TupleType(item_types=parts):
            told = f"list of {len(parts)} numbers"
        case inspect.VarTupleType(item_type=inner):
            told = f"list of {_kind(inner)}"
        case inspect.LiteralType(values=values):
            told = " or ".join(f"`{value}`" for value in values)
        case inspect.StructType(cls=record):
            told = f"[{record.__name__}](#{record.__name__.lower()})"
        case _:
            told = _NAMES[type(kind)]
    return told


def _range(kind: Any) -> str:
    schemas = [each.extra_json_schema or {} for each in _inside(kind) if isinstance(each, inspect.Metadata)]
    found = [schema[name] for schema in schemas for name in ("unit", "range") if name in schema]
    for each in _inside(kind):
        low, high = getattr(each, "ge", None), getattr(each, "le", None)
        if low is not None:
            found.append(f"{low:,} to {high:,}" if high is not None else f"{low:,} or more")
    return "; ".join(dict.fromkeys(found))


GENERATED: Mapping[str, Callable[[], str]] = {"docs/recipes.md": recipe_keys, "docs/metrics.md": result_keys}


def written(page: str) -> str:
    """Text of a page of GENERATED, its part written anew."""
    before, _, rest = (ROOT / page).read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{GENERATED[page]()}\n\n{END}{after}"


if __name__ == "__main__":
    for page in GENERATED:
        (ROOT / page).write_text(written(page), encoding="utf-8")
