"""Adding to a store: nothing that it holds is decoded again or changes its part of the split, and nothing leaks."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import plainfilm
from made_files import dataset, dicom_bytes
from plainfilm.data import decoder_pool, split
from plainfilm.data.store import Store
from plainfilm.errors import CatalogError, UsageError

EACH = 40  # films a class at first


def film(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 255, (9, 9), dtype=np.uint8)
    return Image.fromarray(noise).resize((64, 64), Image.Resampling.BICUBIC)


def put(root: Path, name: str, seed: int) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    film(seed).save(path)


def grow(root: Path, numbers: range) -> None:
    for number in numbers:
        for place, kind in enumerate(("COVID", "NORMAL")):
            put(root, f"{kind}/{number:03}.png", 2 * number + place)


@pytest.fixture
def source(tmp_path) -> Path:
    grow(tmp_path / "films", range(EACH))
    return tmp_path / "films"


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    given = list[str]()
    whole = decoder_pool.read_many

    def noted(files, **options):
        def each() -> Iterator[object]:
            for file in files:
                if options["size"] != 32 or isinstance(file, tuple):
                    given.append(file[0].name)
                yield file

        return whole(each(), **options)

    monkeypatch.setattr(decoder_pool, "read_many", noted)
    return given


def ingest(source: Path, out: Path, **options: object):
    return plainfilm.ingest(source, out, **{"size": 32, "workers": 1, **options})


def parts(path: Path) -> dict[str, str]:
    with Store(path) as store:
        return dict(zip(store.file.tolist(), store.split.tolist(), strict=True))


def test_only_what_is_new_is_decoded_and_every_film_keeps_its_part(source, tmp_path, decoded):
    out = tmp_path / "m.h5"
    ingest(source, out)
    before = parts(out)
    with Store(out) as store:
        films = dict(zip(store.file.tolist(), store.images(range(len(store))), strict=True))
        order = store.file.tolist()
    grow(source, range(EACH, EACH + 10))
    decoded.clear()
    done = ingest(source, out, add=True)
    assert (done.images, done.added, done.gone) == (2 * EACH + 20, 20, 0)
    assert sorted(decoded) == sorted(2 * [f"{number:03}.png" for number in range(EACH, EACH + 10)])
    after = parts(out)
    assert {file: part for file, part in after.items() if file in before} == before
    with Store(out) as store:
        assert store.file.tolist()[: len(order)] == order
        for file, pixels in zip(store.file.tolist(), store.images(range(len(store))), strict=True):
            if file in films:
                np.testing.assert_array_equal(pixels, films[file])
        assert all({"train", "validation", "test"} <= set(store.split[store.labels == label]) for label in (0, 1))
    shares = np.array([list(after.values()).count(name) for name in split.NAMES]) / len(after)
    np.testing.assert_allclose(shares, split.SHARES, atol=0.04)


def test_adding_twice_is_adding_once(source, tmp_path, decoded):
    out = tmp_path / "m.h5"
    ingest(source, out, add=True)  # none is there: it is made
    grow(source, range(EACH, EACH + 5))
    ingest(source, out, add=True)
    before = parts(out)
    with Store(out) as store:
        fingerprint = store.fingerprint
    decoded.clear()
    done = ingest(source, out, add=True)
    assert (done.added, decoded, parts(out)) == (0, [], before)
    with Store(out) as store:
        assert store.fingerprint == fingerprint


def test_a_copy_of_an_old_film_goes_where_that_is(source, tmp_path):
    out = tmp_path / "m.h5"
    ingest(source, out)
    before = parts(out)
    tests = [file for file, part in before.items() if part == "test"]
    for file in tests:
        Image.open(source / file).resize((60, 60)).save(source / file.replace(".png", "-copy.jpg"), quality=90)
    ingest(source, out, add=True)
    after = parts(out)
    assert {after[file.replace(".png", "-copy.jpg")] for file in tests} == {"test"}
    assert {file: part for file, part in after.items() if file in before} == before


def table(root: Path, patients: dict[str, str]) -> None:
    with (root / "metadata.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file_name", "label", "patient_id"])
        rows.writerows([path, path.split("/")[0], who] for path, who in patients.items())


def test_a_patient_who_joins_two_parts_leaves_the_test_set_and_is_told(source, tmp_path):
    out = tmp_path / "m.h5"
    patients = {f"{kind}/{number:03}.png": f"{kind} {number}" for kind in ("COVID", "NORMAL") for number in range(EACH)}
    table(source, patients)
    ingest(source, out)
    before = parts(out)
    one = next(file for file, part in before.items() if part == "test" and file.startswith("COVID"))
    other = next(file for file, part in before.items() if part == "train" and file.startswith("COVID"))
    table(source, {**patients, one: patients[other]})  # the hospital has found out
    done = ingest(source, out, add=True)
    after = parts(out)
    assert after.pop(one) == ""
    assert {file: part for file, part in before.items() if file != one} == after
    assert {problem.file for problem in done.problems if problem.code == "leak"} == {one, other}


def test_patients_of_dicom_headers_are_known_again(tmp_path):
    source, out = tmp_path / "films", tmp_path / "m.h5"

    def dicom(name: str, seed: int, patient: str) -> None:
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(film(seed).resize((64, 64))).astype(np.uint16) * 16
        path.write_bytes(dicom_bytes(dataset(pixels, PatientID=patient, Modality="DX")))

    for number in range(16):
        dicom(f"COVID/{number:03}.dcm", 2 * number, f"A{number}")
        dicom(f"NORMAL/{number:03}.dcm", 2 * number + 1, f"B{number}")
    ingest(source, out)
    before = parts(out)
    for number in range(16):
        dicom(f"COVID/later-{number:03}.dcm", 1000 + number, f"A{number}")
    ingest(source, out, add=True)
    after = parts(out)
    assert {file: part for file, part in after.items() if file in before} == before
    assert [after[f"COVID/later-{number:03}.dcm"] for number in range(16)] == [before[f"COVID/{number:03}.dcm"] for number in range(16)]  # fmt: skip


def test_what_was_remarked_of_an_old_film_is_told_again(source, tmp_path):
    out = tmp_path / "m.h5"
    put(source, "COVID/colour.png", 900)
    pixels = np.asarray(film(900).convert("RGB")).copy()
    pixels[..., 0] = pixels[..., 0] // 2
    Image.fromarray(pixels).save(source / "COVID/colour.png")
    first = ingest(source, out)
    assert [problem.code for problem in first.problems] == ["colour"]
    grow(source, range(EACH, EACH + 1))
    again = ingest(source, out, add=True)
    assert again.problems == first.problems


def test_films_that_are_gone_are_left_out_and_the_wrong_folder_is_refused(source, tmp_path):
    out = tmp_path / "m.h5"
    ingest(source, out)
    (source / "COVID/000.png").unlink()
    done = ingest(source, out, add=True)
    assert (done.images, done.added, done.gone) == (2 * EACH - 1, 0, 1)
    grow(tmp_path / "other", range(500, 510))
    held = out.read_bytes()
    with pytest.raises(
        CatalogError, match=rf"^Expected the folders that .*m\.h5 was read from, .* lack {2 * EACH - 1} of its"
    ):
        ingest(tmp_path / "other", out, add=True)
    assert out.read_bytes() == held


def test_another_size_is_refused_before_anything_is_read(source, tmp_path, decoded):
    out = tmp_path / "m.h5"
    ingest(source, out)
    decoded.clear()
    with pytest.raises(UsageError, match=r"^Expected to add radiographs of 32 px, fit stretch, .* received size=64"):
        ingest(source, out, add=True, size=64)
    assert decoded == []


def test_classes_are_not_added_to_a_store_of_findings(source, tmp_path, decoded):
    rows = [f"{kind}/{number:03}.png,{number % 2},{number // 2 % 2}" for number in range(EACH) for kind in ("COVID", "NORMAL")]  # fmt: skip
    table = tmp_path / "findings.csv"
    table.write_text("\n".join(["file_name,Edema,Mass", *rows]))
    plainfilm.ingest(source, tmp_path / "s.h5", labels=table, size=32, workers=1)
    decoded.clear()
    with pytest.raises(
        UsageError, match="Expected findings to be added to .*s.h5.*; received classes. Give the options"
    ):
        plainfilm.ingest(source, tmp_path / "s.h5", size=32, workers=1, add=True)
    assert not decoded
    assert plainfilm.ingest(source, tmp_path / "s.h5", labels=table, size=32, workers=1, add=True).added == 0


def test_openings_of_the_test_set_still_count(source, tmp_path):
    out = tmp_path / "m.h5"
    ingest(source, out)
    with Store(out) as store:
        assert store.log_test_opening("train", "train") == 2
    grow(source, range(EACH, EACH + 5))
    ingest(source, out, add=True)
    with Store(out) as store:
        assert store.test_openings() == 2
        assert [json.loads(line)["by"] for line in store.logged_openings()] == ["train", "train"]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), old=st.integers(30, 200), new=st.integers(0, 100))
def test_extending_a_split_moves_nothing_and_parts_no_group(seed, old, new):
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, 3, old + new)
    group = rng.integers(0, 60 + old, old + new)
    labels[:30], group[:30] = np.arange(30) % 3, 1000 + np.arange(30)
    names = ("a", "b", "c")
    before = np.full(old + new, "", "U10")
    before[:old] = split.make(labels[:old], group[:old], names, seed=seed)
    after, leaking = split.extend(before, labels, group, names, seed=seed)
    assert len(leaking) == 0
    kept = (np.arange(old + new) < old) & (labels >= 0)
    np.testing.assert_array_equal(after[kept], before[kept])
    assert ((after == "") == (labels < 0)).all()
    assert len(split.leaking_rows(after, group)) == 0
