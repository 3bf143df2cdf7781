"""What the columns of a table are for: by the user's word, by their names, or, without a header, by what is in them."""

import difflib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

from plainfilm.data.spelling import listed, spelling_key
from plainfilm.data.tables.findings import is_state, states_findings
from plainfilm.data.tables.grid import Grid
from plainfilm.errors import CatalogError


@lru_cache(4096)  # each of many tables is asked for the same names
def letters(header: str) -> str:
    """Give the letters and digits of a name, without case and accents."""
    plain = unicodedata.normalize("NFKD", header).casefold()
    return "".join(sign for sign in plain if sign.isalnum())


# Ours -> what others call it, by letters and digits alone; where a table has several of them, the first one counts.
COLUMNS: dict[str, tuple[str, ...]] = {
    "file_name": (
        *("filename", "file", "filepath", "path", "image", "imagename", "imagefile", "imagepath", "imagefilename"),
        *("imageindex", "imageid", "xrayimagename", "img", "dicomid", "dicompath", "pathtoimage"),
        *("datei", "dateiname", "bild", "bildname", "bilddatei", "fichier", "nomfichier", "nomdufichier"),
        *("archivo", "nombrearchivo", "imagen", "arquivo", "ficheiro", "immagine", "bestand"),
        *("文件名", "图片", "图像", "ファイル名", "画像", "파일명", "이미지", "файл", "имяфайла"),
    ),
    "label": (
        *("label", "labels", "class", "classname", "finding", "findings", "findinglabels", "diagnosis", "category"),
        *(
            "target",
            "groundtruth",
            "gt",
            "classid",
            "klasse",
            "diagnose",
            "befund",
            "kategorie",
            "classe",
            "diagnostic",
        ),
        *("etiquette", "categorie", "clase", "etiqueta", "diagnostico", "hallazgo", "categoria", "diagnosi"),
        *("标签", "类别", "诊断", "ラベル", "診断", "라벨", "진단", "метка", "диагноз"),
    ),
    "patient_id": (
        *("patientid", "patient", "subject", "subjectid", "patientennummer", "patientenid", "patientnr", "idpatient"),
        *("participantid", "participant", "subjectidentifier", "patientnumber", "patientno", "mrn", "caseid"),
        *("paciente", "pacienteid", "idpaciente", "paziente"),
    ),
    "source": (
        *("source", "hospital", "site", "institution", "center", "centre", "institutionname", "dataset"),
        *("quelle", "krankenhaus", "klinik", "hopital", "fuente", "centro"),
    ),
    "split": ("split", "subset", "partition", "datasettype"),
    "view": (
        *("view", "viewposition", "projection", "frontallateral", "appa"),
        *(
            "projektion",
            "ansicht",
            "incidence",
            "vista",
            "proyeccion",
            "projecao",
            "proiezione",
            "体位",
            "投照体位",
            "投影",
        ),
    ),
    "sex": (
        *("sex", "gender", "patientsex", "patientgender", "patientsexdicom", "geschlecht", "sexe", "sexo", "sesso"),
        *("genero", "genre", "genere", "geslacht", "性别", "性別", "성별", "пол"),
    ),
    "age": (
        *("age", "patientage", "alter", "edad", "ageyears", "patientenalter", "idade", "eta", "leeftijd"),
        *("年龄", "年齡", "年齢", "나이", "возраст"),
    ),
    "folder": ("folder",),
    "modality": ("modality",),
    "sop_instance_uid": ("sopinstanceuid", "sopuid"),
    "study_instance_uid": ("studyinstanceuid", "studyuid"),
    "accession_number": ("accessionnumber", "accession"),
    "study_id": ("studyid",),
}
FLAGS: Mapping[str, str] = {
    "file_name": "--file-column",
    "label": "--label-column",
    "patient_id": "--patient-column",
    "source": "--source-column",
}
_EXTENSIONS = frozenset({
    *("png", "jpg", "jpeg", "jpe", "jfif", "tif", "tiff", "webp", "bmp", "gif", "pgm", "npy", "jp2", "j2k", "gz"),
    *("dcm", "dicom", "dic", "ima", "img", "nii", "mha", "nrrd"),
})  # fmt: skip

_WEAK = {
    "file_name": ("id",),
    "label": (
        *("result", "resultat", "resultado", "outcome", "covid", "covid19", "y"),
        *("classlabel", "labelname", "group", "status", "dx", "condition", "disease", "pathology", "type", "severity"),
    ),
}
_SHARED = {"view", "sex", "age", "modality"}  # two columns of one such name do not endanger what is trained on
_NO_FINDING = {"followup", "fold", "index", "id"}
_ALL = {letters(alias) for names in (*COLUMNS.values(), *_WEAK.values()) for alias in names}
_SURE = {alias for column in COLUMNS for alias in COLUMNS[column] if len(alias) > 3} - {"subject", "source", "center"}
_LOOKED_AT = 1000  # rows, before a whole column is
_MOST_ODD = 0.1  # share of cells that are no state in what may be a finding all the same
_VALUES: Mapping[str, Collection[str]] = {
    "sex": {"m", "f", "male", "female", "o", "u"},
    "view": {"pa", "ap", "lateral", "frontal", "l", "ll", "lat", "ap supine", "ap erect"},
    "split": {"train", "training", "val", "valid", "validation", "dev", "test", "testing"},
}
_COVIDX = {"positive", "negative", "normal", "pneumonia", "covid-19"}


