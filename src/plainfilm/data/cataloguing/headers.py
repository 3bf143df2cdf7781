"""What a DICOM header says of patient, hospital and view, read without the pixels; for the catalog, before decoding."""

import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from plainfilm.data.places.place import Place

KEYWORDS: dict[str, str] = {
    "patient_id": "PatientID",
    "issuer": "IssuerOfPatientID",
    "modality": "Modality",
    "source": "InstitutionName",
    "view": "ViewPosition",
    "sex": "PatientSex",
    "age": "PatientAge",
    "manufacturer": "Manufacturer",
    "sop_instance_uid": "SOPInstanceUID",
    "study_instance_uid": "StudyInstanceUID",
    "accession_number": "AccessionNumber",
}


def read_headers(place: Place, names: Sequence[str]) -> list[dict[str, str]]:
    """Attributes of each DICOM file as text, under the names of `KEYWORDS`; only those that are there.

    `age` is in years (from the Age String, PS3.5 section 6.2). A header that cannot be read gives nothing: the decoder
    will say why.
    """
    if not names:
        return []
    from pydicom import dcmread

    from plainfilm.data.decoding.dicom_display import PYDICOM_ERRORS
    from plainfilm.data.decoding.radiograph_dicom import age_in_years

    def one(name: str) -> dict[str, str]:
        item = place.item(name)
        try:
            file = item if isinstance(item, Path) else BytesIO(item())
            dataset = dcmread(file, stop_before_pixels=True, specific_tags=list(KEYWORDS.values()), force=True)
        except (OSError, *PYDICOM_ERRORS):
            return {}
        found = {name: text(dataset, keyword) for name, keyword in KEYWORDS.items()}
        years = age_in_years(found["age"])
        found["age"] = "" if years is None else f"{years:g}"
        return {name: value for name, value in found.items() if value}

    def text(dataset: Any, keyword: str) -> str:
        try:
            value = getattr(dataset, keyword, None)
        except PYDICOM_ERRORS:  # one malformed element beside sound ones
            return ""
        return "" if value is None else " ".join(str(value).split())

    with warnings.catch_warnings():  # pydicom warns of odd values; the decoder looks closer
        warnings.simplefilter("ignore")
        return [one(name) for name in names]
