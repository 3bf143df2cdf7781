"""Decoded DICOM pixels against the standard, dcmtk, GDCM and pydicom, over photometric interpretation, bits, sign, syntax and tables.

    python benchmarks/dicom_matrix.py --out dicom_matrix.json

Needs dcmtk's dcm2pnm, dcmj2pnm and dcml2pnm. The standard's picture is computed from the values that were written, in float64.
dcmtk is asked for its picture, which may be 2 off, since it cuts where others round; GDCM and pydicom, which show none, for the stored values.
"""

import argparse
import multiprocessing
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.pixels import pixel_array
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from made_dicom_matrix import Case, all_cases
from measuring import finish
from plainfilm.data import images
from plainfilm.errors import ImageError

PROGRAMS = {JPEGLSLossless: "dcml2pnm", JPEGLosslessSV1: "dcmj2pnm"}
FORK = multiprocessing.get_context("fork")
REFUSED = "refused"


def by_plainfilm(case: Case) -> tuple[str, float]:
    try:
        found = images.displayed(case.data, longest_px=10_000)
    except ImageError as error:
        return error.code, np.inf
    codes = {code for code, _ in images.decode(case.data, size=64).remarks} - {"colour"}
    as_asked = codes == ({case.remark} - {""})
    return ("" if as_asked else f"remarks {sorted(codes)}"), float(np.abs(found - case.expected).max())


def by_dcmtk(case: Case, path: Path) -> str:
    if case.syntax == JPEG2000Lossless:
        return "not decoded"
    out = path.with_suffix(".pgm")
    options = case.voi.split() if case.stored.ndim == 2 and case.group != "palette" else []
    command = [PROGRAMS.get(case.syntax, "dcm2pnm"), "--quiet", *options, "+op", str(path), str(out)]
    if subprocess.run(command, capture_output=True, check=False).returncode or not out.exists():
        return REFUSED
    with Image.open(out) as image:
        found = np.asarray(image.convert("L"), dtype=float)
    return "" if np.abs(found - case.expected).max() <= 2 else f"differs by {np.abs(found - case.expected).max():.0f}"


def by_gdcm(case: Case, path: Path) -> str:
    """In a process of its own, which GDCM ends on some files."""
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=lambda: theirs.send(_by_gdcm(case, path)))
    process.start()
    process.join()
    return str(ours.recv()) if ours.poll() else "ends the process"


def _by_gdcm(case: Case, path: Path) -> str:
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        return REFUSED
    image = reader.GetImage()
    kind = image.GetPixelFormat().GetScalarTypeAsString().lower()
    data = image.GetBuffer().encode("utf-8", "surrogateescape")
    return compared(np.frombuffer(data, kind), case)


def by_pydicom(case: Case, path: Path) -> str:
    try:
        return compared(pixel_array(dcmread(path), raw=True), case)
    except Exception as error:  # noqa: BLE001 - whatever a peer raises is its answer
        return f"{REFUSED} ({type(error).__name__})"


def compared(found: NDArray[Any], case: Case) -> str:
    if found.size != case.stored.size:
        return "another number of values"
    same = [np.array_equal(found.ravel(), np.moveaxis(case.stored, -1, at).ravel()) for at in {-1, 0}]
    return "" if any(same) else "other stored values"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--verbose", action="store_true", help="name each file in which a peer differs")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.dcm"
        for case in all_cases():
            row = rows.setdefault(case.group, Counter())
            path.write_bytes(case.data)
            path.with_suffix(".pgm").unlink(missing_ok=True)
            fault, difference = by_plainfilm(case)
            row["files"] += 1
            row["equal"] += difference <= 1 and not fault
            for peer, answer in (
                ("plainfilm", fault or ("" if difference <= 1 else f"differs by {difference:.0f}")),
                ("dcmtk", by_dcmtk(case, path)),
                ("GDCM", by_gdcm(case, path)),
                ("pydicom", by_pydicom(case, path)),
            ):
                row[peer] += bool(answer) and answer != "not decoded"
                row[f"{peer} not decoded"] += answer == "not decoded"
                if answer and answer != "not decoded" and args.verbose:
                    print(f"{case.group} | {case.name} | {peer}: {answer}")
    print(f"{'group':14} files  equal  dcmtk  GDCM  pydicom differ (dcmtk decodes no JPEG 2000)")
    for group, row in {**rows, "all": sum(rows.values(), Counter())}.items():
        print(f"{group:14} {row['files']:5} {row['equal']:6} {row['dcmtk']:6} {row['GDCM']:5} {row['pydicom']:8}")
    finish({group: dict(row) for group, row in rows.items()}, args.out)


if __name__ == "__main__":
    main()
