"""Tables as people write them: separators, encodings, JSON, spreadsheets, headers that are missing, columns of findings."""

import codecs
import csv
import gzip
import io
import json
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.data.cataloguing.entry import require
from plainfilm.data.tables.columns import COLUMNS
from plainfilm.data.tables.findings import NO_VALUE, finding_state, findings_of, joined, list_separator
from plainfilm.data.tables.reading import Table, read_table
from plainfilm.errors import CatalogError, MissingExtraError

ROWS = [("a.png", "COVID", "p1"), ("b.png", "Normal", "p2"), ("c.png", "COVID", "p3"), ("d.png", "Normal", "p4")]


def write(folder: Path, data: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(folder: Path, data: str | bytes, name: str = "t.csv", **columns: str) -> Table:
    return read_table(write(folder, data, name), columns=columns)


def told(folder: Path, data: str | bytes, name: str = "t.csv", **columns: str) -> str:
    with pytest.raises(CatalogError) as caught:
        read(folder, data, name, **columns)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def seen(table: Table) -> list[tuple[str, ...]]:
    return [(row.get("file_name"), row.get("label"), row.get("patient_id")) for row in table.rows]


def as_text(separator: str = ",", end: str = "\n", header: str = "file_name,label,patient_id") -> str:
    return end.join([header.replace(",", separator), *[separator.join(row) for row in ROWS]]) + end


# ---- text


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " ", "   "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_usual_separator_and_line_end_is_read(tmp_path, separator, end):
    table = read(tmp_path, as_text(separator, end))
    assert seen(table) == ROWS
    assert [row.line for row in table.rows] == [2, 3, 4, 5]
    assert (table.headers, table.remarks) == (("file_name", "label", "patient_id"), ())


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("cp1252"),
        lambda text: text.encode("utf-16"),
        lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-be"),
        lambda text: text.encode("utf-32"),
        lambda text: gzip.compress(text.encode()),
        lambda text: gzip.compress(text.encode("utf-16")),
    ],
)
def test_every_usual_encoding_is_read(tmp_path, encode):
    table = read(tmp_path, encode("file;Diagnose;größe\nä.png;Lungenentzündung;1,5\n"))
    assert [(row.get("file_name"), row.get("label"), row.details) for row in table.rows] == [
        ("ä.png", "Lungenentzündung", {"größe": "1,5"})
    ]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("sep=;\r\nfile;label\r\na,b.png;X\r\n", ("a,b.png", "X")),
        ('"sep=|"\nfile|label\na.png|X\n', ("a.png", "X")),
        ("# made, by, hand\n#\nfile,label\n# a note, here\na.png,X\n", ("a.png", "X")),
        ("# file,label\na.png,X\n", ("a.png", "X")),
        ("\n\nfile,label,,\na.png,X,,\n", ("a.png", "X")),
        ('file,label\n"a.png","mild, viral"\n', ("a.png", "mild, viral")),
        ('file, label\na.png, "mild, viral"\n', ("a.png", "mild, viral")),
        ('file,label\na.png,"two\nlines"\n', ("a.png", "two\nlines")),
        ("file;finding, site;label\na.png;mild, left;X\n", ("a.png", "mild, left", "X")),
        ("Image Index,Finding Labels\na.png,X|Y\n", ("a.png", "X|Y")),
        ('"file" "label"\n"1" "a.png" "mild viral"\n"2" "b.png" "none"\n', ("a.png", "mild viral")),
        ("file,label\n1,a.png,X\n2,b.png,Y\n", ("a.png", "X")),
        ("file,label,\na.png,X\n", ("a.png", "X")),
        ("#,file,label\n1,a.png,X\n", ("a.png", "X")),
        ("file,label\n#1.png,X\n", ("#1.png", "X")),
        ("File Name\nCOVID (1).png\nCOVID (2).png\n", ("COVID (1).png",)),
    ],
)
def test_what_stands_around_and_between_cells_is_understood(tmp_path, text, cells):
    table = read(tmp_path, text)
    row = table.rows[0]
    given = [row.cell(header) for header in table.headers if header not in {"#"}]
    assert tuple(given) == cells
    assert table.remarks == ()


