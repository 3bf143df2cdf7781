"""DICOM modalities and views that a chest radiograph has."""

import re

RADIOGRAPHY = frozenset({"CR", "DX", "DR", "RG"})  # RF is left out: a stopped fluoroscopy is no plain radiograph
_IN_TABLES = frozenset({"XRAY", "CXR", "RADIOGRAPH", "RADIOGRAPHY"}) | RADIOGRAPHY
LATERAL_VIEWS = frozenset(
    {"L", "LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT", "LEFT LATERAL", "RIGHT LATERAL"}
)  # LLD and RLD, lying on the side, are frontal


def is_radiography(modality: str) -> bool:
    """Whether a modality, of DICOM or as tables write it, is projection radiography."""
    return re.sub(r"[^A-Z]", "", modality.upper()) in _IN_TABLES


def named_modality(modality: str) -> str:
    """Give a modality that is written as codes are, for a message; what is longer may be anything that somebody wrote there."""
    return modality if re.fullmatch(r"[A-Za-z]{2,4}", modality) else "another"


def lateral_sentence(view: str) -> str:
    """What to say of a lateral view."""
    return f"Expected a frontal view; received {view}. Leave lateral views out or keep them all."
