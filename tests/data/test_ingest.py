"""Ingest: every file is in the store or in the table of problems, no patient is named, and a kill loses nothing."""

import csv
import errno
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import plainfilm
from made_files import dataset, dicom_bytes, endless_jpeg
from plainfilm.data import decoder_pool, duplicates, images
from plainfilm.data import ingest as ingest_module
from plainfilm.data.catalog import Catalog, Entry, read_catalog
from plainfilm.data.ingest import Ingested, fill_store, problems_path
from plainfilm.data.phantom import write_phantoms
from plainfilm.data.places.place import Folder
from plainfilm.data.store import Store
from plainfilm.errors import CatalogError, PlainfilmError, SplitError, StoreError

COLUMNS = ("labels", "split", "source", "file", "sha256", "group")


def film(seed: int, side: int = 64) -> Image.Image:
    """Random shadows and texture: no two seeds look alike, and none is a duplicate of another."""
    rng = np.random.default_rng(seed)
    pixels = np.full((side, side), 128.0)
    for grain, weight in ((4, 60), (8, 40), (16, 25), (32, 15)):
        noise = Image.fromarray(rng.normal(size=(grain, grain)).astype(np.float32))
        pixels += weight * np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def png(seed: int) -> bytes:
    stream = io.BytesIO()
    film(seed).save(stream, "PNG")
    return stream.getvalue()