def test_a_header_that_stands_again_is_no_row(tmp_path):
    table = read(tmp_path, "file,label\na.png,X\nfile,label\nb.png,Y\n")
    assert [row.get("file_name") for row in table.rows] == ["a.png", "b.png"]
    assert "line 3" in table.remarks[0]


def test_a_short_row_is_filled_and_told_and_a_long_one_is_an_error(tmp_path):
    table = read(tmp_path, "file,label,view\na.png,X\nb.png,Y,PA\n")
    assert [row.get("view") for row in table.rows] == ["", "PA"]
    assert table.remarks == ("1 rows, such as line 2, have cells for some columns alone.",)
    assert "4 cells in line 3 under 3 column names" in told(
        tmp_path, "file,label,view\na.png,X,PA\nb.png,DOE,JOHN,PA\n"
    )
    assert "line 2" in told(tmp_path, 'file,label\n"a.png,X\nb.png,Y\n')


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "an empty file"),
        (b"\n \n", "an empty file"),
        (b"# only this\n", "an empty file"),
        (b"\x89PNG\r\n\x1a\n\0\0", "a PNG image"),
        (b"\xff\xd8\xff\xe0\0", "a JPEG image"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\0" * 128 + b"DICM", "a DICOM file"),
        (b"\0\1\2\3" * 50, "binary data"),
        (b"a,b\n" + b"x,y\n" * 2000 + b"\0", "binary data"),
        (b"<!DOCTYPE html><html>Sign in</html>", "a web page"),
        (b"\xef\xbb\xbf  <html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "a pointer of Git LFS"),
        (b"\x1f\x8b\x08\x00broken", "a gzip file that is damaged"),
        (gzip.compress(b"file,label\n" * 99, mtime=0)[:-9], "a gzip file that is damaged"),
        (b"PK\x03\x04cut", "a spreadsheet or zip archive that is damaged"),
        (b'{"a": ' * 100_000, "JSON that is nested too deeply"),
        (b'[{"file": "a.png"}, {"patient": "DOE^JOHN"', "row 2, in line 1, which is not JSON"),
        (b'["a.png", "DOE^JOHN"]', "row 1, which is not a JSON object"),
    ],
)
def test_what_is_no_table_is_told_by_its_kind(tmp_path, data, kind):
    said = told(tmp_path, data)
    assert kind in said
    assert "DOE" not in said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes that have a name")
def test_a_pipe_is_no_table_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(CatalogError, match="received a pipe, a socket or a device; write the table to a file first"):
        read_table(tmp_path / "pipe.csv")


def test_a_zip_archive_is_told_to_be_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.csv", "w") as archive:
        archive.writestr("train.csv", "file,label\n")
    assert "a zip archive; unpack it" in told(tmp_path, (tmp_path / "t.csv").read_bytes())


CELLS = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\x85\u2028\u2029"), max_size=12)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=9),
    names=st.permutations(["image_id", "view", "a note", "remark"]),
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_writes_is_read_back(tmp_path_factory, rows, names, separator, end):
    written = [(f"i{i}.png", *row, "x") for i, row in enumerate(rows)]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=end)
    writer.writerow(names)
    writer.writerows(written)
    path = tmp_path_factory.getbasetemp() / "written.csv"
    path.write_bytes(text.getvalue().encode())
    table = read_table(path)
    assert table.headers == tuple(names)
    for name, cells in zip(names, zip(*written, strict=True), strict=True):
        plain = [cell.strip() for cell in cells]
        assert table.cells[name] == ["" if cell.lower() in NO_VALUE | {"none"} else cell for cell in plain]


# ---- JSON


