"""A DICOM header as files have it -> one that can be decoded by: missing tags, commas for points, tables in another byte order."""

import math
import re
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import UID, ExplicitVRBigEndian, JPEGBaseline8Bit, RLELossless

from plainfilm.data.decoding.decoded import Remarks
from plainfilm.data.decoding.frames import Stated, stated

_NUMBERS = ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth")
_PALETTES = tuple(
    f"{kind}{colour}PaletteColorLookupTableData" for kind in ("", "Segmented") for colour in ("Red", "Green", "Blue")
)
_TABLES = ("ModalityLUTSequence", "VOILUTSequence", "PresentationLUTSequence")


def completed(dataset: Dataset) -> Remarks:
    """Make a header whole, in place, and say what was not as it should be.

    Tags of the pixel data that are missing get their usual values (PS3.3 C.7.6.3), decimal commas become points, a slope
    of 0 is taken for none, and lookup tables of big-endian files (OW follows the transfer syntax, PS3.5 7.3) get the
    byte order that pydicom expects.
    """
    _swap_tables(dataset)
    return (*_fill(dataset), *_mend_numbers(dataset))


# Tags of the pixel data


def _fill(dataset: Dataset) -> Remarks:
    usual = _usual(dataset)
    missing = [name for name in usual if not _has(dataset, name)]
    for name in missing:
        setattr(dataset, name, usual[name])
    if not _has(dataset, "NumberOfFrames") or int(dataset.NumberOfFrames) < 1:
        dataset.NumberOfFrames = 1
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    if not 1 <= stored <= allocated:
        missing.append("BitsStored")
        dataset.BitsStored = stored = allocated
    if not stored - 1 <= int(dataset.HighBit) < allocated:
        missing.append("HighBit")
        dataset.HighBit = stored - 1
    if not missing:
        return ()
    listed = ", ".join(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name) for name in missing)
    return (
        (
            "missing-tags",
            f"Expected {listed} in the header; received none, or none that can be meant. Usual values were taken: look at the picture.",
        ),
    )


def _has(dataset: Dataset, name: str) -> bool:
    return dataset.get(name) not in (None, "")


def _usual(dataset: Dataset) -> dict[str, Any]:
    """Usual values of the tags that say how pixel data are stored, each after those that are there."""
    if "PixelData" not in dataset or not all(_has(dataset, name) for name in ("Rows", "Columns")):
        return {}
    told = _told(dataset)
    photometric = str(dataset.get("PhotometricInterpretation") or "")
    is_colour = photometric.startswith(("RGB", "YBR")) or (told is not None and told.samples == 3)
    pixels = int(dataset.Rows) * int(dataset.Columns)
    bytes_a_pixel = len(dataset.PixelData) // max(1, pixels) if told is None else 0
    samples = int(dataset.get("SamplesPerPixel") or (3 if is_colour or bytes_a_pixel in {3, 6} else 1))
    bits = told.bits if told is not None else 8 * max(1, min(4, bytes_a_pixel // samples))
    allocated = int(dataset.get("BitsAllocated") or -(-bits // 8) * 8)
    stored = int(dataset.get("BitsStored") or min(bits if told is not None else allocated, allocated))
    is_ybr = UID(dataset.file_meta.TransferSyntaxUID) == JPEGBaseline8Bit
    usual = {
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": "MONOCHROME2" if samples == 1 else "YBR_FULL_422" if is_ybr else "RGB",
        "BitsAllocated": allocated,
        "BitsStored": stored,
        "HighBit": stored - 1,
        "PixelRepresentation": 0,
    }
    return usual | ({"PlanarConfiguration": 0} if samples > 1 else {})


def _told(dataset: Dataset) -> Stated | None:
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if not syntax.is_compressed or syntax == RLELossless:
        return None
    return stated(get_frame(dataset.PixelData, 0, number_of_frames=1))


# Numbers as people write them


def _mend_numbers(dataset: Dataset) -> Remarks:
    found = [
        (
            "odd-number",
            f"Expected a number with a point as {name}; received one with a comma. It was read as a decimal comma.",
        )
        for name in _NUMBERS
        if not _mend(dataset, name)
    ]
    slope = _number(dataset, "RescaleSlope")
    if slope == 0.0:
        del dataset.RescaleSlope
        found.append(
            (
                "odd-number",
                "Expected a rescale slope other than 0; received 0. The stored values are shown as they are.",
            )
        )
    return tuple(dict.fromkeys(found))


def _mend(dataset: Dataset, name: str) -> bool:
    """Whether a value of numbers can be read; one with decimal commas is mended."""
    try:
        value = dataset.get(name)
        values = (
            value
            if isinstance(value, list | tuple) or (hasattr(value, "__iter__") and not isinstance(value, str))
            else [value]
        )
        if all(each in (None, "") or math.isfinite(float(each)) for each in values):
            return True
    except (TypeError, ValueError, OverflowError):
        pass
    text = _raw_text(dataset, name).replace(",", ".")
    try:
        setattr(dataset, name, [float(each) for each in text.split("\\")])
    except (ValueError, OverflowError):
        return True  # no number in it: whoever needs one says so
    return False


def _raw_text(dataset: Dataset, name: str) -> str:
    from pydicom.datadict import tag_for_keyword

    element = dataset.get_item(tag_for_keyword(name) or 0)
    value = getattr(element, "value", None)
    return value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else str(value)


def _number(dataset: Dataset, name: str) -> float | None:
    try:
        value = dataset.get(name)
        return None if value in (None, "") else float(value)
    except (TypeError, ValueError):
        return None


# Byte order


def _swap_tables(dataset: Dataset) -> None:
    """Turn lookup tables of bytes in a big-endian file over, once, so that all that read them may take them for little-endian."""
    if dataset.file_meta.TransferSyntaxUID != ExplicitVRBigEndian:
        return
    for item, name in [
        *((dataset, name) for name in _PALETTES),
        *((item, "LUTData") for sequence in _TABLES for item in dataset.get(sequence) or ()),
    ]:
        value = item.get(name)
        if isinstance(value, bytes):
            setattr(item, name, np.frombuffer(value[: len(value) // 2 * 2], "u2").byteswap().tobytes())