def names_image(cell: str) -> bool:
    """Whether a cell ends as the names of images do."""
    return "." in cell and without_extension(cell) != cell


def without_extension(name: str) -> str:
    """Name without the extension of an image, or several: `a.nii.gz`, `a.dcm.png`."""
    stem, _, extension = name.rpartition(".")
    if not stem or extension.lower() not in _EXTENSIONS:
        return name
    return without_extension(stem)


def is_weak(ours: str, header: str) -> bool:
    """Whether a name is taken for one of ours only where nothing else is: `group` may be a label, or a ward."""
    return letters(header) in _WEAK.get(ours, ())


def is_known(header: str) -> bool:
    """Whether a name is one that tables of images use."""
    return letters(header) in _ALL


def is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of some rows names columns."""
    first, rest = rows[0], [row for row in rows[1:] if row != rows[0]]
    if any(names_image(cell) for cell in first):
        return False
    if any(letters(cell) in _SURE for cell in first):
        return True
    if any(_recurs(cell, column) for cell, column in zip(first, zip(*rest, strict=True), strict=False)):
        return False
    return any(map(is_known, first)) or not any(map(_is_number, first))


def is_sure_header(headers: Sequence[str], columns: Sequence[Sequence[str]]) -> bool:
    """Whether these are surely names and no patient's data, so that a message may show them."""
    above_numbers = any(
        header and not _is_number(header) and any(column[:9]) and all(_is_number(cell) for cell in column[:9] if cell)
        for header, column in zip(headers, columns, strict=True)
    )
    return above_numbers or any(map(is_known, headers))


def _recurs(cell: str, column: Sequence[str]) -> bool:
    return bool(cell) and not _is_number(cell) and cell in column


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+]?\d[\d.,]*", cell))


def shown(headers: Iterable[str], *, sure: bool = True) -> str:
    """Give the names of columns for a message, never so many that they fill a screen, nor what may be a patient's data."""
    headers = list(headers)
    if not sure:
        return f"a first line of {len(headers)} cells that names none"
    return listed([header for header in headers if header])


def roles(grid: Grid, path: Path, asked: Mapping[str, str]) -> tuple[dict[str, int], tuple[int, ...]]:
    """Give the column of each of our names, and the columns that state one finding each.

    Raises
    ------
    CatalogError
        A column that is `asked` for is not there, or a name that is needed stands over two columns that differ.
    """
    found = {ours: _asked(grid, path, ours, wanted) for ours, wanted in asked.items()}
    found = {**(_by_name(grid, path, found) if grid.has_header else _by_content(grid.columns)), **found}
    findings = [
        place
        for place, column in enumerate(grid.columns if grid.has_header else ())
        if place not in found.values() and _is_finding(grid.headers[place], column)
    ]
    if grid.has_header:
        found = {**_weak(grid, findings, found), **found}
    findings = [place for place in findings if place not in found.values()]
    if "label" not in found:
        _check_findings(grid, path, findings, found)
    return found, tuple(findings)


def _asked(grid: Grid, path: Path, ours: str, wanted: str) -> int:
    for match in (str, letters):
        places = [place for place, header in enumerate(grid.headers) if match(header) == match(wanted) and header]
        if places:
            return _one_of(places, grid, path, wanted)
    if wanted.isdecimal() and 0 < int(wanted) <= len(grid.headers):
        return int(wanted) - 1
    close = difflib.get_close_matches(letters(wanted), map(letters, grid.headers), 1)
    sure = not grid.has_header or is_sure_header(grid.headers, grid.columns)
    meant = next((header for header in grid.headers if close and letters(header) == close[0]), "") if sure else ""
    received = shown(grid.headers, sure=sure) if grid.has_header else f"{len(grid.headers)} columns without a header"
    raise CatalogError(
        f"Expected a column {wanted} in {path}; received {received}. {f'Did you mean {meant}? ' if meant else ''}"
        f"Give {FLAGS.get(ours, ours)} a name, or a number from 1 to {len(grid.headers)}."
    )


def _by_name(grid: Grid, path: Path, found: Mapping[str, int]) -> dict[str, int]:
    by_letters = _places(grid)
    named = {}
    for ours, aliases in COLUMNS.items():
        places = next((by_letters[alias] for alias in map(letters, aliases) if alias in by_letters), None)
        if places and ours not in found:
            named[ours] = places[0] if ours in _SHARED else _one_of(places, grid, path, ours)
    return named


