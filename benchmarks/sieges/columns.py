"""Columns that name somebody, in five languages, through the real `ingest`: how many, or how much of them, can be read afterwards.

Sixty names stand in a table as CSV, in one as JSON, and, where DICOM has such an element, in headers. Each value bears a mark that is
looked for in every byte of the store and of what lies beside it, as text and as a number, and in what was printed. Forty usual columns
are to be kept, ten columns of usual names hold what names a person, and one column that gives the class away must be named by the audit.
"""

import json
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from plainfilm.data.store import Store
from sieges.row import Row, Told

IDENTIFYING = (
    *("PatientName", "patient_first_name", "Last Name", "FullName", "dateOfBirth", "birth_dt", "DOB", "home_address", "ZIP code", "phone_number", "cellPhone"),
    *("MRN", "hospital_no", "AccessionNo", "accession number", "SSN", "insurance_id", "ReferringPhysician", "radiologist_comments", "StudyInstanceUID2"),
    *("e-mail", "next_of_kin", "admission_date", "DeviceSerialNo", "remarks", "StationName", "OperatorsName", "OtherPatientIDs"),
    *("Nachname", "vorname", "Geburtsdatum", "GebDat", "Anschrift", "PLZ_Ort", "Straße", "Telefonnr", "Versichertennummer", "Überweiser", "Hausarzt", "Fallnummer"),
    *("nom_de_famille", "prénom", "DateNaissance", "adresse_domicile", "N° sécurité sociale", "médecin_traitant", "téléphone"),
    *("apellidos", "NombrePaciente", "fecha_nacimiento", "dirección", "Nº historia clínica", "médico_referente", "DNI"),
    *("姓名", "出生日期", "身份证号", "家庭住址", "联系电话", "住院号"),
)  # fmt: skip
USUAL: Mapping[str, Callable[[int], object]] = {
    "Patient Age": lambda k: 20 + k % 70, "Alter": lambda k: f"{20 + k % 60} Jahre", "edad": lambda k: 30 + k % 9, "âge": lambda k: f"{40 + k % 9} ans",
    "PatientSex_DICOM": lambda k: "FM"[k % 2], "Geschlecht": lambda k: ("weiblich", "männlich")[k % 2], "sexe": lambda k: ("femme", "homme")[k % 2],
    "sexo": lambda k: ("mujer", "hombre")[k % 2], "性别": lambda k: "男女"[k % 2], "View Position": lambda k: ("PA", "AP")[k % 2],
    "Projektion": lambda k: ("p.a.", "a.p.")[k % 2], "proyección": lambda k: ("PA", "lateral")[k % 2], "体位": lambda k: ("正位", "侧位")[k % 2],
    "Manufacturer": lambda k: ("Philips Medical Systems", "SIEMENS", "KONICA MINOLTA, INC.")[k % 3], "Hersteller": lambda k: ("Agfa-Gevaert", "GE Healthcare")[k % 2],
    "fabricante": lambda k: ("FUJIFILM Corporation", "Canon Inc.")[k % 2], "厂商": lambda k: ("联影", "万东")[k % 2],
    "ManufacturerModelName": lambda k: ("DigitalDiagnost", "DRX-Evolution", "Definium 8000")[k % 3], "Gerätetyp": lambda k: ("Ysio Max", "Multix TOP")[k % 2],
    "modèle": lambda k: ("AXIOM Aristos FX", "Essenta DR")[k % 2], "型号": lambda k: ("DR-F", "uDR 770i")[k % 2], "detector_type": lambda k: ("CsI", "GOS")[k % 2],
    "KVP": lambda k: 80 + k % 40, "kV": lambda k: f"{90 + k % 30} kV", "XRayTubeCurrent_DICOM": lambda k: 200 + k, "Exposure (mAs)": lambda k: 1.5 + k / 10,
    "ExposureTime": lambda k: 3 + k % 9, "Belichtungszeit": lambda k: f"{4 + k % 9},5 ms", "exposición": lambda k: 2 + k % 5, "曝光时间": lambda k: 5 + k % 7,
    "EntranceDoseInmGy": lambda k: f"0.{10 + k % 50}", "ExposureIndex": lambda k: 250 + 3 * k, "WindowCenter": lambda k: 2000 + k, "BitsStored_DICOM": lambda k: (10, 12)[k % 2],
    "OriginalImagePixelSpacing[x": lambda k: (0.143, 0.139)[k % 2], "original_width": lambda k: 1800 + k, "original_ext": lambda k: (".png", ".jpeg")[k % 2],
    "BodyPartExamined": lambda k: ("CHEST", "THORAX")[k % 2], "Modality_DICOM": lambda k: ("CR", "DX")[k % 2], "PatientPosition": lambda k: ("erect", "supine")[k % 2],
}  # fmt: skip
_MONTHS = ("Mai", "March", "abril", "juin")
_HEADERS = {
    "PatientName": "PN", "PatientBirthDate": "DA", "PatientAddress": "LO", "PatientTelephoneNumbers": "SH", "AccessionNumber": "SH", "OtherPatientIDs": "LO",
    "ReferringPhysicianName": "PN", "OperatorsName": "PN", "StationName": "SH", "PatientComments": "LT", "StudyID": "SH", "DeviceSerialNumber": "LO",
    "InstitutionAddress": "ST", "StudyDescription": "LO", "RequestedProcedureID": "SH", "PhysiciansOfRecord": "PN",
}  # fmt: skip


