"""Stored DICOM values -> the gray values that a viewer shows: Modality LUT, VOI LUT or window, photometric sense."""

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from scipy.special import expit

from plainfilm.data.decoding.decoded import Remarks
from plainfilm.data.decoding.dicom_header import is_little_endian, whole_number
from plainfilm.data.decoding.dicom_tables import table_of
from plainfilm.errors import FlawError
from plainfilm.reasons import reason_of

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
    try:
        display = _Display.of(stored, dataset)
        pixels = display.rendered(stored)
    except PYDICOM_ERRORS as error:
        return _full_range(stored, dataset, reason_of(error))
    if display.voi is None or display.extent[0] == display.extent[1] or pixels.min() < pixels.max():
        return pixels, display.remarks
    return _full_range(stored, dataset, "it shows every pixel alike")


def _full_range(stored: NDArray[Any], dataset: Dataset, fault: str) -> tuple[NDArray[np.uint8], Remarks]:
    display = _Display.of(stored, dataset, use_voi=False)
    sentence = f"Expected a window or VOI LUT that fits the pixels; received another ({fault}). The full range was used: look at the picture."
    return display.rendered(stored), (*display.remarks, ("bad-window", sentence))


@dataclass(frozen=True, slots=True)
class _Display:
    """How stored values become gray values. `extent` are the lowest and highest stored value; `voi` is None for the full range."""

    extent: tuple[float, float]
    padding: tuple[int, int] | None
    modality: Callable[[NDArray[Any]], NDArray[np.float64]]
    voi: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None
    presentation: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None
    is_inverse: bool
    remarks: Remarks

    @classmethod
    def of(cls, stored: NDArray[Any], dataset: Dataset, *, use_voi: bool = True) -> "_Display":
        little = is_little_endian(dataset)
        padding = _padding(dataset, stored)
        extent = _extent(stored, padding)
        modality = _modality(dataset, little, extent[0])
        lowest = float(modality(np.array(extent)).min())
        voi, remarks = _voi(dataset, little, lowest) if use_voi else (None, ())
        photometric, shape = (
            str(dataset.PhotometricInterpretation),
            str(dataset.get("PresentationLUTShape") or "").strip().upper(),
        )
        return cls(
            extent=extent,
            padding=padding,
            modality=modality,
            voi=voi,
            presentation=_presentation(dataset, little),
            is_inverse=photometric == "MONOCHROME1" or shape == "INVERSE",
            remarks=(*remarks, *_shape_remarks(photometric, shape)),
        )

    def rendered(self, stored: NDArray[Any]) -> NDArray[np.uint8]:
        """Turn stored values into gray values."""
        if stored.dtype.kind not in "iu" or stored.dtype.itemsize > 2:
            return self._eight_bits(stored)
        codes = np.arange(2 ** (8 * stored.dtype.itemsize)).astype(f"u{stored.dtype.itemsize}")
        table = self._eight_bits(codes.view(stored.dtype.newbyteorder("=")))
        native = np.ascontiguousarray(stored, dtype=stored.dtype.newbyteorder("="))
        return np.asarray(table[native.view(codes.dtype)])

    def _eight_bits(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        tones = np.nan_to_num(np.clip(self._tones(self.modality(values)), 0.0, 1.0))
        if self.is_inverse:
            tones = 1.0 - tones
        if self.presentation is not None:
            tones = self.presentation(tones)
        pixels = np.asarray(tones * 255.0 + 0.5).astype(np.uint8)
        if self.padding is not None:
            pixels[(values >= self.padding[0]) & (values <= self.padding[1])] = 0
        return pixels

    def _tones(self, measured: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give each measured value its place between 0 (lowest) and 1 (highest)."""
        if self.voi is not None:
            return self.voi(measured)
        low, high = np.sort(self.modality(np.array(self.extent)))
        return np.asarray((measured - low) / ((high - low) or 1.0))


def _shape_remarks(photometric: str, shape: str) -> Remarks:
    """Flag a Presentation LUT Shape that PS3.3 C.8.11.3 does not allow with the photometric interpretation; viewers differ there."""
    if shape != {"MONOCHROME1": "IDENTITY", "MONOCHROME2": "INVERSE"}.get(photometric):
        return ()
    sentence = f"Expected Presentation LUT Shape INVERSE with MONOCHROME1, IDENTITY with MONOCHROME2; received {shape} with {photometric}. The picture was turned over: look at it."
    return (("bad-header", sentence),)


def _modality(dataset: Dataset, little: bool, lowest: float) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    """The Modality LUT or rescale, PS3.3 C.11.1."""
    if dataset.get("ModalityLUTSequence"):
        return table_of(dataset.ModalityLUTSequence[0], little=little, lowest=lowest).of
    slope, intercept = (dataset.get(keyword) for keyword in ("RescaleSlope", "RescaleIntercept"))
    slope, intercept = 1.0 if slope in (None, "") else float(slope), float(intercept or 0.0)
    return lambda values: values.astype(np.float64) * slope + intercept


def _voi(
    dataset: Dataset, little: bool, lowest: float
) -> tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]] | None, Remarks]:
    """The first VOI LUT, or else the first window, PS3.3 C.11.2."""
    sequence = dataset.get("VOILUTSequence")
    if sequence and "LUTDescriptor" in sequence[0] and "LUTData" in sequence[0]:
        table = table_of(sequence[0], little=little, lowest=lowest)
        return lambda measured: table.of(measured) / (2.0**table.depth - 1.0), table.remarks
    given = [dataset.get(name) for name in ("WindowCenter", "WindowWidth")]
    if None in given or "" in given:
        return None, ()
    centre, width = (
        float(each[0] if isinstance(each, Sequence) and not isinstance(each, str) else each) for each in given
    )
    return _window(centre, width, str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()), ()


def _window(centre: float, width: float, function: str) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """A window, PS3.3 C.11.2.1.2.1 and C.11.2.1.3: 0 to 1 from its lower to its upper end."""
    if not (width >= 1 if function == "LINEAR" else width > 0):
        raise FlawError(f"a window of width {width:g}")
    if function == "LINEAR" and width == 1:
        return lambda measured: (measured > centre - 0.5).astype(np.float64)
    if function == "LINEAR":
        return lambda measured: (measured - (centre - 0.5)) / (width - 1) + 0.5
    if function == "LINEAR_EXACT":
        return lambda measured: (measured - centre) / width + 0.5
    if function == "SIGMOID":
        return lambda measured: expit(4 * (measured - centre) / width)
    raise FlawError(f"the VOI LUT function {function}")


def _presentation(dataset: Dataset, little: bool) -> Callable[[NDArray[np.float64]], NDArray[np.float64]] | None:
    """The Presentation LUT, PS3.3 C.11.6: its entries lie over the whole range of what the VOI LUT gives."""
    sequence = dataset.get("PresentationLUTSequence")
    if not sequence:
        return None
    table = table_of(sequence[0], little=little, lowest=0.0)
    top = len(table.entries) - 1
    return lambda tones: table.of(np.rint(tones * top) + table.first) / (2.0**table.depth - 1.0)


def _padding(dataset: Dataset, stored: NDArray[Any]) -> tuple[int, int] | None:
    """Lowest and highest padding value, as the bits of a stored value read, PS3.3 C.7.5.1.1.2."""
    value, limit = (whole_number(dataset, keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"))
    if value is None or stored.dtype.kind not in "iu":
        return None
    ends = [_as_stored(end, dataset, stored.dtype) for end in (value, value if limit is None else limit)]
    return min(ends), max(ends)


def _as_stored(value: int, dataset: Dataset, dtype: np.dtype[Any]) -> int:
    bits = int(dataset.BitsStored)
    value &= 2**bits - 1
    return value - 2**bits if dtype.kind == "i" and value >= 2 ** (bits - 1) else value


def _extent(stored: NDArray[Any], padding: tuple[int, int] | None) -> tuple[float, float]:
    seen = stored[np.isfinite(stored)] if stored.dtype.kind == "f" else stored
    if padding is not None:
        seen = stored[(stored < padding[0]) | (stored > padding[1])]
    seen = seen if seen.size else stored
    return float(seen.min()), float(seen.max())