@pytest.mark.parametrize(
    "form",
    [
        lambda rows: json.dumps(rows),
        lambda rows: json.dumps(rows, indent=1),
        lambda rows: "\n".join(map(json.dumps, rows)),
        lambda rows: json.dumps({"data": rows}),
        lambda rows: json.dumps({"info": {"year": 2020}, "images": rows, "licenses": []}),
        lambda rows: json.dumps({name: {str(i): row[name] for i, row in enumerate(rows)} for name in rows[0]}),
        lambda rows: json.dumps({name: [row[name] for row in rows] for name in rows[0]}),
        lambda rows: json.dumps({str(i): row for i, row in enumerate(rows)}),
        lambda rows: json.dumps({row["file_name"]: {k: row[k] for k in row if k != "file_name"} for row in rows}),
        lambda rows: json.dumps({"columns": list(rows[0]), "index": [0], "data": [list(row.values()) for row in rows]}),
    ],
)
@pytest.mark.parametrize("name", ["t.json", "t.csv"])
def test_every_usual_form_of_json_is_read(tmp_path, form, name):
    rows = [dict(zip(("file_name", "label", "patient_id"), row, strict=True)) for row in ROWS]
    assert seen(read(tmp_path, form(rows), name)) == ROWS


def test_a_word_a_file_is_a_table_too(tmp_path):
    table = read(tmp_path, '{"a.png": "COVID", "b.png": "Normal"}', "t.json")
    assert seen(table) == [("a.png", "COVID", ""), ("b.png", "Normal", "")]


def test_json_values_become_text(tmp_path):
    table = read(tmp_path, '{"file": "a.png", "age": 50.0, "x": null, "tags": ["é"], "ok": true}\n{"file": "b.png"}\n')
    assert table.rows[0].values == {"file_name": "a.png", "age": "50"}
    assert table.rows[0].details == {"tags": '["é"]', "ok": "true"}
    assert table.rows[1].details == {}


# ---- spreadsheets and parquet


def workbook(path: Path, **sheets: list[list[object]]) -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_the_sheet_that_names_files_is_read(tmp_path):
    rows = [["FILE NAME", "label", "patient"], ["a.png", 1.0, 12], ["b.png", 0, 13], ["c.png", None, None]]
    path = workbook(tmp_path / "t.xlsx", Notes=[["Made in 2020"]], Films=[["Study 7"], [], *rows])
    table = read_table(path)
    assert seen(table) == [("a.png", "1", "12"), ("b.png", "0", "13"), ("c.png", "", "")]
    assert [row.line for row in table.rows] == [4, 5, 6]
    assert table.remarks[0] == "The sheet Films is read; Notes not."


