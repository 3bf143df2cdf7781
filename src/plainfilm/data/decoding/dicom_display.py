"""Stored DICOM values -> the gray values that a viewer shows: Modality LUT, VOI LUT or window, photometric sense."""

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels import apply_windowing

from plainfilm.data.decoding.decoded import Remarks

# What pydicom and the decoders below it raise on damaged files; found by mutating files of every transfer syntax.
PYDICOM_ERRORS = (
    BytesLengthException,
    InvalidDicomError,
    AttributeError,
    ArithmeticError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def displayed(stored: NDArray[Any], dataset: Dataset) -> tuple[NDArray[np.uint8], Remarks]:
    """Turn stored values (rows, columns) into the 8-bit values that a viewer shows, bones bright.

    Integers of up to 16 bits go through a table over every value that the type can hold: the arithmetic of the
    standard is then done 65,536 times at most, not once a pixel.
    """
    padding = _padding(dataset)
    extent = _extent(stored, padding)
    voi = _voi(dataset)
    turned = _turned_over(dataset)
    if voi != "full range":
        try:
            pixels = _rendered(stored, dataset, extent, voi)
            remarks = _voi_depth(dataset)[1] if voi == "table" else ()
        except PYDICOM_ERRORS as error:
            return _rendered(stored, dataset, extent, "full range"), (*turned, *_bad_window(str(error)))
        if extent[0] == extent[1] or pixels.min() < pixels.max():
            return pixels, (*turned, *remarks)
        return _rendered(stored, dataset, extent, "full range"), (*turned, *_bad_window("it shows every pixel alike"))
    return _rendered(stored, dataset, extent, voi), turned


def _rendered(stored: NDArray[Any], dataset: Dataset, extent: tuple[float, float], voi: str) -> NDArray[np.uint8]:
    if stored.dtype.kind not in "iu" or stored.dtype.itemsize > 2:
        return _eight_bits(stored, dataset, extent, voi)
    codes = np.arange(2 ** (8 * stored.dtype.itemsize)).astype(f"u{stored.dtype.itemsize}")
    table = _eight_bits(codes.view(stored.dtype.newbyteorder("=")), dataset, extent, voi)
    native = np.ascontiguousarray(stored, dtype=stored.dtype.newbyteorder("="))
    return np.asarray(table[native.view(codes.dtype)])


def _eight_bits(values: NDArray[Any], dataset: Dataset, extent: tuple[float, float], voi: str) -> NDArray[np.uint8]:
    tones = np.nan_to_num(np.clip(_tones(values, dataset, extent, voi), 0.0, 1.0))
    if sequence := dataset.get("PresentationLUTSequence"):
        tones = _presented(tones, sequence[0])
    pixels = (tones * 255.0 + 0.5).astype(np.uint8)
    if _is_inverse(dataset):
        pixels = 255 - pixels
    padding = _padding(dataset)
    if padding is not None:
        pixels[(values >= padding[0]) & (values <= padding[1])] = 0
    return pixels


def _tones(values: NDArray[Any], dataset: Dataset, extent: tuple[float, float], voi: str) -> NDArray[np.float64]:
    """Give each stored value its place between 0 (lowest) and 1 (highest)."""
    measured = _measured(values, dataset)
    if voi == "table":
        return _looked_up(measured, dataset.VOILUTSequence[0]) / (2.0 ** _voi_depth(dataset)[0] - 1.0)
    if voi == "window":
        with np.errstate(over="ignore"):  # the exponential of a sigmoid, far from its centre
            low, high = apply_windowing(np.array([-np.inf, np.inf]), dataset)
            return np.asarray((apply_windowing(measured, dataset) - low) / (high - low))
    low, high = np.sort(_measured(np.array(extent), dataset))
    return np.asarray((measured - low) / ((high - low) or 1.0))


def _measured(values: NDArray[Any], dataset: Dataset) -> NDArray[np.float64]:
    """Apply the Modality LUT or rescale, PS3.3 C.11.1."""
    if dataset.get("ModalityLUTSequence"):
        return _looked_up(values, dataset.ModalityLUTSequence[0])
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if slope is None or intercept is None:
        return values.astype(np.float64)
    return values.astype(np.float64) * float(slope) + float(intercept)


def _looked_up(values: NDArray[Any], item: Dataset) -> NDArray[np.float64]:
    """Look values up in a table, PS3.3 C.11.1.1: below its first entry the first holds, beyond its last the last.

    Done here because pydicom 3.0 lets indices of a table of 8-bit entries wrap at 256.
    """
    table = _entries(item)
    first = int(item.LUTDescriptor[1])
    index = np.clip(np.floor(values.astype(np.float64)) - first, 0, table.size - 1)
    return np.asarray(table[index.astype(np.int64)])


def _entries(item: Dataset) -> NDArray[np.float64]:
    """Entries of a lookup table: numbers, or bytes of them, of which 8-bit ones may stand in words of their own."""
    count, _, bits = (int(number) for number in item.LUTDescriptor)
    data = item.LUTData
    if isinstance(data, bytes):
        data = np.frombuffer(data, dtype="<u2" if len(data) >= 2 * (count or 65536) else "u1")
    table = np.asarray(data, dtype=np.float64).reshape(-1)[: count or 65536]
    if table.size == 0 or not 1 <= bits <= 16:
        raise ValueError(f"a lookup table of {table.size} entries of {bits} bits")
    return table


def _voi_depth(dataset: Dataset) -> tuple[int, Remarks]:
    """Bits of the entries of a VOI LUT: those declared, unless the entries need more, or two fewer or still less."""
    item = dataset.VOILUTSequence[0]
    declared, used = int(item.LUTDescriptor[2]), max(1, int(_entries(item).max()).bit_length())
    if declared - 2 < used <= declared:
        return declared, ()
    return used, (
        (
            "bad-window",
            f"Expected entries of {declared} bits in the VOI LUT; received entries of {used}. They were scaled by {used} bits: "
            "look at the picture.",
        ),
    )


def _presented(tones: NDArray[np.float64], item: Dataset) -> NDArray[np.float64]:
    """Apply a Presentation LUT (PS3.3 C.11.4) to tones from 0 to 1, which it takes as its whole range of input."""
    table = _entries(item)
    return np.asarray(
        table[np.round(tones * (table.size - 1)).astype(np.int64)] / (2.0 ** int(item.LUTDescriptor[2]) - 1.0)
    )


def _is_inverse(dataset: Dataset) -> bool:
    """Whether low values are bright: MONOCHROME1, which its INVERSE repeats (PS3.3 C.8.11.3.1.2), or INVERSE alone."""
    is_monochrome1 = str(dataset.PhotometricInterpretation) == "MONOCHROME1"
    return is_monochrome1 or dataset.get("PresentationLUTShape") == "INVERSE"


def _turned_over(dataset: Dataset) -> Remarks:
    if str(dataset.PhotometricInterpretation) == "MONOCHROME1" or not _is_inverse(dataset):
        return ()
    return (
        (
            "turned-over",
            "Expected Presentation LUT Shape IDENTITY with MONOCHROME2; received INVERSE. The picture was turned over, as it says.",
        ),
    )


def _voi(dataset: Dataset) -> str:
    sequence = dataset.get("VOILUTSequence")
    if sequence and "LUTDescriptor" in sequence[0] and "LUTData" in sequence[0]:
        return "table"
    given = [dataset.get(name) not in (None, "") for name in ("WindowCenter", "WindowWidth")]
    return "window" if all(given) else "full range"


def _bad_window(fault: str) -> Remarks:
    return (
        (
            "bad-window",
            f"Expected a window or VOI LUT that fits the pixels; received another ({fault}). "
            "The full range was used: look at the picture.",
        ),
    )


def _padding(dataset: Dataset) -> tuple[int, int] | None:
    value = dataset.get("PixelPaddingValue")
    if value in (None, ""):
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    ends = (int(value), int(value if limit in (None, "") else limit))
    return min(ends), max(ends)


def _extent(stored: NDArray[Any], padding: tuple[int, int] | None) -> tuple[float, float]:
    if padding is not None:
        seen = stored[(stored < padding[0]) | (stored > padding[1])]
        stored = seen if seen.size else stored
    return float(stored.min()), float(stored.max())
