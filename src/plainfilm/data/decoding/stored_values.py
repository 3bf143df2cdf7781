"""Pixel data of a DICOM file, in every transfer syntax of still images -> the stored values, whatever bits they lie in."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import pixel_array
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    RLELossless,
)

from plainfilm.data.decoding.decoded import Remarks, refusal
from plainfilm.data.decoding.frames import JPEG_END, has_end, is_whole_without_end, stated

NOISE = 0.7  # of the roughness: how much smoother the picture of all bits must be to be taken for the right one
MANY = 0.25  # share of pixels with bits beyond those stored, from which they are no overlay


def stored_values(dataset: Dataset) -> tuple[NDArray[Any], Remarks]:
    """Decode the pixel data to the values that the header means, (rows, columns) or (rows, columns, 3).

    Bits above High Bit and below High Bit + 1 - Bits Stored belong to overlays or to nobody (PS3.5 8.1.1) and are left
    out, in native and in compressed data alike.
    """
    ended = _with_end(dataset)
    values = _decoded(dataset)
    if values.dtype.kind not in "iu" or "PixelData" not in dataset:
        return values, ended
    values, remarks = _meant_bits(values, dataset)
    return values, ended + remarks


def _decoded(dataset: Dataset) -> NDArray[Any]:
    """Decode the pixel data, by GDCM only where nothing else can (lossless JPEG, JPEG-LS, 12-bit JPEG).

    On some damaged JPEG, GDCM ends the process instead of reporting an error.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    eight_bits = int(dataset.BitsStored) <= 8
    if syntax == JPEGBaseline8Bit or (syntax == JPEGExtended12Bit and eight_bits):
        return np.asarray(pixel_array(dataset, decoding_plugin="pillow"))
    if syntax == JPEGExtended12Bit and int(dataset.SamplesPerPixel) == 1:
        return _twelve_bit_jpeg(dataset)
    plugin = "pylibjpeg" if syntax in {JPEG2000, JPEG2000Lossless} else ""
    return np.asarray(pixel_array(dataset, decoding_plugin=plugin, correct_unused_bits=False))


def _twelve_bit_jpeg(dataset: Dataset) -> NDArray[np.uint16]:
    """Decode T.81 process 4, which GDCM can and pydicom 3.0 does not ask it for."""
    import gdcm

    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(get_frame(dataset.PixelData, 0, number_of_frames=1))
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((int(dataset.Columns), int(dataset.Rows), 1))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, 12, 11, 0))
    image.SetDataElement(element)
    values = np.frombuffer(image.GetBuffer().encode("utf-8", "surrogateescape"), dtype="<u2")
    return values.reshape(int(dataset.Rows), int(dataset.Columns))


# The end of a compressed frame


def _with_end(dataset: Dataset) -> Remarks:
    """Give a compressed frame its end marker back where it alone is missing; refuse one that ends too early."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if not syntax.is_encapsulated or syntax == RLELossless or "PixelData" not in dataset:
        return ()
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if stated(frame) is None or has_end(frame):
        return ()

    def decode(data: bytes) -> NDArray[Any]:
        dataset.PixelData = encapsulate([data])
        return _decoded(dataset)

    if not is_whole_without_end(frame, decode):
        raise refusal(
            "truncated", "Expected a whole compressed picture; received one that ends too early. Send the file again."
        )
    dataset.PixelData = encapsulate([frame + JPEG_END])
    return (
        (
            "no-end-marker",
            "Expected an end marker behind the compressed picture; received none, though all of it is there.",
        ),
    )


# Bits


def _meant_bits(values: NDArray[Any], dataset: Dataset) -> tuple[NDArray[Any], Remarks]:
    stored, high, is_signed = int(dataset.BitsStored), int(dataset.HighBit), bool(dataset.PixelRepresentation)
    held = 8 * values.dtype.itemsize
    raw = values.view(values.dtype.str.replace("i", "u"))
    shift = high + 1 - stored if _bits_of_frame(dataset, held) > high else 0
    if shift + stored >= held and not shift:
        return values, ()
    beyond = _beyond(raw, shift + stored, is_signed=is_signed)
    if beyond is None:
        mask = raw.dtype.type((1 << stored) - 1)
        return _signed((raw >> shift) & mask if shift else raw & mask, stored, is_signed=is_signed), ()
    masked = _signed((raw >> shift) & raw.dtype.type((1 << stored) - 1), stored, is_signed=is_signed)
    if _is_overlay(dataset, stored + shift):
        return masked, ()
    everything = values if not shift else raw >> shift
    is_better = beyond.mean() > MANY and _roughness(everything) < NOISE * _roughness(masked)
    shown = "all bits are shown, since they make a picture" if is_better else "they are left out"
    sentence = f"Expected values of {stored} bits; received bits above them in {beyond.mean():.1%} of the pixels: {shown}. Look at the picture."
    return (everything if is_better else masked), (("unused-bits", sentence),)


def _bits_of_frame(dataset: Dataset, held: int) -> int:
    """Bits of a sample that a compressed frame states, or else all that are held."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if not syntax.is_encapsulated or syntax == RLELossless:
        return held
    said = stated(get_frame(dataset.PixelData, 0, number_of_frames=1))
    return held if said is None else said.bits


def _beyond(raw: NDArray[Any], used: int, *, is_signed: bool) -> NDArray[np.bool_] | None:
    """Which pixels have bits above those used, None for none; the extension of a sign is none of them."""
    held = 8 * raw.dtype.itemsize
    if used >= held or int(raw.max()) < 1 << used:
        return None
    above = raw >> used
    beyond = above != 0
    if is_signed:
        sign = (raw >> (used - 1)) & 1
        beyond &= ~((above == (1 << (held - used)) - 1) & (sign == 1))
    return np.asarray(beyond) if beyond.any() else None


def _signed(values: NDArray[Any], bits: int, *, is_signed: bool) -> NDArray[Any]:
    if not is_signed:
        return values
    shift = 8 * values.dtype.itemsize - bits
    return np.asarray((values << shift).view(values.dtype.str.replace("u", "i")) >> shift)


def _is_overlay(dataset: Dataset, used: int) -> bool:
    """Whether the header places an overlay in bits above those stored (Overlay Bit Position, PS3.3 C.9.2, retired)."""
    positions = (dataset.get((group, 0x0102)) for group in range(0x6000, 0x6020, 2))
    return any(position is not None and int(position.value or 0) >= used for position in positions)


def _roughness(values: NDArray[Any]) -> float:
    """Mean step from pixel to pixel against the spread of all: about 1.1 for noise, much less for a picture."""
    small = np.asarray(values[::4, :], np.float64)
    spread = float(small.std())
    return float(np.abs(np.diff(small, axis=1)).mean()) / spread if spread else 0.0
