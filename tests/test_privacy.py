"""docs/privacy.md against what is written: marked names of files, sources, patients and texts, looked for in every byte."""

import csv
import re
import zipfile
from pathlib import Path

import pytest

import plainfilm
from plainfilm.data import phantom
from plainfilm.data.store import Store

DOCS = Path(__file__).parents[1] / "docs" / "privacy.md"
MARKS = {"file": "Qfilq", "source": "Qsouq", "patient": "Qpatq", "text": "Qtexq"}
QUICK = {"backbone.input_size": 96, "training.epochs": 2}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    made = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made))
        patch.setenv("COLUMNS", "200")
        yield made


def films(folder, n, seed):
    """Films whose names, sources, patients and remarks are marked, one of them no picture, one of no class that is asked for."""
    rows = []
    for k, visit in enumerate(phantom.plan(n, seed=seed, duplicates=0)):
        name = f"{visit.label}/{MARKS['file']}{k}.jpg"
        (folder / visit.label).mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(phantom.encode(phantom.render(visit)))
        rows.append((name, visit.label, f"{MARKS['patient']}{k}", f"{MARKS['source']}{k % 2}", f"{MARKS['text']} {k}"))
    (folder / visit.label / f"{MARKS['file']}-broken.jpg").write_bytes(b"\xff\xd8\xff but no picture")
    rows.append((f"{visit.label}/{MARKS['file']}-broken.jpg", visit.label, "", "", ""))
    rows.append((f"{MARKS['file']}-missing.jpg", visit.label, "", "", ""))
    with (folder / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file_name", "label", "patient_id", "source", "remark"), *rows])
    return folder


def work(folder, call, *flags):
    """Go the whole way; give what each place holds, by the names of the table in the docs."""
    films(folder / "one", 60, 1)
    films(folder / "two", 30, 2)
    said = call("ingest", folder / "one", "--out", folder / "s.h5", "--size", 96, "--workers", 1, *flags)[1]
    run = plainfilm.train(
        folder / "s.h5", folder / "run", settings=QUICK, audit=False, command=f"plainfilm train {folder.name}/s.h5"
    ).folder
    plainfilm.audit(folder / "s.h5", folder / "audit", model=run / "model.plainfilm")
    code, evaluated, err = call(
        "evaluate", run / "model.plainfilm", folder / "two", "--out", folder / "evaluated", "--workers", 1, *flags
    )
    assert code == 0, err
    predicted = call("predict", run / "model.plainfilm", folder / "two" / "COVID", "--csv", "--quiet")[1]
    return {
        "terminal of `ingest`, `evaluate`": [said.encode(), evaluated.encode()],
        "answers of `predict`": [predicted.encode()],
        "`NAME.h5`": [(folder / "s.h5").read_bytes(), repr(columns(folder / "s.h5")).encode()],
        "`NAME.h5.log`": [(folder / "s.h5.log").read_bytes()],
        "`NAME.problems.csv`, `problems.csv` of `evaluate`": read(folder, "s.problems.csv", "evaluated/problems.csv"),
        "`NAME.pseudonyms.csv`": read(folder, "*.pseudonyms.csv"),
        "`report.html` of `train`": read(run, "report.html"),
        "`predictions.csv`, `overlap.csv`": [*read(run, "predictions.csv"), *read(folder, "evaluated/predictions.csv", "evaluated/overlap.csv")],
        "`metrics.json`, `audit.json`": [*read(run, "metrics.json"), *read(folder, "audit/audit.json", "evaluated/metrics.json")],
        "`audit.html`": read(folder, "audit/audit.html"),
        "`report.html` of `evaluate`": read(folder, "evaluated/report.html"),
        "model card, `checklists.html`, `checklists.md`, `tables/`": read(run, "checklists.html", "*.md", "tables/*"),
        "`model.plainfilm`": members(run / "model.plainfilm"),
        "`history.csv`, `recipe.toml`, `requirements.lock`, `figures/`": read(run, "history.csv", "recipe.toml", "requirements.lock", "figures/*"),
    }  # fmt: skip


def read(folder, *patterns):
    return [path.read_bytes() for pattern in patterns for path in sorted(folder.glob(pattern))]


def columns(path):
    with Store(path) as store:
        return [
            store.file.tolist(),
            store.source.tolist(),
            {k: v.tolist() for k, v in store.provenance.items()},
            store.attributes,
        ]


def members(path):
    with zipfile.ZipFile(path) as archive:
        return [archive.read(name) for name in archive.namelist()]


def table():
    """Give, for each place of the docs' table, whether a kind of name stands there, and whether with --pseudonyms."""
    rows = re.findall(
        r"^\| (.+?) \| (yes|no) \| (yes|no) \| (yes|no) \| (yes|no) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {place: {"names": dict(zip(("file", "source"), own[:2], strict=True)), "pseudonyms": dict(zip(("file", "source"), own[2:], strict=True))}
            for place, *own in rows}  # fmt: skip


def told(contents, kind):
    return "yes" if any(MARKS[kind].encode() in each for each in contents) else "no"


@pytest.mark.parametrize(("mode", "flags"), [("names", ()), ("pseudonyms", ("--pseudonyms",))])
def test_names_stand_where_the_docs_say_and_nowhere_else(mode, flags, call, tmp_path, cache):
    places = work(tmp_path, call, *flags)
    expected = {place: own[mode] for place, own in table().items()}
    assert {place: {kind: told(own, kind) for kind in ("file", "source")} for place, own in places.items()} == expected
    assert all(own for place, own in places.items() if "pseudonyms" not in place)
    everywhere = [
        path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and not {"one", "two"} & set(path.parts)
    ]
    assert told([*everywhere, *places["`NAME.h5`"], *places["`model.plainfilm`"]], "patient") == "no"
    assert told([*everywhere, *places["`NAME.h5`"], *places["`model.plainfilm`"]], "text") == "no"
    kept = [path.read_bytes() for path in cache.rglob("*") if path.is_file()]
    assert kept
    assert {told(kept, kind) for kind in MARKS} == {"no"}
