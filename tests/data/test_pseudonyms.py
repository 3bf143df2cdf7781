"""Numbers for the names of files and sources, and the key to them."""

import csv
import stat
import sys

import numpy as np
import pytest
from PIL import Image

import plainfilm
from plainfilm.data.ingest import problems_path
from plainfilm.data.pseudonyms import Key, key_path, pseudonymized
from plainfilm.data.store import Store
from plainfilm.errors import Problem


def put(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40), np.uint8)).save(path)


@pytest.fixture
def films(tmp_path):
    """Two hospitals, a film under two labels, one that is no picture, and names that a spreadsheet would run."""
    for k in range(24):
        put(tmp_path / "films" / ("St Agnes", "Harbour")[k // 12] / "ab"[k % 2] / f"Quast{k}.png", k)
    put(tmp_path / "films" / "=1+1" / "b" / "Quast-formula.png", 98)
    put(tmp_path / "films" / "Harbour" / "a" / "Quast-twice.png", 99)
    put(tmp_path / "films" / "Harbour" / "b" / "Quast-other.png", 99)
    (tmp_path / "films" / "Harbour" / "b" / "Quast-broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return tmp_path / "films"


def ingest(films, **more):
    return plainfilm.ingest(
        films, films.parent / "s.h5", size=32, workers=1, overwrite=True, layout="source/class", **more
    )


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_key_tells_every_number_and_nothing_else_tells_a_name(films, tmp_path):
    named = ingest(films)
    with Store(named.path) as store:
        expected = dict(
            zip(store.sha256.tolist(), zip(store.file.tolist(), store.source.tolist(), strict=True), strict=True)
        )
    done = ingest(films, pseudonyms=True)
    key = {
        row["number"]: row["name"].removeprefix("'")
        for row in rows(tmp_path / "s.pseudonyms.csv")
        if row["kind"] != "problem"
    }
    with Store(done.path) as store:
        found = {
            sha256: (key[file], key[source])
            for sha256, file, source in zip(
                store.sha256.tolist(), store.file.tolist(), store.source.tolist(), strict=True
            )
        }
    assert found == expected
    for path in (tmp_path / "s.h5", problems_path(tmp_path / "s.h5")):
        content = path.read_bytes()
        assert not [name for name in (b"Quast", b"Agnes", b"Harbour") if name in content], path
    assert [(problem.code, problem.fatal) for problem in done.problems] == [(p.code, p.fatal) for p in named.problems]
    assert {"two-labels", "damaged"} <= {problem.code for problem in done.problems}
    sentences = {row["sentence"] for row in rows(tmp_path / "s.pseudonyms.csv") if row["kind"] == "problem"}
    assert any("the same image stands under b here and under a as" in sentence for sentence in sentences)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such permissions")
def test_the_key_is_for_its_owner_alone_and_no_formula(films, tmp_path):
    (tmp_path / "s.pseudonyms.csv").write_text("an old one, for everybody to read")
    ingest(films, pseudonyms=True)
    path = tmp_path / "s.pseudonyms.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "'=1+1" in path.read_text(encoding="utf-8")
    assert not [cell for row in csv.reader(path.open(newline="")) for cell in row if cell[:1] in {"=", "+", "-", "@"}]


def test_every_key_has_numbers_of_its_own_and_the_same_groups(films):
    stores = []
    for _ in range(2):
        with Store(ingest(films, pseudonyms=True).path) as store:
            stores.append((set(store.file.tolist()), store.group.tolist(), store.split.tolist()))
    assert not stores[0][0] & stores[1][0] or stores[0][0] != stores[1][0]
    assert stores[0][1:] == stores[1][1:]


def test_the_terminal_says_where_the_key_is_and_names_no_file_or_source(films, call):
    code, out, _ = call("ingest", films, "--out", "n.h5", "--size", 32, "--layout", "source/class", "--pseudonyms")
    assert code == 0
    assert "what they mean is in n.pseudonyms.csv" in out
    assert not [name for name in ("Quast", "Agnes", "Harbour") if name in out]


def test_sources_that_say_nothing_stay():
    key = Key()
    assert (key.source(""), key.source("unknown"), key.source("North")) == ("", "unknown", f"source {key.of}-1")
    assert key.source("North") == f"source {key.of}-1"


def test_problems_are_told_by_number_and_meaning():
    key = Key()
    number = key.file("a/Quast.png")
    one = key.problem(Problem("a/Quast.png", "leak", "Expected Quast alone."))
    assert (one.file, one.sentence) == (number, "A patient, or a duplicate, in two parts of the given split.")
    many = key.problem(Problem("Quast.csv", "not-in-table", "1,204 images not in Quast.csv, such as Quast."))
    assert many.sentence.startswith("1,204 files: an image that the table does not list")
    assert key.problem(Problem(number, "leak", "x")).file == number
    assert "Quast.csv" in {name for _, _, name, _ in key.rows()}


def test_the_key_of_a_folder_lies_beside_it(tmp_path):
    assert key_path(tmp_path / "out.v2").name == "out.v2.pseudonyms.csv"
    assert key_path(tmp_path / "s.h5").name == "s.pseudonyms.csv"


def test_a_catalog_has_no_name_left_but_those_of_classes(films):
    from plainfilm.data.catalog import Asked, read_catalog

    catalog, key = pseudonymized(read_catalog([films], Asked(layout="source/class")))
    assert {entry.file for entry in catalog.entries} == set(key.files)
    assert {entry.source for entry in catalog.entries} <= set(key.sources)
    assert {name for level in catalog.levels for name in level.names} == {"a", "b"}
    assert all(entry.path.is_file() for entry in catalog.entries)
