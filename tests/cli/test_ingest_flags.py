"""What a user says of folders and tables, by flags, tried with --dry-run on small folders; and the list of presets."""

import json
import re

import pytest

import made_sets
from plainfilm.data.cataloguing.presets import PRESETS

FILMS = [f"{name}.png" for name in "abcd"]


@pytest.fixture
def looked(call):
    """Run `ingest … --dry-run` as text and as JSON; gives both."""

    def run(*words):
        code, text, err = call("ingest", *words, "--dry-run")
        assert (code, err) == (0, "")
        assert "Nothing was read or written: leave out --dry-run." in text
        code, out, err = call("ingest", *words, "--dry-run", "--json")
        assert (code, err) == (0, "")
        return text, json.loads(out)

    return run


@pytest.fixture
def refused(call):
    def run(*words, code=1):
        left, out, err = call("ingest", *words, "--dry-run")
        assert (left, out) == (code, "")
        assert err.startswith("plainfilm: ")
        assert err.count("\n") == 1
        return err

    return run


def totals(listing):
    return {label: sum(parts.values()) for label, parts in listing["counts"].items()}


def films(folder, *names):
    for name in names:
        made_sets.put(folder / name, "a catalog looks at no pixels")


def table(folder, *lines, name="labels.csv"):
    made_sets.put(folder / name, "\n".join(lines) + "\n")


# ---- columns


def test_columns_by_name_and_by_number(looked, tmp_path):
    films(tmp_path / "films", *FILMS)
    table(
        tmp_path,
        "what,whom,where,which,label",
        *(
            f"{'ill' if i % 2 else 'well'},P{i // 2},{'North' if i < 2 else 'South'},{name},x{i}"
            for i, name in enumerate(FILMS)
        ),
    )
    flags = ("--label-column", "--patient-column", "--source-column", "--file-column")
    for names in (("what", "whom", "where", "which"), ("1", "2", "3", "4"), ("What", "WHOM", "where", "which")):
        text, listing = looked(
            "films", "--labels", "labels.csv", *(word for pair in zip(flags, names, strict=True) for word in pair)
        )
        assert totals(listing) == {"ill": 2, "well": 2}
        assert (listing["patients"], listing["sources"]) == (2, ["North", "South"])
        assert "4 radiographs would be read, of 2 known patients.\nSources: North, South." in text
        assert text.splitlines()[0].split() == ["class", "all"]


def test_without_the_flag_the_usual_name_counts(looked, tmp_path):
    films(tmp_path / "films", *FILMS)
    table(tmp_path, "what,file,label", *(f"w{i},{name},{i % 2}" for i, name in enumerate(FILMS)))
    assert totals(looked("films", "--labels", "labels.csv")[1]) == {"0": 2, "1": 2}
    assert len(looked("films", "--labels", "labels.csv", "--label-column", "what")[1]["classes"]) == 4


def test_the_flags_name_columns_of_a_metadata_table_too(looked, tmp_path):
    films(tmp_path / "films", *FILMS)
    table(tmp_path / "films", "shot,verdict", *(f"{name},{i % 2}" for i, name in enumerate(FILMS)), name="metadata.csv")
    assert totals(looked("films", "--file-column", "shot", "--label-column", "verdict")[1]) == {"0": 2, "1": 2}


def test_a_table_without_a_header_is_named_by_numbers(looked, tmp_path):
    films(tmp_path / "films", *FILMS)
    table(tmp_path, *(f"{i % 2},P{i},{name},{i // 2}" for i, name in enumerate(FILMS)))
    _, listing = looked(
        "films", "--labels", "labels.csv", "--file-column", 3, "--label-column", 4, "--patient-column", 2
    )
    assert totals(listing) == {"0": 2, "1": 2}
    assert listing["patients"] == 4


@pytest.mark.parametrize("flag", ["--label-column", "--file-column", "--patient-column", "--source-column"])
def test_a_column_that_is_not_there(refused, tmp_path, flag):
    films(tmp_path / "films", *FILMS)
    table(tmp_path, "file,label,hospital", *(f"{name},{i % 2},North" for i, name in enumerate(FILMS)))
    said = refused("films", "--labels", "labels.csv", flag, "hopsital")
    assert "Expected a column hopsital in labels.csv; received file, label, hospital. Did you mean hospital?" in said
    assert f"Give {flag} a name, or a number from 1 to 3." in said
    assert "Expected a column 9" in refused("films", "--labels", "labels.csv", flag, 9)