def test_an_open_document_is_read(tmp_path):
    pytest.importorskip("python_calamine")
    rows = [("file", "label"), ("a.png", "A"), ("b.png", "B")]
    cells = [
        "".join(
            f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>' for cell in row
        )
        for row in rows
    ]
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    body = "".join(f"<table:table-row>{row}</table:table-row>" for row in cells)
    content = (
        f'<office:document-content {spaces}><office:body><office:spreadsheet><table:table table:name="A">{body}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    with zipfile.ZipFile(tmp_path / "t.ods", "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
    assert seen(read_table(tmp_path / "t.ods")) == [("a.png", "A", ""), ("b.png", "B", "")]


def test_parquet_is_read_and_images_in_it_are_passed_over(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    images = [{"bytes": b"\x89PNG", "path": "a.png"}, {"bytes": b"", "path": "b.png"}]
    columns = {"image": images, "label": [1.0, None], "raw": [b"1", b"2"], "patient_id": [7, 8]}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert seen(table) == [("a.png", "1", "7"), ("b.png", "", "8")]
    assert table.remarks == ("Columns of binary data are not read: raw.",)
    assert "a parquet file that cannot be read" in told(tmp_path, b"PAR1cut", "u.parquet")


@pytest.mark.parametrize(("package", "name"), [("python_calamine", "t.xlsx"), ("pyarrow", "t.parquet")])
def test_what_reads_them_is_named_where_it_is_missing(tmp_path, monkeypatch, package, name):
    path = workbook(tmp_path / name, A=[["file", "label"]])
    if package == "pyarrow":
        path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"package {package} .* pip install 'plainfilm\[tables\]'"):
        read_table(path)


# ---- columns


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ("id,StudyInstanceUID,label", {"file_name": "id", "study_instance_uid": "StudyInstanceUID", "label": "label"}),
        ("patientId,x,y,width,height,Target", {"patient_id": "patientId", "label": "Target"}),
        ("image_id,class_name,class_id", {"file_name": "image_id", "label": "class_name"}),
        ("Path,Sex,Age,Frontal/Lateral,AP/PA", {"file_name": "Path", "sex": "Sex", "age": "Age", "view": "Frontal/Lateral"}),
        ("dicom_id,subject_id,study_id,ViewPosition", {"file_name": "dicom_id", "patient_id": "subject_id"}),
        ("ImageID,PatientID,Labels,Projection,PatientSex_DICOM", {"file_name": "ImageID", "label": "Labels"}),
        ("Image Index,Finding Labels,Patient ID,View Position", {"file_name": "Image Index", "label": "Finding Labels"}),
        (",X_ray_image_name,Label,Dataset_type", {"file_name": "X_ray_image_name", "split": "Dataset_type"}),
        ("Dateiname,Klasse,Patienten-Nr.", {"file_name": "Dateiname", "label": "Klasse"}),
        ("Fichier,Étiquette", {"file_name": "Fichier", "label": "Étiquette"}),
        ("archivo,diagnóstico,paciente", {"file_name": "archivo", "label": "diagnóstico", "patient_id": "paciente"}),
        ("image,result", {"file_name": "image", "label": "result"}),
        ("name,x", {}),
    ],
)  # fmt: skip
def test_the_columns_of_public_sets_are_known(tmp_path, headers, named):
    table = read(tmp_path, headers + "\n" + ",".join("uvwxyz"[: headers.count(",") + 1]) + "\n")
    assert {ours: name for ours, name in table.named.items() if ours in named} == named
    assert named or table.named == {}


def test_no_name_is_that_of_two_columns():
    names = [name for aliases in COLUMNS.values() for name in aliases]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("wanted", ["Scan No.", "scan no", "2"])
def test_a_column_may_be_asked_for(tmp_path, wanted):
    table = read(tmp_path, "file,Scan No.,group\nx,a.png,A\ny,b.png,B\n", file_name=wanted, label="group")
    assert table.named == {"file_name": "Scan No.", "label": "group"}
    assert table.rows[1].details == {"file": "y"}


def test_a_column_that_is_not_there_is_told_with_what_is(tmp_path):
    said = told(tmp_path, "file,diagnoses\na.png,A\n", label="diagnosis")
    assert "received file, diagnoses. Did you mean diagnoses?" in said
    assert "`label_column`" in said
    many = ",".join(f"column_{i}" for i in range(400))
    assert len(told(tmp_path, f"file,{many}\n", label="nothing")) < 700
    said = told(tmp_path, "DOE^JOHN,x\nROE^JANE,y\n", label="diagnosis")
    assert "DOE" not in said


def test_two_columns_of_one_name_are_an_error_where_they_are_needed_and_differ(tmp_path):
    said = told(tmp_path, "file,label,label\na.png,A,B\n")
    assert "received two that differ, columns 2 and 3" in said
    assert "`label_column`" in said
    assert read(tmp_path, "file,label,label\na.png,A,B\n", label="3").rows[0].get("label") == "B"
    assert read(tmp_path, "file,label,label\na.png,A,A\n").remarks == (
        "Two columns are called label; column 2 is read.",
    )
    table = read(tmp_path, "file,label,note,note\na.png,A,1,2\n")
    assert (table.rows[0].details, len(table.remarks)) == ({"note": "1"}, 1)


def test_columns_that_count_rows_are_no_details(tmp_path):
    table = read(tmp_path, ",Unnamed: 0,file,label\n0,0,a.png,A\n1,1,b.png,B\n")
    assert (table.headers, table.rows[0].details) == (("file", "label"), {})