def jpeg(seed: int, *, side: int = 48, quality: int = 80) -> bytes:
    """The same film, smaller and recompressed."""
    stream = io.BytesIO()
    film(seed).resize((side, side), Image.Resampling.LANCZOS).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def put(root: Path, **files: bytes | int) -> Path:
    """Write files `A/1.png`, given as `A__1=…`: bytes, or the seed of a film."""
    for name, content in files.items():
        path = root / (name.replace("__", "/") + ".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(content) if isinstance(content, int) else content)
    return root


def made(root: Path, n: int = 12, classes: Sequence[str] = ("COVID", "NORMAL")) -> Path:
    """A folder with `n` films of each class."""
    for number, name in enumerate(classes):
        put(root, **{f"{name}__{k:03d}": 1000 * number + k for k in range(n)})
    return root


def table(root: Path, rows: Sequence[dict[str, object]]) -> None:
    with (root / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def ingest(root: Path, out: Path, **options: object) -> Ingested:
    return plainfilm.ingest(root, out, **{"size": 32, "workers": 1, "overwrite": True, **options})


def problems(out: Path) -> list[dict[str, str]]:
    with problems_path(out).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def parts_of_groups(opened: Store) -> list[set[str]]:
    return [set(opened.split[opened.group == group].tolist()) for group in np.unique(opened.group)]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("source"))


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "stores" / "m.h5"


# What a store holds


def test_every_file_stands_in_the_store_as_the_decoder_reads_it(source, out):
    done = ingest(source, out)
    assert (done.path, done.images, done.classes, done.conflicts) == (out, 24, ("COVID", "NORMAL"), 0)
    assert {name: sum(parts.values()) for name, parts in done.counts.items()} == {"COVID": 12, "NORMAL": 12}
    with Store(out) as opened:
        assert set(opened.file.tolist()) == {f"{name}/{k:03d}.png" for name in done.classes for k in range(12)}
        for row, file in enumerate(opened.file.tolist()):
            expected = images.read(source / file, size=32)
            np.testing.assert_array_equal(opened.images([row])[0], expected.pixels)
            assert opened.sha256[row] == expected.sha256
            assert opened.classes[opened.labels[row]] == file.split("/")[0]
        for part in ("train", "validation", "test"):
            assert set(opened.labels[opened.rows(part)].tolist()) == {0, 1}
        assert opened.attributes["fit"] == "stretch"
        assert opened.attributes["seed"] == 0
        assert opened.attributes["tool"] == "plainfilm"
    assert names(out.parent) == {"m.h5", "m.problems.csv"}


def test_phantoms_keep_their_patients_and_sources(tmp_path, out):
    root = write_phantoms(tmp_path / "phantoms", n=36, duplicates=4, seed=2)
    done = ingest(root, out)
    assert done.images == 36
    assert (done.exact, done.near, done.conflicts) == (2, 2, 0)
    with (root / "metadata.csv").open(newline="") as file:
        truth = {row["file_name"]: row for row in csv.DictReader(file)}
    with Store(out) as opened:
        pseudonyms: dict[str, set[str]] = {}
        for file, patient, place in zip(opened.file, opened.patient, opened.source, strict=True):
            pseudonyms.setdefault(truth[file]["patient_id"], set()).add(patient)
            assert place == truth[file]["source"]
        assert all(len(found) == 1 for found in pseudonyms.values())
        assert len(set.union(*pseudonyms.values())) == len(pseudonyms)
        assert all(len(found) == 1 for found in parts_of_groups(opened))
        for patient in set(opened.patient):
            assert len(set(opened.group[opened.patient == patient])) == 1


def test_unlabelled_images_are_kept_without_class_and_part(tmp_path, out):
    root = made(tmp_path / "source")
    put(root, other__1=77, other__2=78)
    rows = [{"file_name": str(p.relative_to(root)), "label": p.parent.name} for p in sorted(root.rglob("*.png"))]
    table(root, [row | {"label": row["label"].replace("other", "")} for row in rows])
    done = ingest(root, out)
    assert done.images == 26
    with Store(out) as opened:
        without = opened.labels == -1
        assert sorted(opened.file[without]) == ["other/1.png", "other/2.png"]
        assert set(opened.split[without]) == {""}
        assert "" not in set(opened.split[~without])
    assert [(row["reason"], row["left_out"]) for row in problems(out)] == [("unlabelled", "no")]


def test_provenance_is_numbers_where_all_are_numbers_and_text_elsewhere(tmp_path, out):
    root = made(tmp_path / "source", n=4)
    ages = ["61", "", "7.5", "40", "41", "42", "43", "44"]
    rows = [
        {"file_name": str(path.relative_to(root)), "label": path.parent.name, "age": ages[k], "view": "PA" if k else ""}
        | {"room": f"{k}_1", "dose": "inf" if k else "2", "remark": "5" if k else "five"}
        for k, path in enumerate(sorted(root.rglob("*.png")))
    ]
    table(root, rows)
    ingest(root, out, keep=["room", "dose", "remark"])
    with Store(out) as opened:
        row = {file: number for number, file in enumerate(opened.file.tolist())}
        first, second = row[rows[0]["file_name"]], row[rows[1]["file_name"]]
        told = opened.provenance
        assert {name: told[name].dtype.kind for name in ("age", "width", "height", "bits")} == dict.fromkeys(
            ("age", "width", "height", "bits"), "f"
        )
        assert told["age"][first] == 61
        assert np.isnan(told["age"][second])
        assert told["width"][first] == 64
        assert {name: told[name].dtype.kind for name in ("view", "format", "room", "dose", "remark")} == dict.fromkeys(
            ("view", "format", "room", "dose", "remark"), "U"
        )
        assert (told["view"][first], told["view"][second]) == ("", "PA")
        assert (told["room"][first], told["remark"][first], told["format"][first]) == ("0_1", "five", "PNG")


def test_a_value_stands_in_the_row_of_its_file_whatever_the_others_have(tmp_path, out):
    root = put(made(tmp_path / "source", n=5), NORMAL__copy=3)  # COVID/003 under another label: both are left out
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*.png"))
    left_out = {"COVID/003.png", "NORMAL/copy.png"}
    rows = [
        {
            "file_name": file,
            "label": file[:5],
            "room": "" if k % 3 else f"r{k}",
            "lost": "x" if file in left_out else "",
        }
        for k, file in enumerate(files)
    ]
    table(root, rows)
    assert ingest(root, out, keep=["Room"]).conflicts == 2
    with Store(out) as opened:
        expected = {row["file_name"]: row["room"] for row in rows if row["file_name"] not in left_out}
        found = zip(opened.file.tolist(), opened.provenance["room"].tolist(), strict=True)
        assert dict(found) == expected
        assert "lost" not in opened.provenance


def test_columns_with_names_that_hdf5_cannot_hold_are_kept_under_others(tmp_path, out):
    root = made(tmp_path / "source", n=4)
    with (root / "metadata.jsonl").open("w", encoding="utf-8") as file:
        for path in sorted(root.rglob("*.png")):
            row = {"file_name": str(path.relative_to(root)), "label": path.parent.name, "kV/mA": 5, ".": "dot"}
            file.write(json.dumps(row | {"a\0b": "zero", "bad \ud800": "half \udc80 \0 character"}) + "\n")
    ingest(root, out, keep=["kV/mA", ".", "a b", "bad"])
    with Store(out) as opened:
        assert opened.provenance["kV_mA"].tolist() == [5.0] * 8
        assert opened.provenance["_"].tolist() == ["dot"] * 8
        assert opened.provenance["a_b"].tolist() == ["zero"] * 8
        assert opened.provenance["bad _"].tolist() == ["half \\udc80  character"] * 8


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
def test_files_whose_names_are_no_unicode_are_read_and_reported(tmp_path, out):
    root = made(tmp_path / "source", n=4)
    odd = os.fsencode(root) + b"/COVID/r\xe9mi"
    Path(os.fsdecode(odd + b".png")).write_bytes(png(50))
    Path(os.fsdecode(odd + b"-broken.png")).write_bytes(b"\x89PNG\r\n\x1a\n broken")
    ingest(root, out)
    with Store(out) as opened:
        assert "COVID/r\\xe9mi.png" in opened.file.tolist()
    assert [row["file"] for row in problems(out)] == ["COVID/r\\xe9mi-broken.png"]


# Problems


def test_each_file_that_cannot_be_read_stands_in_the_table_of_problems(tmp_path, out):
    root = made(tmp_path / "source", n=5)
    broken = {
        "COVID/empty.png": (b"", "empty"),
        "COVID/short.png": (png(3)[:300], "truncated"),
        "NORMAL/page.png": (b"<!doctype html><html><body>404</body></html>", "web-page"),
        "NORMAL/text, with comma.png": (b"no image at all", "unknown-format"),
    }
    for name, (content, _) in broken.items():
        (root / name).write_bytes(content)
    for name in ("Thumbs.db", "notes.docx", "more.docx"):
        (root / name).write_bytes(b"PK")
    done = ingest(root, out)
    assert done.images == 10
    (*rows, others) = sorted(problems(out), key=lambda row: row["reason"] == "not-an-image")
    assert others["sentence"].startswith("3 files passed over")
    assert {row["file"]: row["reason"] for row in rows} == {name: code for name, (_, code) in broken.items()}
    assert all(row["left_out"] == "yes" and row["sentence"].startswith("Expected") for row in rows)
    assert all("\n" not in row["sentence"] for row in rows)
    assert {problem.file for problem in done.problems} == {*broken, others["file"]}
    with Store(out) as opened:
        assert not set(broken) & set(opened.file.tolist())
        assert opened.attributes["left_out"] == 4 + 3
        summary = json.loads(opened.attributes["problems"])
        assert summary["not-an-image"]["count"] == 3
        assert summary["empty"] == {"count": 1, "sentence": summary["empty"]["sentence"], "files": ["COVID/empty.png"]}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_that_takes_minutes_is_a_problem_after_the_limit(tmp_path, out, monkeypatch, workers):
    monkeypatch.setattr(decoder_pool, "read_many", partial(decoder_pool.read_many, seconds=2.0))
    root = put(made(tmp_path / "source", n=5), COVID__endless=endless_jpeg())
    assert ingest(root, out, workers=workers).images == 10
    assert [(row["file"], row["reason"], row["left_out"]) for row in problems(out)] == [("COVID/endless.png", "too-slow", "yes")]  # fmt: skip


def test_a_store_without_problems_has_an_empty_table(source, out):
    ingest(source, out)
    assert problems_path(out).read_text().split() == ["file,reason,sentence,left_out"]


def test_on_bad_fail_ends_with_the_file_and_its_reason_and_keeps_the_old_store(tmp_path, source, out):
    ingest(source, out)
    before = {path.name: path.read_bytes() for path in out.parent.iterdir()}
    root = put(made(tmp_path / "bad", n=4), COVID__broken=b"nothing")
    with pytest.raises(CatalogError, match=r"^COVID/broken\.png \(unknown-format\): .* Use on_bad=.skip. [^\n]*$"):
        ingest(root, out, on_bad="fail")
    assert {path.name: path.read_bytes() for path in out.parent.iterdir()} == before


@pytest.mark.parametrize("copy", [png(3), jpeg(3)], ids=["exact", "recompressed"])
def test_an_image_under_two_labels_is_reported_and_left_out(tmp_path, out, copy):
    root = put(made(tmp_path / "source"), NORMAL__copy=copy)
    done = ingest(root, out)
    assert (done.images, done.conflicts) == (23, 2)
    rows = {row["file"]: row for row in problems(out)}
    assert set(rows) == {"COVID/003.png", "NORMAL/copy.png"}
    assert {(row["reason"], row["left_out"]) for row in rows.values()} == {("two-labels", "yes")}
    assert "under COVID here and under NORMAL as NORMAL/copy.png" in rows["COVID/003.png"]["sentence"]
    assert "under NORMAL here and under COVID as COVID/003.png" in rows["NORMAL/copy.png"]["sentence"]
    with Store(out) as opened:
        assert len(opened) == 23
        assert not set(rows) & set(opened.file.tolist())
        for row, file in enumerate(opened.file.tolist()):
            np.testing.assert_array_equal(opened.images([row])[0], images.read(root / file, size=32).pixels)


def test_every_copy_of_an_image_under_two_labels_is_reported(tmp_path, out):
    # Six copies are found as five pairs with one of them; each is left out, so each must be named.
    copies = {f"{name}__copy{k}": png(3) for k, name in enumerate(["COVID"] * 4 + ["NORMAL"])}
    root = put(made(tmp_path / "source"), **copies)
    for seed in range(3):
        done = ingest(root, out, seed=seed)
        assert (done.images, done.conflicts) == (23, 6)
        expected = {"COVID/003.png", *(f"{name.replace('__', '/')}.png" for name in copies)}
        assert {row["file"] for row in problems(out)} == expected


def test_copies_share_a_group_and_a_part(tmp_path, out):
    copies = {f"COVID__{kind}{k}": content for k in range(12) for kind, content in (("e", png(k)), ("n", jpeg(k)))}
    root = put(made(tmp_path / "source"), **copies)
    done = ingest(root, out)
    assert (done.images, done.exact, done.near) == (48, 12, 12)
    with Store(out) as opened:
        group = dict(zip(opened.file.tolist(), opened.group.tolist(), strict=True))
        for k in range(12):
            assert len({group[f"COVID/{name}.png"] for name in (f"{k:03d}", f"e{k}", f"n{k}")}) == 1
        assert len(set(group.values())) == 24
        assert all(len(found) == 1 for found in parts_of_groups(opened))


# Patients

SECRETS = ("DOE-4711", "Jane", "19480131", "MRN-0815")


def assert_no_secret_in(folder: Path) -> None:
    for path in folder.iterdir():
        content = path.read_bytes()
        for secret in SECRETS:
            assert secret.encode() not in content, (path.name, secret)


def test_no_name_or_number_of_a_patient_stands_in_any_file(tmp_path, out):
    root = made(tmp_path / "source", n=6)
    rows = [
        {"file_name": str(path.relative_to(root)), "label": path.parent.name, "patient_id": f"DOE-4711-{k // 2}"}
        | {"Patient": f"DOE-4711-{k // 2}", "subject": f"MRN-0815-{k // 2}", "MRN": f"MRN-0815-{k // 2}"}
        | {"Patient Name": "Jane", "Birth-Date": "19480131", "device": "X1"}
        for k, path in enumerate(sorted(root.rglob("*.png")))
    ]
    table(root, rows)
    ingest(root, out)
    assert_no_secret_in(out.parent)
    with Store(out) as opened:
        assert len(set(opened.patient)) == 6
        assert opened.provenance["device"].tolist() == ["X1"] * 12


def test_no_name_or_number_of_a_dicom_patient_stands_in_any_file(tmp_path, out):
    root = tmp_path / "source"
    for k in range(12):
        header = dataset(
            np.asarray(film(k)).astype(np.uint16) * 16,
            PatientID=f"DOE-4711-{k // 2}",
            PatientName="Doe^Jane",
            PatientBirthDate="19480131",
            OtherPatientIDs="MRN-0815",
            PatientSex="F",
            PatientAge="077Y",
        )
        path = root / ("COVID" if k < 6 else "NORMAL") / f"{k}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dicom_bytes(header))
    ingest(root, out)
    assert_no_secret_in(out.parent)
    with Store(out) as opened:
        assert len(set(opened.patient)) == 6
        assert opened.provenance["age"].tolist() == [77.0] * 12
        assert opened.provenance["sex"].tolist() == ["F"] * 12
        by_file = dict(zip(opened.file.tolist(), opened.group.tolist(), strict=True))
        assert by_file["COVID/0.dcm"] == by_file["COVID/1.dcm"] != by_file["COVID/2.dcm"]


def test_pseudonyms_are_salted_and_one_number_in_two_hospitals_is_one_patient_unless_asked(tmp_path, out):
    root = made(tmp_path / "source", n=6)
    table(
        root,
        [
            {"file_name": str(path.relative_to(root)), "label": path.parent.name, "patient_id": k // 2, "source": k % 2}
            for k, path in enumerate(sorted(root.rglob("*.png")))
        ],
    )
    ingest(root, out)
    ingest(root, out.with_name("again.h5"))
    ingest(root, out.with_name("apart.h5"), separate_sources=True)
    with Store(out) as opened, Store(out.with_name("again.h5")) as again, Store(out.with_name("apart.h5")) as apart:
        assert (len(set(opened.patient)), opened.attributes["patients"]) == (6, "over all sources")
        assert (len(set(apart.patient)), apart.attributes["patients"]) == (12, "apart by source")
        assert not set(opened.patient) & set(again.patient)
        assert (opened.group == again.group).all()


# Order and split


def test_the_same_seed_gives_the_same_store_and_another_seed_another_order(source, out):
    stores = []
    for name, seed in (("a.h5", 1), ("b.h5", 1), ("c.h5", 2)):
        ingest(source, out.with_name(name), seed=seed)
        stores.append(Store(out.with_name(name)))
    one, again, other = stores
    assert one.fingerprint == again.fingerprint
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert one.file.tolist() != other.file.tolist()
    assert sorted(one.file.tolist()) == sorted(other.file.tolist())
    part = [dict(zip(opened.file.tolist(), opened.split.tolist(), strict=True)) for opened in (one, other)]
    assert part[0] != part[1]
    assert one.file.tolist() != sorted(one.file.tolist())
    for opened in stores:
        opened.close()


def test_a_given_split_is_kept_and_its_leakage_reported(tmp_path, out):
    root = tmp_path / "source"
    for part, start in (("train", 0), ("val", 100), ("test", 200)):
        for k, name in enumerate(("COVID", "NORMAL")):
            put(root, **{f"{part}__{name}__{n}": start + 10 * k + n for n in range(6)})
    put(root, test__COVID__copy=png(2), val__NORMAL__copy=jpeg(13))
    done = ingest(root, out)
    assert done.leakage is not None
    assert (done.leakage.groups, done.leakage.images) == (2, 4)
    with Store(out) as opened:
        for file, part in zip(opened.file.tolist(), opened.split.tolist(), strict=True):
            assert part == {"train": "train", "val": "validation", "test": "test"}[file.split("/")[0]]
        assert opened.attributes["leaking_images"] == 4


def test_leaking_files_stand_in_the_table_and_a_new_split_mends_them(tmp_path, out):
    root = tmp_path / "source"
    for part, start in (("train", 0), ("val", 100), ("test", 200)):
        for k, name in enumerate(("COVID", "NORMAL")):
            put(root, **{f"{part}__{name}__{n}": start + 10 * k + n for n in range(6)})
    put(root, test__COVID__copy=png(2))
    ingest(root, out)
    told = {row["file"] for row in problems(out) if (row["reason"], row["left_out"]) == ("leak", "no")}
    assert told == {"train/COVID/2.png", "test/COVID/copy.png"}
    assert ingest(root, out, resplit=True).leakage is None
    assert problems(out) == []
    with Store(out) as opened:
        assert all(len(parts) == 1 for parts in parts_of_groups(opened))


@pytest.mark.parametrize("name", ["film.png", "notes.txt", "m"])
def test_another_kind_of_file_is_never_replaced_by_a_store(tmp_path, source, name):
    other = tmp_path / name
    other.write_bytes(b"mine")
    with pytest.raises(PlainfilmError, match=r"ends in \.h5"):
        ingest(source, other)
    assert other.read_bytes() == b"mine"
    (tmp_path / "really.h5").write_bytes(b"mine")
    with pytest.raises(PlainfilmError, match="another kind of file"):
        ingest(source, tmp_path / "really.h5")
    assert (tmp_path / "really.h5").read_bytes() == b"mine"


def test_the_sources_are_told(tmp_path, source, out):
    assert len(ingest(source, out).sources) == 1
    put(source.parent / "other", COVID__a=901, NORMAL__a=902)
    two = plainfilm.ingest([source, source.parent / "other"], out, size=32, workers=1, overwrite=True)
    assert len(two.sources) == 2


def test_a_given_split_without_validation_gets_one_from_train(tmp_path, out):
    root = tmp_path / "source"
    for part, start, n in (("train", 0, 14), ("test", 100, 4)):
        for k, name in enumerate(("COVID", "NORMAL")):
            put(root, **{f"{part}__{name}__{number}": start + 50 * k + number for number in range(n)})
    done = ingest(root, out)
    assert done.leakage is not None
    assert done.leakage.images == 0
    assert done.counts["COVID"] == {"train": 12, "validation": 2, "test": 4}
    with Store(out) as opened:
        assert all(file.startswith("test/") for file in opened.file[opened.rows("test")])
        assert all(file.startswith("train/") for file in opened.file[opened.rows("validation")])


# Input that cannot become a store


def assert_error(error: type[PlainfilmError], match: str, root: Path, out: Path) -> None:
    with pytest.raises(error, match=match) as raised:
        ingest(root, out)
    assert "\n" not in str(raised.value)
    assert not out.parent.exists() or names(out.parent) == set()


def test_an_empty_folder_is_one_line(tmp_path, out):
    (tmp_path / "source").mkdir()
    assert_error(CatalogError, "^Expected .* received ", tmp_path / "source", out)


def test_one_class_is_one_line(tmp_path, out):
    assert_error(CatalogError, "two classes", made(tmp_path / "source", n=4, classes=["COVID"]), out)


def test_files_none_of_which_can_be_read_are_one_line_with_the_first_reason(tmp_path, out):
    root = put(tmp_path / "source", **{f"{name}__{n}": b"no image" for name in "AB" for n in range(3)})
    assert_error(CatalogError, "received 6 files and none could be. First: Expected JPEG", root, out)


def test_a_class_none_of_whose_files_can_be_read_is_one_line(tmp_path, out):
    root = put(made(tmp_path / "source", n=4, classes=["COVID"]), **{f"NORMAL__{n}": b"no image" for n in range(3)})
    assert_error(CatalogError, "at least two classes .* received 1: COVID", root, out)


def test_a_class_of_one_image_is_one_line_that_says_how_many_are_needed(tmp_path, out):
    root = put(made(tmp_path / "source", n=4), RARE__1=99)
    assert_error(SplitError, "at least 3 .* received 1 of RARE. Add 2 more", root, out)


def test_a_class_of_copies_of_one_image_is_one_line(tmp_path, out):
    root = put(made(tmp_path / "source", n=4), RARE__1=99, RARE__2=99, RARE__3=jpeg(99), RARE__4=98)
    assert_error(SplitError, "received 2 of RARE. Add 1 more", root, out)


def test_a_catalog_of_nothing_is_one_line(out):
    with pytest.raises(CatalogError, match="received 0 files"):
        fill_store(Catalog((), (), "classes"), out, size=32)


def test_a_folder_in_the_place_of_the_store_is_found_before_anything_is_read(source, out):
    out.mkdir(parents=True)
    done: list[int] = []
    with pytest.raises(StoreError, match="a folder"):
        fill_store(read_catalog([source]), out, size=32, progress=lambda _stage, so_far, _: done.append(so_far))
    assert done == []


def test_a_table_of_problems_that_cannot_be_written_is_one_line(source, out):
    problems_path(out).mkdir(parents=True)
    (problems_path(out) / "full").touch()
    with pytest.raises(StoreError, match=r"^Expected to write .*m\.problems\.csv; received: [^\n]*$"):
        ingest(source, out)
    with Store(out) as opened:
        assert len(opened) == 24
    assert names(out.parent) == {"m.h5", "m.problems.csv"}


def test_no_room_for_the_thumbnails_is_one_line_and_leaves_the_old_store(source, out, monkeypatch):
    ingest(source, out)
    before = out.read_bytes()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(StoreError, match=r"^Expected to write .*m\.h5; received: No space left on device\. [^\n]*$"):
        ingest(source, out)
    assert out.read_bytes() == before
    assert names(out.parent) == {"m.h5", "m.problems.csv"}


# Processes, progress, memory, kills


def test_two_workers_give_the_same_store_as_one(tmp_path, source, out):
    root = put(made(tmp_path / "source", n=20), COVID__broken=b"no image")
    one, two = (ingest(root, out.with_name(f"{n}.h5"), workers=n) for n in (1, 2))
    assert one.problems == two.problems
    with Store(one.path) as left, Store(two.path) as right:
        assert left.fingerprint == right.fingerprint
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
        assert left.provenance.keys() == right.provenance.keys()
        for name, values in left.provenance.items():
            np.testing.assert_array_equal(values, right.provenance[name])


def test_progress_goes_up_by_one_from_none_to_the_number_of_files(tmp_path, out):
    root = put(made(tmp_path / "source"), COVID__broken=b"no image", NORMAL__broken=b"no image")
    told: list[tuple[str, int, int, str]] = []
    ingest(root, out, progress=lambda *step: told.append(step))
    assert [step[1] for step in told] == list(range(27))
    assert {step[2] for step in told} == {26}


def test_progress_of_comparing_many_films_goes_on_to_its_end(source, out, monkeypatch):
    monkeypatch.setattr(ingest_module, "_MANY_COMPARED", 20)
    told: list[tuple[str, int, int, str]] = []
    ingest(source, out, progress=lambda *step: told.append(step))
    shares = [done / every for stage, done, every, _ in told if stage == "Comparing radiographs"]
    assert len(shares) > 5
    assert shares == sorted(shares)
    assert shares[-1] == 1


@given(
    image=st.lists(st.integers(0, 4), min_size=1, max_size=30),
    labels=st.lists(st.integers(-1, 2), min_size=30, max_size=30),
)
def test_a_conflict_names_the_first_radiograph_under_another_label(image, labels):
    labels = np.array(labels[: len(image)])
    first = [image.index(each) for each in image]
    pairs = np.array([(i, j) for j, i in enumerate(first) if i != j], np.int64).reshape(-1, 2)
    found = duplicates.Duplicates(pairs=pairs, exact=np.ones(len(pairs), bool))
    read = SimpleNamespace(entries=[SimpleNamespace(file=f"file {row}") for row in range(len(image))])
    conflict = duplicates.label_conflicts(found, labels)
    problems = ingest_module._conflict_problems(read, found, conflict, labels, ("A", "B", "C"))
    expected = [
        next(j for j in range(len(image)) if image[j] == image[row] and labels[j] not in {-1, labels[row]})
        for row in np.flatnonzero(conflict)
    ]
    assert [problem.file for problem in problems] == [f"file {row}" for row in np.flatnonzero(conflict)]
    assert all(f" as file {other}." in problem.sentence for problem, other in zip(problems, expected, strict=True))


PEAK = """
import sys
from pathlib import Path
from plainfilm.data.places.place import Folder
from plainfilm.data.catalog import Catalog, Entry
from plainfilm.data.ingest import fill_store
files = sorted(Path(sys.argv[1]).rglob("*.png"))
chosen = [(str(k), files[k % 24]) for k in range(int(sys.argv[3]))]
places = {file.parent: Folder(file.parent) for file in files}
entries = [Entry(places[file.parent], file.name, name, file.parent.name, None, "", None, {}) for name, file in chosen]
fill_store(Catalog(tuple(entries), (), "classes"), Path(sys.argv[2]), size=256)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is there on Linux only")
def test_memory_does_not_grow_with_the_number_of_images(source, tmp_path):
    def peak_mb(n: int) -> float:
        command = [sys.executable, "-c", PEAK, str(source), str(tmp_path / "s.h5"), str(n)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1000

    # 2,000 images more are 131 MB of pixels; what is kept of each is 1 kB.
    assert peak_mb(2300) - peak_mb(300) < 4


INGEST = """
import os, signal, sys
from pathlib import Path
import plainfilm
from plainfilm.data import ingest, store_writer

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

source, out, moment, workers = sys.argv[1:]
if moment == "finish":
    store_writer.StoreWriter.finish = die
elif moment == "problems":
    ingest.write_csv = die
elif moment == "rename":
    Path.replace = die
at = int(moment) if moment.isdigit() else 0
print("ready", flush=True)
plainfilm.ingest(source, out, size=32, workers=int(workers), seed=5, overwrite=True, progress=lambda _, done, *__: at == done and die())
"""


def ingest_elsewhere(source: Path, out: Path, moment: str, workers: int = 1) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", INGEST, str(source), str(out), moment, str(workers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def assert_whole_and_goes_on(source: Path, out: Path) -> None:
    """After a kill: the old store or the new one, and after the next ingest nothing is left of the killed one."""
    with Store(out) as opened:
        assert len(opened) in {8, 24}
        assert len(opened.images(range(len(opened)))) == len(opened)
    ingest(source, out, seed=5)
    with Store(out) as opened:
        assert len(opened) == 24
    assert names(out.parent) == {"m.h5", "m.problems.csv"}
    assert problems(out) == []


@pytest.mark.parametrize("moment", ["1", "13", "24", "finish", "rename", "problems"])
def test_an_ingest_killed_at_any_step_leaves_a_whole_store_and_the_next_one_goes_on(tmp_path, source, out, moment):
    ingest(made(tmp_path / "old", n=4), out)
    before = out.read_bytes()
    killed = ingest_elsewhere(source, out, moment)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert names(out.parent) > {"m.h5", "m.problems.csv"}
    assert out.read_bytes() == before
    assert_whole_and_goes_on(source, out)


@pytest.mark.slow
def test_an_ingest_killed_at_any_time_leaves_a_whole_store_and_the_next_one_goes_on(tmp_path, source, out):
    old = made(tmp_path / "old", n=4)
    chance = random.Random(0)
    for _ in range(6):
        ingest(old, out)
        running = ingest_elsewhere(source, out, "never", workers=2)
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, 1.2))
        running.send_signal(signal.SIGKILL)
        running.communicate()
        assert_whole_and_goes_on(source, out)


def test_an_entry_may_carry_no_details_at_all(source, out):
    files = sorted(source.rglob("*.png"))
    entries = tuple(
        Entry(Folder(file.parent), file.name, file.name + str(k), "AB"[k % 2], None, "", None, {})
        for k, file in enumerate(files)
    )
    done = fill_store(Catalog(entries, (), "classes"), out, size=32)
    assert done.images == 24
    with Store(out) as opened:
        assert set(opened.patient) == {""}


# Films that are only tested


def test_films_that_are_only_tested_need_no_split_no_second_class_and_no_number(tmp_path):
    root = put(tmp_path / "films", COVID__a=1, COVID__b=2, train__NORMAL__c=3)
    alone = put(tmp_path / "alone", train__COVID__a=1, test__COVID__b=2)
    with pytest.raises(CatalogError, match="at least two classes"):
        read_catalog([alone])
    catalog = read_catalog([alone], one_class_will_do=True)
    assert {entry.split for entry in catalog.entries} == {"train", "test"}
    with pytest.raises(CatalogError, match="at least two classes"):
        fill_store(catalog, tmp_path / "x.h5", size=32)
    done = fill_store(catalog, tmp_path / "x.h5", size=32, only_test=True)
    assert (done.images, done.classes, done.leakage) == (2, ("COVID",), None)
    with Store(tmp_path / "x.h5") as store:
        assert store.split.tolist() == ["test", "test"]
        assert len(store.rows("test")) == 2
    with pytest.raises(SplitError):
        ingest(root, tmp_path / "y.h5")


def test_films_without_a_label_are_not_tested(tmp_path):
    root = put(tmp_path / "films", one=1, two=2)
    table(root, [{"file_name": "one.png", "label": "COVID"}, {"file_name": "two.png", "label": ""}])
    fill_store(read_catalog([root], one_class_will_do=True), tmp_path / "x.h5", size=32, only_test=True)
    with Store(tmp_path / "x.h5") as store:
        assert dict(zip(store.file.tolist(), store.split.tolist(), strict=True)) == {"one.png": "test", "two.png": ""}