# ---- findings


def test_label_of_a_column_a_finding(looked, refused, tmp_path):
    films(tmp_path / "films", *FILMS)
    table(tmp_path, "file,Edema,Mass", "a.png,1,1", "b.png,0,1", "c.png,-1,0", "d.png,,1.0")
    text, listing = looked("films", "--labels", "labels.csv", "--label-of", "edema")
    assert totals(listing) == {"Edema": 1, "no Edema": 2}
    assert (listing["unlabelled"], listing["findings"]) == (1, ["Edema", "Mass"])
    assert re.search(r"^\(no label\) +1 *$", text, re.MULTILINE)
    text, listing = looked("films", "--labels", "labels.csv")
    assert (totals(listing), listing["task"]) == ({"Edema": 1, "Mass": 3, "No Finding": 0}, "findings")
    assert text.startswith("finding ")
    assert "Did you mean Edema?" in refused("films", "--labels", "labels.csv", "--label-of", "Edma")


def test_label_of_a_list_in_a_cell(looked, tmp_path):
    films(tmp_path / "films", *FILMS)
    table(tmp_path, "file,label", "a.png,Edema|Mass", "b.png,Mass|Edema", "c.png,No Finding", "d.png,Mass")
    assert totals(looked("films", "--labels", "labels.csv", "--label-of", "Mass")[1]) == {"Mass": 3, "no Mass": 1}
    assert totals(looked("films", "--labels", "labels.csv")[1]) == {"Edema": 2, "Mass": 3, "No Finding": 1}
    as_classes = looked("films", "--labels", "labels.csv", "--task", "classes")[1]
    assert totals(as_classes) == {"Edema|Mass": 2, "Mass": 1, "No Finding": 1}


def test_classes_that_look_like_combinations_are_asked_about(looked, refused, tmp_path):
    films(tmp_path / "films", "Edema/a.png", "Mass/b.png", "Edema and Mass/c.png", "Normal/d.png")
    said = refused("films")
    assert "received Edema and Mass, which looks like findings that stand together (Edema and Mass)" in said
    assert "--task findings" in said
    assert "--task classes" in said
    assert len(totals(looked("films", "--task", "classes")[1])) == 4
    assert totals(looked("films", "--task", "findings")[1]) == {"Edema": 2, "Mass": 2, "No Finding": 1}
    assert "Leave one out" in refused("films", "--task", "findings", "--label-of", "Mass", code=2)


def test_label_of_without_a_table_of_labels(refused, tmp_path):
    films(tmp_path / "films", *FILMS)
    table(tmp_path, "file,age", *(f"{name},4{i}" for i, name in enumerate(FILMS)))
    assert "Expected a column label" in refused("films", "--labels", "labels.csv", "--label-of", "Edema")


# ---- names of files


def test_label_pattern(looked, refused, tmp_path):
    films(tmp_path / "films", "p1/x_0.png", "p1/y_1.png", "p2/z_1.png", "p2/other.png")
    text, listing = looked("films", "--label-pattern", r"_(\d)\.png$")
    assert (totals(listing), listing["unlabelled"]) == ({"0": 1, "1": 2}, 1)
    assert "unlabelled 1: an image without a label" in text
    named = looked("films", "--label-pattern", r"(?P<patient>p\d)/(?P<label>[xyz])_")[1]
    assert totals(named) == {"x": 1, "y": 1, "z": 1}
    assert "a group in brackets that is the label" in refused("films", "--label-pattern", r"_\d", code=2)
    assert "Expected a regular expression for --label-pattern; received _([01 (" in refused(
        "films", "--label-pattern", "_([01", code=2
    )


# ---- folders


LEVELS = [
    f"{site}/{part}/{label}/{site}{part}{label}.png"
    for site in ("A", "B")
    for part in ("one", "two")
    for label in ("x", "y")
]