def test_a_column_id_that_counts_rows_beside_patients_names_no_file(tmp_path):
    table = read(tmp_path, "id,patient_id,label\n0,p1,A\n1,p2,B\n")
    assert not table.is_about_files
    assert read(tmp_path, "id,label\n0,A\n1,B\n").is_about_files


def test_a_list_of_series_is_not_about_files(tmp_path):
    table = read(
        tmp_path, "Series UID,Collection,Subject ID,Modality,Number of Images,File Location\n1.2,X,p,CR,1,./x\n"
    )
    assert not table.is_about_files
    assert table.finding_columns == ()


# ---- a header that is missing


def test_the_header_that_covidx_lacks_is_known(tmp_path):
    lines = [f"{i} {i}-x.png {'positive' if i % 3 else 'negative'} {'cohen' if i % 2 else 'ricord'}" for i in range(12)]
    table = read(tmp_path, "\n".join(lines), "train_COVIDx9A.txt")
    assert table.named == {"patient_id": "1", "file_name": "2", "label": "3", "source": "4"}
    assert table.rows[1].values == {"patient_id": "1", "file_name": "1-x.png", "label": "positive", "source": "cohen"}


def test_columns_without_a_header_are_known_by_what_is_in_them(tmp_path):
    lines = [f"i{i}.png,{'CN'[i % 2]},DOE^JOHN,{'MF'[i % 3 == 0]},{40 + i}" for i in range(16)]
    table = read(tmp_path, "\n".join(lines))
    assert table.named == {"file_name": "1", "label": "2", "sex": "4"}
    assert (len(table.rows), table.has_header) == (16, False)
    assert (table.others, table.rows[0].details) == ((), {})  # a column that nothing is known of may hold names
    assert table.remarks == (
        "No header; column 1 is taken as file_name, column 4 is taken as sex, column 2 is taken as label.",
    )


def test_a_list_of_files_is_a_table_of_one_column(tmp_path):
    table = read(tmp_path, "00000001_000.png\n00000001_001.png\n", "train_val_list.txt")
    assert table.column("file_name") == ["00000001_000.png", "00000001_001.png"]


@pytest.mark.parametrize(
    "line",
    [
        "{i},DOE JOHN,{k}",
        "p{i},A^B,{k}",
        "p{i};{k};1.2.840.{i}",
        "id{i},y,{k}",
    ],
)
def test_rows_that_no_header_can_be_told_from_are_never_shown(tmp_path, line):
    table = read(tmp_path, "\n".join(line.format(i=i, k="AB"[i % 2]) for i in range(8)))
    assert not table.has_header
    assert table.named == {}
    assert table.shown_headers() == "3 columns and no header"
    with pytest.raises(
        CatalogError, match='3 columns and no header. Add a header, .*file_column="1", label_column="2"'
    ):
        require(table, "label")
    assert read_table(table.path, columns={"label": "3"}).named == {"label": "3"}


def test_a_first_line_that_may_be_a_row_is_never_shown(tmp_path):
    table = read(tmp_path, "DOE JOHN,flu\nROE JANE,none\n")
    assert table.shown_headers() == "a first line of 2 cells that names none"
    assert read(tmp_path, "scan,note,score\nx,y,3\n").shown_headers() == "scan, note, score"


# ---- values


def test_none_is_a_label_and_no_value_elsewhere(tmp_path):
    words = ["None", "none", "No Finding", "", "NaN", "null", "n/a", "NA", "-"]
    table = read(tmp_path, "file,label,view\n" + "".join(f"{i}.png,{word},{word}\n" for i, word in enumerate(words)))
    assert table.column("label") == ["None", "none", "No Finding", "", "", "", "", "", ""]
    assert table.column("view") == ["", "", "No Finding", "", "", "", "", "", ""]