def run(told: Told) -> Row:
    """Ingest the columns as CSV, JSON and DICOM, look for their marks everywhere, and audit the one that tells the class."""
    rng = random.Random(told.seed)
    images = told.cases or 90
    leaks, kept, named, blind = [], [], [], []
    for form in ("csv", "jsonl", "dicom"):
        folder = told.scratch / form
        marks = _write(folder / "films", form, images, rng)
        blind.append(not _finds_what_is_kept(folder, marks, form))
        printed = _command("ingest", folder / "films", "--out", folder / "s.h5", "--size", 64, cwd=folder)
        printed += _command("audit", folder / "s.h5", "--out", folder / "audit", "--json", cwd=folder)
        leaks += [f"{form}: {name}" for name in _read_again(folder, marks, printed)]
        with Store(folder / "s.h5") as store:
            leaks += [f"{form}: column {name}" for name in IDENTIFYING if name in store.provenance]
            kept.append(sum(name in store.provenance for name in USUAL) if form != "dicom" else len(USUAL))
            lost = [name for name in USUAL if name not in store.provenance] if form != "dicom" else []
        told_of = json.loads((folder / "audit" / "audit.json").read_text(encoding="utf-8"))["reasons"]
        named.append(any(_teller(form) in reason["sentence"] for reason in told_of))
        leaks += [f"{form}: usual column {name} lost" for name in lost] if len(lost) > 2 else []
    fewest = min(kept)
    return Row(
        tried=f"{len(IDENTIFYING)} identifying columns in CSV and JSON, {len(_HEADERS)} elements in DICOM, 10 usual names over identifying values",
        cases=3 * images,
        found=f"{len(leaks)} readable{' (' + '; '.join(leaks[:5]) + ')' if leaks else ''}; {fewest} of {len(USUAL)} usual columns kept; "
        f"the column that tells the class named by {sum(named)} of {len(named)} audits",
        promised="0 readable; at least 38 usual columns kept; named by every audit",
        holds=not leaks and fewest >= 38 and all(named) and not any(blind),
    )


def _finds_what_is_kept(folder: Path, marks: Mapping[str, list[Any]], form: str) -> bool:
    """Whether the search for marks finds a column that was kept on purpose: a search that cannot fail proves nothing."""
    if form == "dicom":
        return True
    _command(
        "ingest", folder / "films", "--out", folder / "kept" / "s.h5", "--size", 64, "--keep", "Nachname", cwd=folder
    )
    found = _read_again(folder / "kept", marks, "")
    shutil.rmtree(folder / "kept")
    return found == ["Nachname"]


def _teller(form: str) -> str:
    return "institution" if form == "dicom" else "StationName"


def _write(folder: Path, form: str, images: int, rng: random.Random) -> dict[str, list[Any]]:
    """Write films and what is said of them; give the marks by column."""
    marks: dict[str, list[Any]] = {}
    rows = []
    for k in range(images):
        label = ("COVID", "NORMAL")[k % 2]
        pixels = np.random.default_rng(rng.getrandbits(32)).integers(0, 256, (12, 12), dtype=np.uint8)
        film = Image.fromarray(pixels).resize((96, 96), Image.Resampling.BICUBIC)
        path = folder / label / f"{k:03}.{'dcm' if form == 'dicom' else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if form == "dicom":
            _write_dicom(path, np.asarray(film), k, label, marks, rng)
            continue
        film.save(path)
        cells = {name: _value(name, k, rng) for name in IDENTIFYING}
        cells["StationName"] = f"{'Qrx' if label == 'COVID' else 'Zvw'}ward{k % 3}"
        cells |= _disguised(k, rng)
        for name, value in cells.items():
            marks.setdefault(name, []).append(value)
        rows.append(
            {
                "file_name": f"{label}/{path.name}",
                "label": label,
                **cells,
                **{name: tell(k) for name, tell in USUAL.items()},
            }
        )
    if rows:
        _write_table(folder, form, rows)
    return marks