def test_layout(looked, refused, tmp_path):
    films(tmp_path / "films", *LEVELS)
    text, listing = looked("films", "--layout", "source/-/class")
    assert (totals(listing), listing["sources"]) == ({"x": 4, "y": 4}, ["A", "B"])
    assert [(each["level"], each["role"], each["folders"]) for each in listing["levels"]] == [
        (3, "class", 2),
        (1, "source", 2),
        (2, "-", 2),
    ]
    assert "Folders, level 3: classes (x, y)" in text
    other = looked("films", "--layout", "class/patient")[1]
    assert (totals(other), other["patients"], other["sources"]) == ({"A": 4, "B": 4}, 2, ["films"])
    assert "received class/klass. Name each role once." in refused("films", "--layout", "class/klass", code=2)
    assert "the split of --layout; received one. Correct --layout." in refused(
        "films", "--layout", "class/split", code=2
    )


def test_a_layout_with_the_split(looked, tmp_path):
    films(
        tmp_path / "films",
        *(f"{part}/{label}/{label}{part}.png" for part in ("Train Set", "val", "test") for label in "xy"),
    )
    listing = looked("films", "--layout", "split/class")[1]
    assert listing["counts"]["x"] == {"train": 1, "validation": 1, "test": 1}


@pytest.mark.parametrize(("level", "expected"), [(1, {"A": 4, "B": 4}), (2, {"one": 4, "two": 4}), (3, {"x": 4, "y": 4}), (-1, {"x": 4, "y": 4}), (-3, {"A": 4, "B": 4})])  # fmt: skip
def test_classes_from(looked, tmp_path, level, expected):
    films(tmp_path / "films", *LEVELS)
    text, listing = looked("films", "--classes-from", level)
    assert totals(listing) == expected
    assert f"classes ({', '.join(expected)})" in text


def test_a_level_that_is_not_there(refused, tmp_path):
    films(tmp_path / "films", *LEVELS)
    said = "Expected for --classes-from a folder level from 1 to 3, or -1 for the folder of the file; received 4."
    assert said in refused("films", "--classes-from", 4, code=2)
    assert "received 0." in refused("films", "--classes-from", 0, code=2)
    assert "Expected --layout or --classes-from; received both." in refused(
        "films", "--classes-from", 1, "--layout", "class", code=2
    )


# ---- presets


def test_a_preset(looked, tmp_path):
    made_sets.nih14(tmp_path / "nih")
    text, listing = looked("nih", "--preset", "nih14", "--label-of", "Effusion")
    assert listing["counts"] == {"Effusion": {"train": 2, "test": 1}, "no Effusion": {"train": 4, "test": 2}}
    assert "9 radiographs would be read, of 7 known patients.\nSources: NIH ChestX-ray14." in text


def test_a_preset_that_is_none_or_beside_what_it_knows(refused, tmp_path):
    made_sets.nih14(tmp_path / "nih")
    assert "received nih-14. Did you mean nih14? See plainfilm presets." in refused("nih", "--preset", "nih-14", code=2)
    table(tmp_path, "file,label")
    assert "Expected --preset or --labels; received both." in refused(
        "nih", "--preset", "nih14", "--labels", "labels.csv", code=2
    )
    for flag in ("--label-column", "--file-column", "--patient-column", "--source-column"):
        assert f"Expected --preset or {flag}; received both. A preset knows its tables and columns" in refused(
            "nih", "--preset", "nih14", flag, "1", code=2
        )


@pytest.mark.parametrize("columns", ["80", "200"])
def test_presets_are_listed_and_fit_the_terminal(call, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    code, out, err = call("presets")
    assert (code, err) == (0, "")
    rows, _, rest = out.partition("\n\n")
    head, *rows = rows.splitlines()
    assert head.split() == ["preset", "images", "size", "licence", "labels"]
    assert all(len(line) <= 80 for line in (head, *rows))
    assert [line.split()[0] for line in rows] == [preset.name for preset in PRESETS]
    for line, preset in zip(rows, PRESETS, strict=True):
        assert f"{preset.images:,}" in line
        assert line.rstrip().endswith("findings") == preset.several
        assert f"{preset.name}: {preset.title}. {preset.note}" in rest
    assert "docs/datasets.md" in rest
