"""Labels of a table: one class, a column a finding, several names in a cell, one row a finding."""

from collections import defaultdict

import pytest

from plainfilm.data.cataloguing.labelling import labelling_of
from plainfilm.data.tables.reading import read_table
from plainfilm.errors import CatalogError


@pytest.fixture
def read(tmp_path):
    def reader(text, asked=None, task=None, **columns):
        path = tmp_path / "t.csv"
        path.write_text(text)
        table = read_table(path, columns=columns)
        rows = defaultdict(list)
        for row in table.rows:
            rows[row.get("file_name")].append(row)
        labelling = labelling_of(table, rows, asked, task)
        labels = {name: labelling.labels(each) for name, each in rows.items()}
        findings = {name: [*map(signed, labelling.findings(each))] for name, each in rows.items()}
        return labels, labelling.names, findings

    return reader


def signed(byte):
    return byte - 256 if byte > 127 else byte


COLUMNS = "file_name,Edema,Mass\n1.png,1.0,0.0\n2.png,0,-1\n3.png,,1\n4.png,,\n"
LISTS = "file_name,finding\n1.png,Edema|Mass\n2.png,Mass|Edema\n3.png,No Finding\n4.png,Mass\n5.png,\n"


def test_one_name_a_row_is_the_class(read):
    labels, names, findings = read("file_name,label\n1.png, A  b \n2.png,B\n3.png,\n")
    assert labels == {"1.png": {"A b"}, "2.png": {"B"}, "3.png": set()}
    assert (names, findings) == ((), {"1.png": [], "2.png": [], "3.png": []})


def test_a_table_without_labels_says_nothing_of_them(read):
    assert read("file_name,age\n1.png,44\n")[0] == {"1.png": set()}
    with pytest.raises(CatalogError, match="Expected findings in .* for label_of=.A.; .* `label_column`"):
        read("file_name,age\n1.png,44\n", "A")


def test_columns_of_which_each_image_has_one_are_classes(read):
    labels, names, _ = read("file_name,COVID,Normal\n1.png,1,0\n2.png,0,1\n")
    assert (labels, names) == ({"1.png": {"COVID"}, "2.png": {"Normal"}}, ())


@pytest.mark.parametrize("task", [None, "classes", "findings"])
def test_columns_of_which_an_image_has_none_or_several_state_findings(read, task):
    labels, names, findings = read(COLUMNS, task=task)
    assert labels == {"1.png": {"Edema"}, "2.png": {"No Finding"}, "3.png": {"Mass"}, "4.png": set()}
    assert (names, findings["2.png"], findings["4.png"]) == (("Edema", "Mass"), [0, -1], [-2, -2])


def test_a_finding_that_is_asked_for_is_there_not_there_or_uncertain(read):
    labels, names, findings = read(COLUMNS, "mass")
    assert labels == {"1.png": {"no Mass"}, "2.png": set(), "3.png": {"Mass"}, "4.png": set()}
    assert names == ("Edema", "Mass")
    assert findings == {"1.png": [1, 0], "2.png": [0, -1], "3.png": [-2, 1], "4.png": [-2, -2]}


def test_lists_state_findings_and_their_order_does_not_count(read):
    assert list(read(LISTS)[0].values()) == [{"Edema|Mass"}, {"Edema|Mass"}, {"No Finding"}, {"Mass"}, set()]
    labels, names, findings = read(LISTS, "Edema")
    assert labels["1.png"] == labels["2.png"] == {"Edema"}
    assert labels["3.png"] == labels["4.png"] == {"no Edema"}
    assert labels["5.png"] == set()
    assert names == ("Edema", "Mass", "No Finding")
    assert findings["1.png"] == findings["2.png"] == [1, 1, 0]
    assert findings["5.png"] == [-2, -2, -2]


def test_one_row_a_finding_is_joined(read):
    rows = "".join(f"{image}.png,{name}\n" for image in range(6) for name in ("Edema", "Mass"))
    assert read(f"file_name,label\n{rows}7.png,Mass\n")[0]["0.png"] == {"Edema|Mass"}
    labels, _, findings = read(f"file_name,label\n{rows}7.png,Mass\n", "Edema")
    assert (labels["0.png"], labels["7.png"]) == ({"Edema"}, {"no Edema"})
    assert (findings["0.png"], findings["7.png"]) == ([1, 1], [0, 1])


def test_few_contradictions_are_left_to_their_images(read):
    rows = "".join(f"{image}.png,A\n" for image in range(100))
    labels, names, _ = read(f"file_name,label\n{rows}1.png,B\n")
    assert (labels["1.png"], labels["2.png"], names) == ({"A", "B"}, {"A"}, ())


def test_readers_who_differ_count_as_present_before_uncertain_before_absent(read):
    text = "file_name,Edema,Mass\n1.png,0,0\n1.png,1,-1\n2.png,0,0\n2.png,,-1\n"
    _, _, findings = read(text, "Edema")
    assert findings == {"1.png": [1, -1], "2.png": [0, -1]}


