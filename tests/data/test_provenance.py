"""What becomes of the columns of tables and headers when a store is written."""

import json

import numpy as np
import pytest
from PIL import Image

import plainfilm
from plainfilm.data.provenance import as_column, kept_columns, left_out_columns, sorted_out
from plainfilm.data.store import Store
from plainfilm.errors import CatalogError, StoreError
from plainfilm.reporting import report_data

LABELS = np.arange(40) % 2
WARDS = [f"Ward {('North', 'South')[k % 2]}" for k in range(40)]


def sort(columns, keep=()):
    return sorted_out(columns, labels=LABELS, group=np.arange(40), keep=keep)


def test_a_column_that_is_left_out_is_measured_and_forgotten():
    found = sort({"ward": WARDS, "view": ["PA"] * 40})
    assert found.columns.keys() == {"view"}
    (ward,) = found.left_out
    assert (ward.column, ward.values, ward.kept, ward.n, ward.of_the_making) == ("ward", 40, 0, 40, True)
    assert ward.cramers_v.low > 0.6
    assert "North" not in repr(found)


def test_one_image_of_each_patient_is_measured_and_only_labelled_ones():
    labels = np.array([0, 0, 0, 1, 1, -1] * 20)
    found = sorted_out({"ward": ["x"] * 120}, labels=labels, group=np.repeat(np.arange(40), 3))
    assert found.left_out[0].n == 40


def test_values_that_are_left_out_of_a_column_that_is_kept_are_counted():
    found = sort({"age": ["1950-03-01"] * 4 + ["50"] * 36})
    assert found.columns["age"][4:].tolist() == [50.0] * 36
    assert np.isnan(found.columns["age"][:4]).all()
    assert [(each.values, each.kept) for each in found.left_out] == [(4, 36)]


def test_a_column_that_is_asked_for_stays_as_it_is():
    found = sort({"ward": WARDS, "age": ["97.3"] * 40}, keep=["WARD", "age"])
    assert found.columns["ward"].tolist() == WARDS
    assert found.columns["age"].tolist() == [97.3] * 40
    assert (found.left_out, found.kept) == ((), ("ward", "age"))


@pytest.mark.parametrize("name", ["Anna Quast", "Quast^Max", "born 03.05.1960", "0171-2345678"])
def test_a_name_that_may_be_a_patients_is_not_shown(name):
    assert sort({name: ["x"] * 40}).left_out[0].column == "column 1"


def test_a_store_of_before_lacks_nothing_and_a_damaged_one_is_refused():
    assert left_out_columns({}) == ()
    with pytest.raises(StoreError, match="damaged"):
        left_out_columns({"left_out_columns": '[{"column": 3}]'})
    with pytest.raises(StoreError, match="damaged"):
        kept_columns({"kept_columns": "{"})


@pytest.fixture
def films(tmp_path):
    rng, rows = np.random.default_rng(0), []
    for k in range(40):
        path = tmp_path / "films" / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 40), np.uint8)).save(path)
        rows.append(f"{'ab'[k % 2]}/{k}.png,{'ab'[k % 2]},Quast{k},Ward{k % 2},{30 + k}")
    head = "file_name,label,surname,ward,age"
    (tmp_path / "films" / "metadata.csv").write_text("\n".join([head, *rows]))
    return tmp_path / "films"


def test_the_command_says_what_it_left_out_and_how_to_keep_it(call, films, tmp_path):
    code, out, err = call("ingest", films, "--out", "s.h5", "--size", 32, "--workers", 1)
    assert (code, err.count("Columns")) == (0, 0)
    assert "Columns left out, since they may tell who somebody is: surname, ward." in out
    assert "Keep one with --keep COLUMN" in out
    code, out, _ = call(
        "ingest", films, "--out", "s.h5", "--size", 32, "--workers", 1, "--keep", "Ward", "--overwrite", "--json"
    )
    told = json.loads(out)
    assert [each["column"] for each in told["left_out_columns"]] == ["surname"]
    assert told["kept_columns"] == ["ward"]
    with Store(tmp_path / "s.h5") as store:
        assert store.provenance["ward"][0].startswith("Ward")
        assert "surname" not in store.provenance
        told = dict(report_data.facts(store))
    assert told["Columns left out of the store"] == "surname"
    assert told["Columns kept as they are, as was asked"] == "ward"
    assert b"Quast" not in (tmp_path / "s.h5").read_bytes()


def test_a_column_to_keep_that_nothing_has_is_refused_before_anything_is_read(films, tmp_path):
    with pytest.raises(CatalogError, match=r"`keep` .* received wrd\. Did you mean ward\?"):
        plainfilm.ingest(films, tmp_path / "s.h5", keep=["wrd"])
    with pytest.raises(CatalogError, match="received label"):
        plainfilm.ingest(films, tmp_path / "s.h5", keep=["label"])
    assert not (tmp_path / "s.h5").exists()


def test_with_a_store_nothing_can_be_kept(films, tmp_path, monkeypatch):
    from plainfilm.workflows.options import EvaluateOptions
    from plainfilm.workflows.reading import given_of

    assert given_of(EvaluateOptions("m", "s", "o")) == ""
    assert given_of(EvaluateOptions("m", "s", "o", keep=["x"], pseudonyms=True)) == "--keep and --pseudonyms"


def test_one_long_value_does_not_set_the_memory_of_every_row():
    values = ["y" * 1_000_000, *["short"] * 9_999]  # as wide as the longest: 40 GB
    column = as_column(values)
    assert (column.dtype.kind, column.tolist()) == ("T", values)
    found = sorted_out({"report": values}, labels=np.arange(10_000) % 2, group=np.arange(10_000))
    assert found.columns == {}
    assert found.left_out[0].values == 10_000