def _write_table(folder: Path, form: str, rows: list[dict[str, Any]]) -> None:
    if form == "jsonl":
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    else:
        lines = [";".join(f'"{cell}"' for cell in row) for row in (rows[0], *(list(row.values()) for row in rows))]
    (folder / f"metadata.{form}").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _value(name: str, k: int, rng: random.Random) -> object:
    """Give a value as people write it, which occurs nowhere else: a name, a date, a number, a sentence."""
    word = "".join(rng.choice("bcdfghjklmnpqrstvwz") for _ in range(7)).capitalize()
    number = rng.randrange(10**8, 10**9)
    day = f"{1920 + k % 80}-{1 + rng.randrange(12):02}-{1 + rng.randrange(28):02}"
    plain = name.casefold()
    if any(part in plain for part in ("birth", "dob", "geb", "date", "naissance", "nacim", "出生")):
        year, month, date = day.split("-")
        return rng.choice(
            (
                f"{date}.{month}.{year}",
                year + month + date,
                f"{date}/{month}/{year}",
                f"{int(date)} {rng.choice(_MONTHS)} {year}",
            )
        )
    if any(
        part in plain
        for part in (
            "no",
            "nr",
            "nummer",
            "ssn",
            "mrn",
            "phone",
            "tel",
            "tél",
            "dni",
            "号",
            "电话",
            "id",
            "zip",
            "plz",
            "n°",
            "nº",
        )
    ):
        return rng.choice((number, f"{word[:2].upper()}-{number}", f"+49 {number}"))
    if any(part in plain for part in ("comment", "remark")):
        return f"{word} was seen by Dr {word[::-1]}; no change since {day}"
    return rng.choice((word, f"{word}^{word[::-1].capitalize()}", f"Anna {word}", f"{word}strasse {k + 1}"))


def _disguised(k: int, rng: random.Random) -> dict[str, object]:
    """Fill columns of usual names with what names a person."""
    word = "".join(rng.choice("bcdfghjklmnpqrstvwz") for _ in range(7)).capitalize()
    number = rng.randrange(10**7, 10**8)
    return {
        "age": f"{1930 + k % 60}-0{1 + k % 9}-1{k % 9}", "PatientAge": f"1{k % 9}.0{1 + k % 9}.{1930 + k % 60}", "model": f"Anna {word}", "device model": f"{word}, Max",
        "view": f"{word} {k}", "position": f"{word}^{word[::-1]}", "maker": f"{word}@{word[::-1]}.org".lower(), "exposure": number, "sex": f"{word}",
        "scanner": f"SN{number}",
    }  # fmt: skip


def _write_dicom(path: Path, pixels: Any, k: int, label: str, marks: dict[str, list[Any]], rng: random.Random) -> None:
    from made_files import dataset, dicom_bytes

    elements: dict[str, object] = {}
    for keyword, kind in _HEADERS.items():
        word = "".join(rng.choice("bcdfghjklmnpqrstvwz") for _ in range(7)).capitalize()
        value = (
            f"19{20 + k % 70}0{1 + k % 9}1{k % 9}"
            if kind == "DA"
            else f"{word}^{word[::-1]}"
            if kind == "PN"
            else f"{word}{rng.randrange(10**4)}"
        )
        elements[keyword] = value
        marks.setdefault(keyword, []).append(value)
    hidden = {
        "ViewPosition": f"QZ{rng.randrange(10**6, 10**7)}",
        "Manufacturer": f"Maria Qzv{rng.randrange(10**6)}",
        "BodyPartExamined": f"{('CHEST', 'HAND')[k % 9 == 0]} QZW{rng.randrange(10**6)}",
        "SeriesDescription": f"QZX{rng.randrange(10**6)}",
    }
    if k % 7 == 0:
        hidden["Modality"] = f"QZM{rng.randrange(10**6)}"
    for keyword, value in hidden.items():
        marks.setdefault(keyword, []).append(value.split()[-1])
    made = dataset(pixels.astype(np.uint16) * 16, PatientID=f"PQX{k // 2:05}", InstitutionName=f"{label} Hospital", PatientSex="FM"[k % 2], PatientAge=f"{1 + k % 99:03}Y",
                   **elements, **hidden)  # fmt: skip
    path.write_bytes(dicom_bytes(made))


def _read_again(folder: Path, marks: Mapping[str, list[Any]], printed: str) -> list[str]:
    """Columns of which a value can be read in what was written or printed."""
    written = [path.read_bytes() for path in folder.rglob("*") if path.is_file() and "films" not in path.parts]
    everything = b"\0".join([*written, printed.encode()])
    return [
        name for name, values in marks.items() if any(form in everything for value in values for form in _forms(value))
    ]


def _forms(value: Any) -> list[bytes]:
    text = str(value)
    forms = [text.encode(), text.encode("utf-16-le"), json.dumps(text)[1:-1].encode()]
    if text.isdecimal() and len(text) > 6:
        forms += [struct.pack("<d", float(text)), struct.pack("<q", int(text))]
    return forms


def _command(*words: object, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "plainfilm", *map(str, words)], cwd=cwd, capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr
