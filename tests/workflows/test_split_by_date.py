"""Later studies as the test set (docs/data.md): the store, the run and everything on disk know the part, never a date."""

import csv
import datetime as dt

import numpy as np
import pytest

import plainfilm
from made_dicom import instance, instance_bytes
from plainfilm.data import phantom
from plainfilm.errors import CatalogError, SplitError, UsageError

CUT = dt.date(2024, 6, 1)
SETTINGS = {"backbone.input_size": 64, "backbone.depth": 3, "training.epochs": 2}


@pytest.fixture(scope="module")
def dated(tmp_path_factory):
    """Films of 96 visits; every seventh patient comes on both sides, every tenth film has no date."""
    made = tmp_path_factory.mktemp("dated")
    phantom.write_phantoms(made / "films", n=120, seed=4, duplicates=0)
    with (made / "films" / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    patients = list(dict.fromkeys(row["patient_id"] for row in rows))
    seen = dict.fromkeys(patients, 0)
    for number, row in enumerate(rows):
        place = patients.index(row["patient_id"])
        later = place % 3 == 0 if place % 7 else seen[row["patient_id"]] % 2 == 0
        seen[row["patient_id"]] += 1
        day = CUT + dt.timedelta(days=number + 1) if later else CUT - dt.timedelta(days=number + 1)
        row["StudyDate"] = "" if number % 10 == 9 else day.isoformat()
    with (made / "films" / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made / "cache"))
        yield made, {row["file_name"]: row for row in rows}


@pytest.mark.parametrize("both_sides", ["train", "leave-out"])
def test_later_studies_of_patients_without_earlier_ones_are_the_test_set(dated, both_sides, tmp_path):
    made, rows = dated
    done = plainfilm.ingest(made / "films", tmp_path / "s.h5", size=64, test_from="2024-06", both_sides=both_sides)
    sides: dict[str, set[object]] = {}
    for row in rows.values():
        side = row["StudyDate"] >= CUT.isoformat() if row["StudyDate"] else None
        sides.setdefault(row["patient_id"], set()).add(side)
    with plainfilm.Store(tmp_path / "s.h5") as store:
        of = {
            name.rpartition("/")[2]: part for name, part in zip(store.file.tolist(), store.split.tolist(), strict=True)
        }
    for name, row in rows.items():
        own = sides[row["patient_id"]]
        expected = {"test"} if own == {True} else {"train", "validation"}
        if True in own and own != {True} and both_sides == "leave-out":
            expected = {""}
        assert of[name.rpartition("/")[2]] in expected
    found = [problem.code for problem in done.problems]
    assert found.count("no-date") == 12
    both = [row for row in rows.values() if True in (own := sides[row["patient_id"]]) and own != {True}]
    assert found.count("on-both-sides") == len(both) > 0


def test_the_report_compares_later_with_earlier_and_no_date_reaches_anything_written(dated, tmp_path, monkeypatch):
    made, _ = dated
    monkeypatch.chdir(tmp_path)
    plainfilm.ingest(made / "films", tmp_path / "s.h5", size=64, test_from="2024-06")
    run = plainfilm.train(tmp_path / "s.h5", tmp_path / "run", settings=SETTINGS, audit=False)
    found = run.result.in_time
    assert (found.later.n, found.undated) == (run.result.test.n, 12)
    assert found.on_both_sides > 0
    assert sum(found.later.classes[name].value for name in ("COVID", "NORMAL")) == pytest.approx(1)
    assert set(found.earlier.mix) >= {"sex", "age", "source"}
    own, here = run.result.splits["validation"], run.result.test
    assert found.lower["auroc"].value == pytest.approx(own.auroc.value - here.auroc.value)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "temporal validation" in page
    assert found.sentence.partition(":")[0] in page
    assert "by date: later studies are the test set" in (tmp_path / "run" / "card.md").read_text()
    written = [path for folder in (tmp_path, made / "cache") for path in folder.rglob("*") if path.is_file()]
    days = {(CUT + dt.timedelta(days=sign * number)).isoformat() for sign in (1, -1) for number in range(1, 121)}
    for path in written:
        data = path.read_bytes()
        assert not [day for day in days if day.encode() in data or day.replace("-", "").encode() in data], path


def test_dates_of_dicom_headers_do_without_a_table(tmp_path):
    for number in range(24):
        name, later = ("ill", "well")[number % 2], number % 4 < 2
        film = tmp_path / "films" / name / f"{number}.dcm"
        film.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).bytes(len(instance().PixelData))
        elements = {"StudyDate": "20250203" if later else "20231224", "PatientID": f"p{number}", "PixelData": noise}
        film.write_bytes(instance_bytes(str(number), **elements))
    plainfilm.ingest(tmp_path / "films", tmp_path / "s.h5", size=64, test_from="2025", workers=1)
    with plainfilm.Store(tmp_path / "s.h5") as store:
        tested = {int(name.rpartition("/")[2].split(".")[0]) for name in store.file[store.rows("test")].tolist()}
    assert tested == {number for number in range(24) if number % 4 < 2}
    data = (tmp_path / "s.h5").read_bytes()
    assert b"20250203" not in data
    assert b"20231224" not in data


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"test_from": "June"}, UsageError, "Expected `test_from` as a day, a month or a year; received June"),
        ({"test_from": "2024", "add": True}, UsageError, "Expected a new store for `test_from`; received add=True"),
        ({"date_column": "StudyDate"}, UsageError, "Expected `test_from` with `date_column`; received none"),
        ({"both_sides": "leave-out"}, UsageError, "Expected `test_from` with `both_sides`; received none"),
        ({"test_from": "2024", "date_column": "taken"}, CatalogError, "Expected a column taken in a table"),
        ({"test_from": "2024", "date_column": "view"}, CatalogError, "received none that can be read"),
        ({"test_from": "2031"}, SplitError, "received none of COVID. Set an earlier date."),
    ],
)
def test_what_cannot_be_split_by_date_is_one_line(asked, error, said, dated, tmp_path):
    made, _ = dated
    with pytest.raises(error) as caught:
        plainfilm.ingest(made / "films", tmp_path / "s.h5", size=64, **asked)
    assert said in str(caught.value)
    assert not (tmp_path / "s.h5").exists()
