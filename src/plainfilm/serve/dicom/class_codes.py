"""Codes of classes that a dictionary knows: SNOMED CT (SCT) and DICOM's own (DCM), each held against a source that is not ours.

A class that is not here has a private code (`structured_report.SCHEME`): a wrong code is worse than none. So have, on purpose, "No Finding" (which
labellers give to films that may well show something), "Hernia", "Pleural Thickening", "Pleural Other", "Enlarged Cardiomediastinum" and
"Support Devices", for which no code was found that means no more and no less.
"""

from pydicom.sr.coding import Code

_COVID = Code("840539006", "SCT", "COVID-19")
_TUBERCULOSIS = Code("56717001", "SCT", "Tuberculosis")
_EFFUSION = Code("60046008", "SCT", "Pleural effusion")
_CONSOLIDATION = Code("95436008", "SCT", "Lung consolidation")
_EDEMA = Code("19242006", "SCT", "Pulmonary edema")
_EMPHYSEMA = Code("87433001", "SCT", "Pulmonary emphysema")
_FIBROSIS = Code("51615001", "SCT", "Fibrosis of lung")
_INFILTRATE = Code("112121", "DCM", "Infiltrate")
_NODULE = Code("27925004", "SCT", "Nodule")
_MASS = Code("4147007", "SCT", "Mass")
_OPACITY = Code("112001", "DCM", "Opacity")
_LESION = Code("52988006", "SCT", "Lesion")
_FRACTURE = Code("125605004", "SCT", "Fracture of bone")
# By letters and digits alone, in lower case; docs/dicom.md names the source of each.
_KNOWN = {
    "covid": _COVID,
    "covid19": _COVID,
    "pneumonia": Code("233604007", "SCT", "Pneumonia"),
    "viralpneumonia": Code("75570004", "SCT", "Viral pneumonia"),
    "bacterialpneumonia": Code("53084003", "SCT", "Bacterial pneumonia"),
    "tb": _TUBERCULOSIS,
    "tuberculosis": _TUBERCULOSIS,
    "normal": Code("17621005", "SCT", "Normal"),
    "atelectasis": Code("46621007", "SCT", "Atelectasis"),
    "cardiomegaly": Code("8186001", "SCT", "Cardiomegaly"),
    "effusion": _EFFUSION,
    "pleuraleffusion": _EFFUSION,
    "pneumothorax": Code("36118008", "SCT", "Pneumothorax"),
    "consolidation": _CONSOLIDATION,
    "lungconsolidation": _CONSOLIDATION,
    "edema": _EDEMA,
    "oedema": _EDEMA,
    "pulmonaryedema": _EDEMA,
    "emphysema": _EMPHYSEMA,
    "fibrosis": _FIBROSIS,
    "pulmonaryfibrosis": _FIBROSIS,
    "infiltration": _INFILTRATE,
    "infiltrate": _INFILTRATE,
    "mass": _MASS,
    "nodule": _NODULE,
    "lungopacity": _OPACITY,
    "lunglesion": _LESION,
    "fracture": _FRACTURE,
}


def known(name: str) -> Code | None:
    """Give the code of a class by its name, however it is spaced, hyphenated or written large; None where it is not known."""
    return _KNOWN.get("".join(letter for letter in name.casefold() if letter.isalnum()))
