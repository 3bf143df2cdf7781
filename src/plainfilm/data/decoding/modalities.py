"""DICOM modalities and views that a chest radiograph has."""

RADIOGRAPHY = frozenset({"CR", "DX", "DR", "RG"})  # RF is left out: a stopped fluoroscopy is no plain radiograph
LATERAL_VIEWS = frozenset(
    {"L", "LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT", "LEFT LATERAL", "RIGHT LATERAL"}
)  # LLD and RLD, lying on the side, are frontal


def lateral_sentence(view: str) -> str:
    """What to say of a lateral view."""
    return f"Expected a frontal view; received {view}. Leave lateral views out or keep them all."
