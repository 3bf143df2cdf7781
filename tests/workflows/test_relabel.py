"""`relabel`: doubtful labels as a table and a page, and a new store where they are right; the old one stays."""

import csv
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import plainfilm
from plainfilm.data import corrections
from plainfilm.data.store import Store
from plainfilm.errors import CatalogError, PlainfilmError, StoreError, UsageError
from plainfilm.workflows import relabel as verb

FILMS = 60


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Sixty films of two classes, which are bright above or below; =1+1.png would be a formula in a spreadsheet."""
    root = tmp_path_factory.mktemp("relabel")
    rng = np.random.default_rng(0)
    for number in range(FILMS):
        pixels = rng.integers(0, 150, (8, 8), dtype=np.uint8)
        pixels[(slice(4), slice(4, 8))[number % 2]] += 100
        name = "=1+1.png" if number == 10 else f"{number:03}.png"
        path = root / "films" / ("SICK", "WELL")[number % 2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(path)
    plainfilm.ingest(root / "films", root / "one.h5", size=32, workers=1)
    plainfilm.ingest(root / "films", root / "many.h5", size=32, workers=1, shard=16)
    return root


@pytest.fixture(params=["one.h5", "many.h5"])
def store(request, original, tmp_path):
    """A store of its own for each test, in one file or in shards."""
    for path in original.glob(f"{request.param.removesuffix('.h5')}.*"):
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, tmp_path / path.name)
    return tmp_path / request.param


@pytest.fixture(autouse=True)
def seen(monkeypatch):
    """Features that see the gray levels alone: no network."""

    def encoded(_, store, **__):
        images = store.images(range(len(store))).reshape(len(store), 8, 4, 8, 4).mean(axis=(2, 4))
        features = images.reshape(len(store), 64).astype(np.float32)
        return SimpleNamespace(read=lambda rows: features[rows])

    monkeypatch.setattr(verb, "default_encoder", lambda _: SimpleNamespace(name="made"))
    monkeypatch.setattr(verb.encoder, "encode_store", encoded)


def written(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def table(folder):
    with (folder / "relabel.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def flips(store, count=3):
    """Correct `count` films of each class to the other: the rows of a table, and their files."""
    with Store(store) as opened:
        rows = [
            row
            for label in (0, 1)
            for row in np.flatnonzero((opened.labels == label) & (opened.split == "train"))[:count]
        ]
        files = [str(opened.file[row]) for row in rows]
        told = [[opened.file[row], opened.classes[1 - opened.labels[row]]] for row in rows]
    return [["file", "correction"], *told], files


def content(path, *, but=()):
    with Store(path) as opened:
        names = [
            name
            for name in ("classes", "labels", "split", "patient", "group", "source", "file", "sha256")
            if name not in but
        ]
        columns = {name: np.asarray(getattr(opened, name)).tolist() for name in names}
        provenance = {name: values.tolist() for name, values in opened.provenance.items()}
        return columns, provenance, opened.fingerprint, opened.images(range(len(opened))).tobytes()


def test_flipped_labels_come_first_are_shown_and_are_put_right_again(store, tmp_path):
    before = store.read_bytes()
    rows, files = flips(store)
    plainfilm.relabel(store, tmp_path / "flipped.h5", apply=written(tmp_path / "flips.csv", rows), by="A student")
    assert store.read_bytes() == before, "the old store stays"
    assert content(tmp_path / "flipped.h5", but={"labels"}) == content(store, but={"labels"})
    run = plainfilm.relabel(tmp_path / "flipped.h5", tmp_path / "listed")
    found = table(run.folder)
    assert len(found) == FILMS == run.result.images
    assert {row["file"].removeprefix("'") for row in found[:6]} == set(files)
    assert [row["doubtful"] for row in found[:6]] == ["yes"] * 6
    assert [float(row["doubt"]) for row in found[6:]] == sorted(
        (float(row["doubt"]) for row in found[6:]), reverse=True
    )
    page = run.report.read_text(encoding="utf-8")
    assert page.count('<article class="doubt"') == run.result.shown == run.result.doubtful
    assert page.count("<img") == 3 * run.result.shown, "the film, and the nearest of both classes"
    for row in found[:6]:
        row["correction"] = row["suggested"]
    written(tmp_path / "filled.csv", [list(found[0]), *([*row.values()] for row in found)])
    done = plainfilm.relabel(
        tmp_path / "flipped.h5", tmp_path / "right.h5", apply=tmp_path / "filled.csv", by="B. Reader"
    )
    assert content(tmp_path / "right.h5") == content(store)
    assert (done.result.corrected, done.result.by, done.store) == (6, {"B. Reader": 6}, tmp_path / "right.h5")
    with Store(tmp_path / "right.h5") as right:
        made = corrections.made_in(right.attributes)
    assert [each.by for each in made] == [{"A student": 6}, {"B. Reader": 6}]
    assert "6 by B. Reader" in done._repr_html_()


def test_the_old_table_of_problems_and_the_openings_of_the_test_set_come_along(store, tmp_path):
    with Store(store) as opened:
        opened.log_test_opening("a training")
    plainfilm.relabel(store, tmp_path / "new.h5", apply=written(tmp_path / "t.csv", flips(store)[0]), by="R")
    assert (tmp_path / "new.problems.csv").read_bytes() == store.with_suffix(".problems.csv").read_bytes()
    with Store(tmp_path / "new.h5") as new:
        assert len(new.logged_openings()) == 1
        assert new.verify()


def test_what_was_corrected_stands_beside_the_store_for_the_files_as_they_are_ingested_again(store, tmp_path):
    rows, files = flips(store)
    plainfilm.relabel(store, tmp_path / "a.h5", apply=written(tmp_path / "t.csv", rows), by="R")
    back = [["file", "correction", "by"], [files[0], "SICK", "S"], [files[1], "WELL", "S"]]
    plainfilm.relabel(tmp_path / "a.h5", tmp_path / "b.h5", apply=written(tmp_path / "back.csv", back))
    with (tmp_path / "b.corrections.csv").open(newline="", encoding="utf-8") as file:
        told = list(csv.DictReader(file))
    assert len(told) == 5, "that of the first film is taken back, that of the second was confirmed"
    plainfilm.relabel(store, tmp_path / "again.h5", apply=tmp_path / "b.corrections.csv")
    assert content(tmp_path / "again.h5") == content(tmp_path / "b.h5")


def test_films_are_not_added_to_a_store_whose_labels_are_not_those_of_its_folders(store, original, tmp_path):
    plainfilm.relabel(store, tmp_path / "new.h5", apply=written(tmp_path / "t.csv", flips(store)[0]), by="R")
    with pytest.raises(UsageError, match=r"labels are those of its folders; .*new\.h5.*new\.corrections\.csv"):
        plainfilm.ingest(original / "films", tmp_path / "new.h5", size=32, add=True)


def test_a_store_that_is_written_over_has_no_corrections_beside_it(store, original, tmp_path):
    plainfilm.relabel(store, tmp_path / "new.h5", apply=written(tmp_path / "t.csv", flips(store)[0]), by="R")
    plainfilm.ingest(original / "films", tmp_path / "new.h5", size=32, workers=1, overwrite=True)
    assert not (tmp_path / "new.corrections.csv").exists()


BAD = {
    "class": ([["file", "correction"], ["SICK/000.png", "Well"]], r"a class of the store: SICK, WELL; received Well in line 2"),
    "film": ([["file", "correction"], ["SICK/999.png", "WELL"]], r"received SICK/999.png in line 2 of .*no such film"),
    "store": ([["file", "correction", "store"], ["SICK/000.png", "WELL", "0" * 16]], r"The table is of another store"),
    "label": ([["file", "label", "correction"], ["SICK/000.png", "WELL", "SICK"]], r"the label that .* has, SICK; received WELL"),
    "twice": ([["file", "correction"], ["SICK/000.png", "WELL"], ["SICK/000.png", "SICK"]], r"one correction a film; .* line 3"),
    "none": ([["file", "correction"], ["SICK/000.png", ""]], r"a correction or more; received"),
    "column": ([["file", "label"], ["SICK/000.png", "WELL"]], r"lacks correction"),
    "columns": ([["file", "correction", "Correction"], ["SICK/000.png", "WELL", "SICK"]], r"two columns correction that differ"),
    "by": ([["file", "correction", "by"], ["SICK/000.png", "WELL", "R" * 201]], r"at most 200 letters; received 201 letters in line 2"),
    "digest": ([["file", "correction", "sha256"], ["SICK/000.png", "WELL", "f" * 64]], r"no such film"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_table_that_cannot_be_meant_is_one_line_and_leaves_no_store(original, tmp_path, name):
    rows, told = BAD[name]
    with pytest.raises((UsageError, CatalogError), match=told) as error:
        plainfilm.relabel(
            original / "one.h5", tmp_path / "new.h5", apply=written(tmp_path / "t.csv", rows), by="R"
        )  # fmt: skip
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_nobody_corrects_without_a_name(original, tmp_path):
    asked = written(tmp_path / "t.csv", [["file", "correction", "by"], ["SICK/000.png", "WELL", ""]])
    with pytest.raises(UsageError, match=r"to know who corrects; received none in line 2"):
        plainfilm.relabel(original / "one.h5", tmp_path / "new.h5", apply=asked)


def test_a_class_is_not_taken_out_of_a_part_of_the_split(original, tmp_path):
    with Store(original / "one.h5") as opened:
        rows = np.flatnonzero((opened.split == "test") & (opened.labels == 0))
        asked = [["file", "correction"], *([opened.file[row], "WELL"] for row in rows)]
    with pytest.raises(UsageError, match=r"received none of SICK in test"):
        plainfilm.relabel(original / "one.h5", tmp_path / "n.h5", apply=written(tmp_path / "t.csv", asked), by="R")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"apply": "t.csv"}, "Expected `out` with the new store's name"),
        ({"by": "R"}, "Expected `by` beside `apply`"),
        ({"repeats": 0}, "Expected `repeats` from 1 to 100"),
        ({"show": -1}, "Expected `show` from 0"),
        ({"apply": "t.csv", "out": "new"}, "ends in .h5"),
    ],
)
def test_options_that_do_not_fit_are_told(original, monkeypatch, tmp_path, options, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PlainfilmError, match=told):
        plainfilm.relabel(original / "one.h5", **options)


def test_the_old_store_is_not_written_over(store, tmp_path):
    asked = written(tmp_path / "t.csv", flips(store)[0])
    with pytest.raises(UsageError, match="the old one, which stays"):
        plainfilm.relabel(store, store, apply=asked, by="R", overwrite=True)


def test_a_copy_that_now_bears_another_label_is_told(original, tmp_path):
    films = tmp_path / "films"
    shutil.copytree(original / "films", films)
    with Image.open(films / "SICK/000.png") as image:
        image.resize((80, 80), Image.Resampling.BICUBIC).save(films / "SICK/copy.png")
    plainfilm.ingest(films, tmp_path / "s.h5", size=32, workers=1)
    asked = written(tmp_path / "t.csv", [["file", "correction"], ["SICK/copy.png", "WELL"]])
    done = plainfilm.relabel(tmp_path / "s.h5", tmp_path / "new.h5", apply=asked, by="R")
    assert done.result.copies == 2
    run = plainfilm.relabel(tmp_path / "new.h5", tmp_path / "listed")
    first = table(run.folder)[:2]
    assert {(row["file"], row["copy"], row["suggested"]) for row in first} == {
        ("SICK/copy.png", "SICK/000.png", "SICK"),
        ("SICK/000.png", "SICK/copy.png", "WELL"),
    }
    assert "its copy" in run.report.read_text(encoding="utf-8")


def test_a_report_says_how_many_labels_were_corrected_and_by_whom(original, tmp_path):
    from plainfilm.reporting import report_data

    plainfilm.relabel(original / "one.h5", tmp_path / "n.h5", apply=written(tmp_path / "t.csv", flips(original / "one.h5")[0]), by="Dr. R")  # fmt: skip
    with Store(tmp_path / "n.h5") as new:
        (told,) = [value for name, value in report_data.facts(new) if name == "Labels corrected"]
    assert told.startswith("6 by Dr. R (6), 20")


def test_the_command_lists_and_applies(original, call, tmp_path):
    code, out, _ = call("relabel", original / "one.h5", "--out", "listed", "--quiet")
    assert code == 0
    assert "Next: plainfilm relabel" in out
    rows, _ = flips(original / "one.h5")
    asked = written(tmp_path / "t.csv", rows)
    code, out, err = call(
        "relabel", original / "one.h5", "--apply", asked, "--by", "R", "--out", "n.h5", "--json", "--quiet"
    )
    assert code == 0, err
    assert json.loads(out)["changes"] == {"SICK → WELL": 3, "WELL → SICK": 3}
    code, out, _ = call("relabel", original / "one.h5", "--apply", asked, "--by", "R", "--out", "m.h5", "--quiet")
    assert "Corrected: 6 by R (6)" in out


def test_a_store_whose_record_of_corrections_is_damaged_says_so():
    with pytest.raises(StoreError, match="how its labels were corrected"):
        corrections.made_in({corrections.ATTRIBUTE: "[1"})


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    """The same kind of films with two findings, a bright upper and a bright left half; one column is blank for some."""
    root, rng = tmp_path_factory.mktemp("findings"), np.random.default_rng(1)
    (root / "films").mkdir()
    rows = [["file_name", "Upper", "Left", "Rare"]]
    for number in range(FILMS):
        upper, left = rng.random(2) < 0.5
        pixels = rng.integers(0, 100, (8, 8), dtype=np.uint8)
        pixels[:4] += np.uint8(70 * upper)
        pixels[:, :4] += np.uint8(70 * left)
        Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(root / f"films/{number:03}.png")
        rows.append([f"{number:03}.png", int(upper), "" if number % 10 == 9 else int(left), int(number % 15 == 0)])
    written(root / "films/metadata.csv", rows)
    plainfilm.ingest(root / "films", root / "s.h5", size=32, workers=1, task="findings")
    return root


def states_of(path):
    with Store(path) as store:
        return {name: values.copy() for name, values in store.findings.items()}


def test_labels_of_findings_are_doubted_and_put_right_each_by_itself(findings, tmp_path):
    before = states_of(findings / "s.h5")
    with Store(findings / "s.h5") as store:
        assert store.classes == ("Left", "Rare", "Upper")
        known = np.flatnonzero((store.split == "train") & (store.findings["Left"] >= 0))[:3]
        flips = [
            [str(store.file[row]), "Left", store.of("Left").classes[1 - store.of("Left").labels[row]]] for row in known
        ]
    asked = written(tmp_path / "flips.csv", [["file", "finding", "correction"], *flips])
    done = plainfilm.relabel(findings / "s.h5", tmp_path / "flipped.h5", apply=asked, by="A student")
    after = states_of(tmp_path / "flipped.h5")
    assert np.flatnonzero(after["Left"] != before["Left"]).tolist() == known.tolist()
    assert all((after[name] == before[name]).all() for name in ("Upper", "Rare")), "no other finding is touched"
    assert set(done.result.changes) <= {"no Left → Left", "Left → no Left"}
    assert done.result.counts["Left"]["train"] == int(
        (after["Left"][before["Left"] >= 0] == 1).sum()
        - sum(done.result.counts["Left"][part] for part in ("validation", "test"))
    )
    run = plainfilm.relabel(tmp_path / "flipped.h5", tmp_path / "listed")
    found = table(run.folder)
    assert {(row["file"], row["finding"]) for row in found[:3]} == {(file, "Left") for file, *_ in flips}
    assert run.result.not_judged.keys() == {"Rare"}, "four films are too few for five folds"
    assert run.result.findings.keys() == {"Left", "Upper"}
    assert len(found) == run.result.labels == FILMS + int((before["Left"] >= 0).sum())
    page = run.report.read_text(encoding="utf-8")
    assert page.count('<article class="doubt"') == run.result.shown == run.result.doubtful
    for row in found:
        row["correction"] = row["suggested"] if row["finding"] == "Left" else ""
    filled = written(tmp_path / "filled.csv", [list(found[0]), *([*row.values()] for row in found[:3])])
    plainfilm.relabel(tmp_path / "flipped.h5", tmp_path / "right.h5", apply=filled, by="B. Reader")
    right = states_of(tmp_path / "right.h5")
    assert all((right[name] == before[name]).all() for name in before)
    assert not list(csv.DictReader((tmp_path / "right.corrections.csv").open())), "all is taken back"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([["file", "correction"], ["000.png", "Left"]], "the columns file, finding and correction; .* lacks finding"),
        ([["file", "finding", "correction"], ["000.png", "Lower", "Left"]], "a finding of the store: Left, Rare, Upper; received Lower in line 2"),
        ([["file", "finding", "correction"], ["000.png", "Left", "Upper"]], "a class of the store: no Left, Left; received Upper"),
        ([["file", "finding", "correction"], ["009.png", "Left", "Left"]], "a labelled film"),
        ([["file", "finding", "correction"], ["000.png", "Left", "Left"], ["000.png", "Left", "no Left"]], "one correction a film and finding"),
    ],
)  # fmt: skip
def test_a_table_of_findings_that_cannot_be_meant_is_one_line(findings, tmp_path, rows, told):
    with pytest.raises(PlainfilmError, match=told) as error:
        plainfilm.relabel(findings / "s.h5", tmp_path / "n.h5", apply=written(tmp_path / "t.csv", rows), by="R")
    assert "\n" not in str(error.value)