def test_a_finding_that_is_not_there_is_one_line(read):
    with pytest.raises(CatalogError, match=r"among Edema, Mass; received Masss. Did you mean Mass\?"):
        read(COLUMNS, "Masss")


def test_of_several_readers_more_than_half_decide(read):
    states = {"a": "111", "b": "110", "c": "100", "d": "000", "e": "10", "f": "-1,1", "g": "1", "h": ",,"}
    rows = [
        f"{name}.png,R{reader},{state}"
        for name, each in states.items()
        for reader, state in enumerate(each.split(",") if "," in each else each)
    ]
    text = "file_name,rad_id,Edema,Mass\n" + "".join(f"{row},0\n" for row in rows)
    labels, names, findings = read(text, "Edema", reader="rad_id")
    assert names == ("Edema", "Mass")
    assert {name[0]: states[0] for name, states in findings.items()} == {
        "a": 1,
        "b": 1,
        "c": 0,
        "d": 0,
        "e": -1,
        "f": -1,
        "g": 1,
        "h": -2,
    }
    assert labels["b.png"] == {"Edema"}
    assert labels["c.png"] == labels["h.png"] == {"no Edema"}
    assert labels["e.png"] == set()


def test_a_reader_who_names_a_finding_twice_is_one_voice(read):
    rows = [
        ("a", "R1", "Mass"),
        ("a", "R1", "Mass"),
        ("a", "R2", "Edema"),
        ("a", "R3", "No finding"),
        ("b", "R1", "Mass"),
        ("b", "R2", "Mass"),
    ]
    text = "file_name,rad_id,class_name\n" + "".join(f"{name}.png,{reader},{label}\n" for name, reader, label in rows)
    labels, _, _ = read(text, "Mass", reader="rad_id")
    assert labels == {"a.png": {"no Mass"}, "b.png": {"Mass"}}


def test_minus_one_among_labels_of_0_and_1_is_uncertain_and_no_label(read):
    labels, _, _ = read("file_name,label\n1.png,1.0\n2.png,-1.0\n3.png,0\n4.png,\n")
    assert labels == {"1.png": {"1"}, "2.png": set(), "3.png": {"0"}, "4.png": set()}
    labels, _, _ = read("file_name,label\n1.png,1\n2.png,-1\n3.png,2\n")
    assert labels["2.png"] == {"-1"}


NAMES = ["Edema", "Effusion", "Fibrosis", "Hernia", "Mass", "Nodule"]
PAIRS = [f"{a};{b}" for k, a in enumerate(NAMES) for b in NAMES[k + 1 :]]


@pytest.mark.parametrize("separator", [";", ", "])
def test_lists_are_lists_though_some_of_their_parts_are_rare(read, separator):
    cells = [
        cell.replace(";", separator) for cell in (*PAIRS, *NAMES, "Mass;Rare one", "Mass;Rare two", "Mass;Rare three")
    ]
    text = "file_name,label\n" + "".join(f'{k}.png,"{cell}"\n' for k, cell in enumerate(cells))
    labels, _, _ = read(text, "Effusion")
    assert {name for name, label in labels.items() if label == {"Effusion"}} == {
        f"{k}.png" for k, cell in enumerate(cells) if "Effusion" in cell
    }
    assert read(text)[0]["0.png"] == {"Edema|Effusion"}


def test_brackets_hold_lists(read):
    labels, _, _ = read('file_name,label\n1.png,"[Effusion, Mass]"\n2.png,[Effusion]\n3.png,[Mass]\n', "Effusion")
    assert labels == {"1.png": {"Effusion"}, "2.png": {"Effusion"}, "3.png": {"no Effusion"}}


@pytest.mark.parametrize(
    "cells",
    [
        ["Pneumonia, viral", "Pneumonia, bacterial", "Normal"],
        ["Kyphosis, mild", "Kyphosis, severe", "Scoliosis, mild", "Scoliosis, severe"],
    ],
)
def test_classes_with_a_comma_stay_classes(read, cells):
    labels, names, _ = read("file_name,label\n" + "".join(f'{k}.png,"{cell}"\n' for k, cell in enumerate(cells)))
    assert (labels, names) == ({f"{k}.png": {cell} for k, cell in enumerate(cells)}, ())


def test_more_findings_than_a_store_keeps_are_one_line_and_none_is_dropped(read):
    names = [f"F{number}" for number in range(501)]
    rows = "".join(f"{row}.png,{','.join(str((row + k) % 2) for k in range(501))}\n" for row in range(2))
    with pytest.raises(CatalogError, match="Expected at most 500 findings in .*; received 501. Leave some out"):
        read(f"file_name,{','.join(names)}\n{rows}")