def _places(grid: Grid) -> dict[str, list[int]]:
    by_letters: dict[str, list[int]] = defaultdict(list)
    for place, header in enumerate(grid.headers):
        by_letters[letters(header)].append(place)
    return by_letters


def _one_of(places: Sequence[int], grid: Grid, path: Path, ours: str) -> int:
    """First of several columns of one name, which must not differ."""
    for place in places[1:]:
        if grid.columns[place] != grid.columns[places[0]]:
            raise CatalogError(
                f"Expected one column {grid.headers[place]} in {path}; received two that differ, columns "
                f"{places[0] + 1} and {place + 1}. Rename one"
                + (f", or give {FLAGS[ours]} the number of the other." if ours in FLAGS else ".")
            )
    return places[0]


def _is_finding(header: str, column: Sequence[str]) -> bool:
    if not _may_be_finding(header):
        return False
    return states_findings(set(islice(column, _LOOKED_AT)) | {""}) and states_findings(set(column))


def _may_be_finding(header: str) -> bool:
    return bool(header) and letters(header) not in _NO_FINDING and not letters(header).startswith("unnamed")


def _check_findings(grid: Grid, path: Path, findings: Sequence[int], found: Mapping[str, int]) -> None:
    """Refuse columns of one finding that differ; remark on those that say 0 and 1 but in a few rows, or in all rows the same."""
    by_key: dict[str, list[int]] = defaultdict(list)
    for place, header in enumerate(grid.headers):
        by_key[spelling_key(header)].append(place)
    for place in findings:
        _one_of(by_key[spelling_key(grid.headers[place])], grid, path, grid.headers[place])
    others = set(range(len(grid.headers))) - {*findings, *found.values()}
    for place in sorted(others) if findings else ():
        if _may_be_finding(grid.headers[place]) and (why := _almost_a_finding(grid.columns[place], grid.lines)):
            grid.remarks.append(f"The column {grid.headers[place]} is not read as a finding: {why}.")


def _almost_a_finding(column: Sequence[str], lines: Sequence[int]) -> str:
    """Say why a column that looks like a finding is none; "" for any other."""
    filled = [place for place, cell in enumerate(column) if cell]
    odd = [place for place in filled if not is_state(column[place])]
    if not filled or len(odd) > _MOST_ODD * len(filled):
        return ""
    if odd:
        return f"{len(odd):,} rows, such as line {lines[odd[0]]}, say neither 0, 1 nor -1"
    return "all rows say the same, or nothing that is known"


def _weak(grid: Grid, findings: Sequence[int], found: Mapping[str, int]) -> dict[str, int]:
    """Columns whose names are ours only where nothing speaks against it."""
    by_letters = _places(grid)
    named: dict[str, int] = {}
    for ours, aliases in _WEAK.items():
        for alias in aliases:
            place = by_letters.get(alias, [-1])[0]
            is_one_of_many = place in findings and len(findings) > 1
            is_coordinate = alias == "y" and "x" in by_letters
            is_count = alias == "id" and "patient_id" in found and _counts(grid.columns[place])
            if place >= 0 and ours not in found and not (is_one_of_many or is_coordinate or is_count):
                named.setdefault(ours, place)
    return named


def _counts(column: Sequence[str]) -> bool:
    """Whether a column numbers the rows."""
    return any(all(cell == str(i) for i, cell in enumerate(column, start)) for start in (0, 1))


def _by_content(columns: Sequence[Sequence[str]]) -> dict[str, int]:
    """Meaning of columns without a header, as far as it is certain."""
    files = [place for place, column in enumerate(columns) if _names_images(column)]
    if len(files) != 1:
        return {}
    found = {"file_name": files[0]}
    groups = {place: _group(column) for place, column in enumerate(columns) if place != files[0]}
    groups = {place: group for place, group in groups.items() if group}
    if len(columns) == 4 and files == [1] and groups.get(2, {""}) <= _COVIDX and 0 not in groups:
        return {"patient_id": 0, "file_name": 1, "label": 2, "source": 3}
    for ours, words in _VALUES.items():
        is_so = [place for place, group in groups.items() if group <= set(words)]
        if len(is_so) == 1:
            found[ours] = is_so[0]
            del groups[is_so[0]]
    if len(groups) == 1:
        found["label"] = next(iter(groups))
    return found


def _names_images(column: Sequence[str]) -> bool:
    filled = [cell for cell in column if cell]
    return bool(filled) and sum(names_image(cell) for cell in filled) >= 0.9 * len(filled)


def _group(column: Sequence[str]) -> set[str]:
    """Few values that recur, in small letters; none where they may be names of patients, measures or dates."""
    values = {cell.casefold() for cell in set(column) if cell}
    few = 2 <= len(values) <= 20 and len(column) >= 2 * len(values)
    is_measure = all(map(_is_number, values)) and not values <= {str(i) for i in range(10)}
    return values if few and not is_measure and not any("^" in value for value in values) else set()