def test_whole_numbers_among_labels_and_identities_have_no_fraction(tmp_path):
    cells = ["0", "0.0", " 0 ", "-1.00", "1.5", "007", "-0.0", "10.0", "v1.0", "1.2.0"]
    table = read(tmp_path, "file;label;patient_id;x\n" + "".join(f"1.0;{cell};{cell};{cell}\n" for cell in cells))
    whole = ["0", "0", "0", "-1", "1.5", "007", "0", "10", "v1.0", "1.2.0"]
    assert table.column("label") == table.column("patient_id") == whole
    assert table.cells["x"] == [cell.strip() for cell in cells]
    assert set(table.column("file_name")) == {"1.0"}


# ---- findings


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (["No Finding", "Mass|Effusion"], "|"),
        (["Mass; Effusion", "Effusion", "Mass"], ";"),
        (["Mass, Effusion", "Effusion", "Mass"], ","),
        (["Mass, Effusion", "Effusion, Nodule", "Nodule, Mass"], ","),
        (["Pneumonia, viral", "Pneumonia, bacterial", "Normal"], None),
        (["Pneumonia/Viral", "Pneumonia", "Viral"], None),
        (["No Finding", "COVID-19"], None),
        (["[A B]", "[A]", "[B]"], " "),
        (["[No Finding]", "[COVID]"], None),
        (["['a', 'b']", "['c']"], None),
        (["[a, b]", "[a]", "[b]"], ","),
        ([], None),
    ],
)
def test_what_separates_findings_is_told_from_the_whole_column(cells, separator):
    assert list_separator(cells) == separator


@pytest.mark.parametrize(
    ("cell", "separator", "names"),
    [
        ("Mass|Effusion", "|", ("Effusion", "Mass")),
        ("Effusion|Mass|Mass", "|", ("Effusion", "Mass")),
        ("No Finding", None, ("No Finding",)),
        (" No   Finding ", "|", ("No Finding",)),
        ('["B", "A\\u00e9"]', None, ("Aé", "B")),
        ("['B', 'A']", None, ("A", "B")),
        ("['B' 'A']", ",", ("A", "B")),
        ("['pleural effusion']", None, ("pleural effusion",)),
        ("['Hodgkin\\'s', \"it's\"]", None, ("Hodgkin's", "it's")),
        ("[B A]", " ", ("A", "B")),
        ("No Finding", " ", ("No Finding",)),
        ("[No Finding]", None, ("No Finding",)),
        ("[]", None, ()),
        ("", "|", ()),
        ("Mass, nan", ",", ("Mass",)),
    ],
)
def test_findings_of_a_cell_are_sorted_and_each_is_there_once(cell, separator, names):
    assert findings_of(cell, separator) == names


@given(
    names=st.sets(st.text("abcdXYZ-", min_size=1, max_size=6).filter(lambda name: name != "-"), min_size=1),
    seed=st.randoms(),
)
def test_the_order_of_findings_does_not_count(names, seed):
    shuffled = sorted(names)
    seed.shuffle(shuffled)
    assert findings_of("|".join(shuffled), "|") == findings_of("|".join(sorted(names)), "|")
    assert set(findings_of(json.dumps(shuffled))) == names


def test_columns_that_state_a_finding_each_are_known(tmp_path):
    text = (
        "Path,Sex,Age,No Finding,Edema,Fracture,Device,Seen,Follow-up,Note\n"
        "a.jpg,M,1,1.0,,0,True,1,0,x\nb.jpg,F,1,,-1.0,0,False,1,1,\n"
    )
    table = read(tmp_path, text)
    assert table.finding_columns == ("No Finding", "Edema", "Fracture", "Device")
    assert [finding_state(table.rows[0].cell(name)) for name in table.finding_columns] == [1, -2, 0, 1]
    assert [finding_state(table.rows[1].cell(name)) for name in table.finding_columns] == [-2, -1, 0, 0]


