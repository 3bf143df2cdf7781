"""The elements that say how DICOM pixels are stored: what is missing or malformed is given its usual value, with a remark."""

import re
from collections.abc import Callable
from math import isfinite

from pydicom import Dataset
from pydicom.dataelem import RawDataElement

from plainfilm.data.decoding.codestreams import Frame
from plainfilm.data.decoding.decoded import Remarks

_COLOURS = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
PHOTOMETRIC = {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", *_COLOURS}
NUMBERS = ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth")
_TEXT_VRS = {None, "DS", "IS", "LO", "SH", "UN", "UT"}
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")


def mended(dataset: Dataset, frame: Frame | None) -> Remarks:
    """Give a data set all elements that its pixels are decoded by, in place; `frame` is what its codestream states."""
    needed = {name: usual for name, usual in _USUAL.items() if "PixelData" in dataset or name not in _OF_INTEGERS}
    filled = {name: _filled(dataset, name, usual, frame) for name, usual in needed.items()}
    taken = [f"{name} {value}" for name, value in filled.items() if value is not None]
    if "NumberOfFrames" in dataset:
        del dataset.NumberOfFrames  # it is one, or the file was refused
    taken += [text for keyword in NUMBERS if (text := _plain_numbers(dataset, keyword))]
    if _rescale_is_void(dataset):
        taken.append("no rescale")
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    if not taken:
        return ()
    sentence = f"Expected a complete and valid DICOM header; received one that is not. Taken instead: {', '.join(taken)}. Look at the picture."
    return (("bad-header", sentence),)


def whole_number(dataset: Dataset, keyword: str) -> int | None:
    """Read an element of one integer; None where it is missing, empty or something else."""
    try:
        value = dataset.get(keyword)
        return None if value in (None, "") else int(value)
    except (TypeError, ValueError):
        return None


def is_little_endian(dataset: Dataset) -> bool:
    """Whether words in this data set stand with their low byte first."""
    return dataset.original_encoding[1] is not False


def _filled(dataset: Dataset, keyword: str, usual: "_Usual", frame: Frame | None) -> int | str | None:
    value = usual(dataset, frame)
    if value is None:
        return None
    setattr(dataset, keyword, value)
    return value


def _samples(dataset: Dataset, frame: Frame | None) -> int | None:
    if whole_number(dataset, "SamplesPerPixel") is not None:
        return None
    if frame is not None and frame.samples:
        return frame.samples
    is_colour = str(dataset.get("PhotometricInterpretation") or "").strip() in _COLOURS
    one = int(dataset.Rows) * int(dataset.Columns) * ((whole_number(dataset, "BitsAllocated") or 8) // 8)
    fills_three = frame is None and 0 < 3 * one <= len(dataset.get("PixelData") or b"")
    return 3 if is_colour or fills_three else 1


def _photometric(dataset: Dataset, frame: Frame | None) -> str | None:
    given, samples = str(dataset.get("PhotometricInterpretation") or "").strip(), int(dataset.SamplesPerPixel)
    if given and (given.upper() not in PHOTOMETRIC or (given.upper() in _COLOURS) == (samples == 3)):
        return None if given == given.upper() or given.upper() not in PHOTOMETRIC else given.upper()
    if samples == 3:
        return "YBR_FULL_422" if frame is not None and frame.process in {0xC0, 0xC1, 0xC2} else "RGB"
    return "PALETTE COLOR" if "RedPaletteColorLookupTableDescriptor" in dataset else "MONOCHROME2"


def _allocated(dataset: Dataset, frame: Frame | None) -> int | None:
    if whole_number(dataset, "BitsAllocated"):
        return None
    if frame is not None:
        return 8 if frame.bits <= 8 else 16
    count = int(dataset.Rows) * int(dataset.Columns) * int(dataset.SamplesPerPixel)
    return 8 * max(1, len(dataset.PixelData) // count)


def _stored(dataset: Dataset, frame: Frame | None) -> int | None:
    allocated, given = int(dataset.BitsAllocated), whole_number(dataset, "BitsStored")
    if given is not None and 0 < given <= allocated:
        return None
    return min(frame.bits, allocated) if frame is not None else allocated


def _high(dataset: Dataset, _: Frame | None) -> int | None:
    given, stored = whole_number(dataset, "HighBit"), int(dataset.BitsStored)
    return None if given is not None and stored - 1 <= given < int(dataset.BitsAllocated) else stored - 1


def _sign(dataset: Dataset, _: Frame | None) -> int | None:
    return None if whole_number(dataset, "PixelRepresentation") in {0, 1} else 0


def _planes(dataset: Dataset, _: Frame | None) -> int | None:
    is_known = int(dataset.SamplesPerPixel) == 1 or whole_number(dataset, "PlanarConfiguration") in {0, 1}
    return None if is_known else 0


_Usual = Callable[[Dataset, Frame | None], int | str | None]
_USUAL: dict[str, _Usual] = {  # each may rest on those before it; None where the element is as it should be
    "SamplesPerPixel": _samples,
    "PhotometricInterpretation": _photometric,
    "BitsAllocated": _allocated,
    "BitsStored": _stored,
    "HighBit": _high,
    "PixelRepresentation": _sign,
    "PlanarConfiguration": _planes,
}

_OF_INTEGERS = {"BitsStored", "HighBit", "PixelRepresentation"}


def _plain_numbers(dataset: Dataset, keyword: str) -> str | None:
    """Write numbers with a point that stand there with a comma or stray blanks; leave out a rescale that is none. Say what was done."""
    if keyword not in dataset:
        return None
    raw = dataset.get_item(keyword)
    if not isinstance(raw, RawDataElement) or raw.VR not in _TEXT_VRS or raw.value is None:
        return None
    texts = [text.strip(" \0") for text in raw.value.decode("ascii", "replace").split("\\")]
    if texts == [""] or all(_is_plain(text) for text in texts):
        return None
    plain = ["".join(text.split()).replace(",", ".") for text in texts]
    if not all(map(_is_plain, plain)):
        if keyword.startswith("Window"):  # told as a window that cannot be used
            return None
        del dataset[keyword]
        return f"no {keyword}"
    setattr(dataset, keyword, plain)
    return f"{keyword} {', '.join(plain)}"


def _is_plain(text: str) -> bool:
    return "," not in text and _NUMBER.fullmatch(text) is not None and isfinite(float(text))


def _rescale_is_void(dataset: Dataset) -> bool:
    slope = dataset.get("RescaleSlope")
    return slope not in (None, "") and float(slope) == 0
