"""A table of several findings an image becomes a store that tells each by itself."""

import re
import shutil

import numpy as np
import pytest

import plainfilm
from made_sets import film, put
from plainfilm.data.store import Store
from plainfilm.errors import CatalogError, SplitError, UsageError

CELLS = ["Edema", "Edema|Mass", "No Finding", "Mass", "Mass|Hernia", "No Finding", "Edema", "Mass"]


def lists(tmp_path, cells=CELLS, rounds=3):
    rows = ["file_name,label,patient_id"]
    for k in range(rounds * len(cells)):
        film(tmp_path / f"x/{k}.png")
        rows.append(f"{k}.png,{cells[k % len(cells)]},P{k // 2}")
    put(tmp_path / "x/metadata.csv", "\n".join(rows))
    return tmp_path / "x"


def columns(tmp_path, header, cells):
    for k in range(len(cells)):
        film(tmp_path / f"x/{k}.png")
    rows = [f"{k}.png,{cell}" for k, cell in enumerate(cells)]
    put(tmp_path / "x/metadata.csv", "\n".join([f"file_name,{header}", *rows]))
    return tmp_path / "x"


def number(store):
    return np.array([int(name.removesuffix(".png")) for name in store.file])


def ingest(source, **asked):
    done = plainfilm.ingest(source, source.parent / "s.h5", size=32, workers=1, overwrite=True, **asked)
    return done, Store(source.parent / "s.h5")


def codes(done):
    return {problem.code: problem.sentence for problem in done.problems}


def test_lists_become_findings_and_no_finding_is_the_absence_of_all(tmp_path):
    done, store = ingest(lists(tmp_path))
    assert (store.task, store.classes, store.attributes["version"]) == ("findings", ("Edema", "Hernia", "Mass"), 4)
    assert sorted(store.findings) == ["Edema", "Hernia", "Mass", "No Finding"]
    cells = [CELLS[k % 8].split("|") for k in number(store)]
    assert store.states.tolist() == [[int(name in cell) for name in store.classes] for cell in cells]
    assert store.named(np.arange(len(store))) == ["|".join(sorted(cell)) for cell in cells]
    assert (store.labels == 0).all()
    assert {name: sum(parts.values()) for name, parts in done.counts.items()} == {
        "Edema": 9,
        "Hernia": 3,
        "Mass": 12,
        "No Finding": 6,
    }
    assert "Edema 9, Hernia 3, Mass 12, No Finding 6" in repr(store)
    for finding in store.states.T:
        assert {part for part, state in zip(store.split, finding, strict=True) if state} == {
            "train",
            "validation",
            "test",
        }


def test_a_finding_by_itself_is_a_store_of_two_classes_of_what_is_known(tmp_path):
    cells = [("1,0,1", "0,1,0", "-1,0,0", "0,,1", ",,", "1,1,0")[k % 6] for k in range(36)]
    _, store = ingest(columns(tmp_path, "Edema,Mass,Scar", cells))
    own = store.of("Edema")
    assert (own.task, own.classes, store.task) == ("classes", ("no Edema", "Edema"), "findings")
    expected = np.array([1, 0, -1, 0, -1, 1])[number(store) % 6]
    assert (own.labels == expected).all()
    assert (store.findings["Edema"] == np.array([1, 0, -1, 0, -2, 1])[number(store) % 6]).all()
    assert ((store.labels < 0) == (number(store) % 6 == 4)).all()
    assert (store.split[store.labels < 0] == "").all()
    for part in ("train", "validation", "test"):
        assert set(own.rows(part)) == {row for row in store.rows(part) if expected[row] >= 0}
        assert set(own.labels[own.rows(part)].tolist()) == {0, 1}
    assert own.with_split(np.full(len(store), "test")).rows("test").tolist() == np.flatnonzero(expected >= 0).tolist()
    with pytest.raises(UsageError, match="among Edema, Mass, Scar; received Hernia"):
        store.of("Hernia")


def test_rows_of_one_film_that_contradict_each_other_are_said(tmp_path):
    folder = columns(tmp_path, "Edema,Mass", [f"{k % 2},{int(k % 3 == 0)}" for k in range(24)])
    with (folder / "metadata.csv").open("a") as table:
        table.write("\n0.png,0,0\n")
    done, store = ingest(folder)
    assert (
        codes(done)["rows-differ"] == "Lines 2 and 26 of metadata.csv do not agree whether it has Mass; present counts."
    )
    assert store.findings["Mass"].sum() == 8


def test_a_finding_too_rare_to_be_told_is_kept_and_said(tmp_path):
    cells = [f"{k % 2},{int(k % 3 == 0)},{int(k < 2)}" for k in range(24)]
    done, store = ingest(columns(tmp_path, "Edema,Mass,Scar", cells))
    assert (store.classes, len(store.findings)) == (("Edema", "Mass"), 3)
    assert codes(done)["rare-finding"].endswith("kept and not trained on: Scar.")
    with pytest.raises(SplitError, match="received 1 of 2. .*: Scar. .*`label_of`"):
        ingest(columns(tmp_path, "Edema,Scar", [f"{k % 2},{int(k < 2)}" for k in range(24)]))


def test_a_given_split_counts_and_a_finding_that_a_part_lacks_is_left_out(tmp_path):
    parts = ["train"] * 12 + ["val"] * 6 + ["test"] * 6
    cells = [f"{part},{k % 2},{int(k % 3 == 0)},{int(k < 8)}" for k, part in enumerate(parts)]
    done, store = ingest(columns(tmp_path, "split,Edema,Mass,Scar", cells))
    assert store.classes == ("Edema", "Mass")
    assert "none that have it" in codes(done)["rare-finding"]


def test_copies_that_say_otherwise_of_one_finding_are_left_out(tmp_path):
    source = columns(tmp_path, "Edema,Mass", [f"{k % 2},{int(k % 3 == 0)}" for k in range(24)])
    shutil.copy(source / "5.png", source / "a.png")
    shutil.copy(source / "7.png", source / "b.png")
    table = (source / "metadata.csv").read_text()
    put(source / "metadata.csv", table + "\na.png,1,1\nb.png,1,")  # 5 has Edema alone, 7 too
    done, store = ingest(source)
    assert done.conflicts == 2
    assert not {"a.png", "5.png"} & set(store.file)
    assert {"b.png", "7.png"} <= set(store.file)
    assert {"under Mass", "under no Mass"} <= {*re.findall(r"under (?:no )?Mass", codes(done)["two-labels"])}


def test_chosen_findings_are_told_and_the_others_kept(tmp_path):
    _, store = ingest(lists(tmp_path), classes=["mass", "Edema"])
    assert (store.classes, len(store.findings)) == (("Edema", "Mass"), 4)
    with pytest.raises(CatalogError, match="Expected findings among Edema, Hernia, Mass; received Scar"):
        ingest(lists(tmp_path), classes=["Edema", "Scar"])


def test_added_films_keep_the_parts_that_there_were(tmp_path):
    source = lists(tmp_path)
    _, before = ingest(source)
    parts = dict(zip(before.file, before.split, strict=True))
    before.close()
    lists(tmp_path, rounds=4)
    plainfilm.ingest(source, tmp_path / "s.h5", size=32, workers=1, add=True)
    with Store(tmp_path / "s.h5") as after:
        assert len(after) == 32
        assert {name: part for name, part in zip(after.file, after.split, strict=True) if name in parts} == parts
        assert after.task == "findings"