@pytest.mark.parametrize("cells", ["1,0,u", "1,0,?", "yes,no,unknown", "Y,N,Unclear", "1,0;0,0;-1,0", "present,absent,uncertain"])  # fmt: skip
def test_words_for_present_absent_and_unknown_are_known(tmp_path, cells):
    present, absent, unknown = cells.split(";") if ";" in cells else cells.split(",")
    rows = [f"a.png;1;{present}", f"b.png;0;{absent}", f"c.png;0;{unknown}"]
    table = read(tmp_path, "file;Edema;Mass\n" + "\n".join(rows) + "\n")
    assert [finding_state(cell) for cell in table.cells["Mass"]] == [1, 0, -1]
    assert (table.finding_columns, table.remarks) == (("Edema", "Mass"), ())


def test_a_column_that_is_almost_a_finding_is_told(tmp_path):
    rows = [f"{row}.png,{row % 2},{2 if row == 7 else row % 2},1,unknown,{row},," for row in range(20)]
    table = read(tmp_path, "file,Edema,Mass,Device,Smoker,Score,Note,\n" + "\n".join(rows) + "\n")
    assert table.finding_columns == ("Edema",)
    assert table.remarks == (
        "The column Mass is not read as a finding: 1 rows, such as line 9, say neither 0, 1 nor -1.",
        "The column Device is not read as a finding: all rows say the same, or nothing that is known.",
        "The column Smoker is not read as a finding: all rows say the same, or nothing that is known.",
    )


def test_two_columns_of_one_finding_that_differ_are_one_line(tmp_path):
    assert "two that differ, columns 2 and 3. Rename one." in told(tmp_path, "file,Mass,mass \na.png,1,0\nb.png,0,1\n")
    assert read(tmp_path, "file,Mass,mass \na.png,1,1\nb.png,0,0\n").finding_columns == ("Mass", "mass")


def test_a_finding_that_is_called_like_a_label_is_one_among_several_and_else_the_label(tmp_path):
    assert read(tmp_path, "image_id,COVID,Normal\na,1,0\nb,0,1\n").finding_columns == ("COVID", "Normal")
    assert read(tmp_path, "image_id,COVID\na,1\nb,0\n").named == {"file_name": "image_id", "label": "COVID"}
    assert read(tmp_path, "image_id,target,male\na,1,0\nb,0,1\n").named["label"] == "target"


# Hostile tables


def test_a_sheet_with_cells_at_the_ends_of_the_world_is_one_line(tmp_path):
    path = tmp_path / "far.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        cells = '<c r="A1"><v>1</v></c><c r="XFD1048576"><v>1</v></c>'
        archive.writestr(
            "xl/worksheets/sheet1.xml", f"<worksheet><sheetData><row>{cells}</row></sheetData></worksheet>"
        )
    with pytest.raises(CatalogError, match="cells lie in 1,048,576 rows and 16,384 columns"):
        read_table(path)


def test_a_table_that_inflates_without_end_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("plainfilm.data.tables.files.ALWAYS_INFLATED_BYTES", 1000)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"file_name,label\n" + b"a" * 10_000_000))
    with pytest.raises(CatalogError, match="inflates to more than 200 times its size"):
        read_table(path)


@pytest.mark.parametrize("declares", [None, 1000])
def test_a_workbook_that_inflates_to_gigabytes_is_refused_whatever_it_declares(tmp_path, declares):
    path = workbook(tmp_path / "t.xlsx", Films=[["file_name", "label"], ["a.png", "COVID"]])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet9.xml", bytes(100_000_000))
    whole = bytearray(path.read_bytes())
    if declares:
        for at in (whole.rindex(b"xl/worksheets/sheet9.xml") - 22, whole.index(b"xl/worksheets/sheet9.xml") - 8):
            whole[at : at + 4] = declares.to_bytes(4, "little")
        path.write_bytes(whole)
    with pytest.raises(CatalogError, match="inflates to more than|is damaged"):
        read_table(path)


def test_a_finding_is_present_where_one_that_stands_for_it_is_and_absent_where_all_are():
    left, right = np.array([1, 1, 0, 0, -2], np.int8), np.array([0, -1, 0, -2, -2], np.int8)
    assert joined([left, right]).tolist() == [1, 1, 0, -1, -1]
    assert joined([right]).tolist() == [0, -1, 0, -1, -1]
