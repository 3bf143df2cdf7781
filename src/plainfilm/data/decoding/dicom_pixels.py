"""DICOM pixel data in every transfer syntax of still images -> stored values, with their unused bits taken out.

Where the sample lies in its cell (Bits Stored, High Bit) and what else lies there (overlays, garbage, more bits of the picture) is dealt
with here, once for native and encapsulated data (PS3.5 8.1.1); so is the end of an encapsulated frame.
"""

import struct
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.encaps import encapsulate, generate_fragments
from pydicom.pixels import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from plainfilm.data.decoding import codestreams, dicom_header, holes, jpeg, packbits, seams, wavelets
from plainfilm.data.decoding.codestreams import Frame
from plainfilm.data.decoding.decoded import Remarks, refusal
from plainfilm.data.decoding.depth import DEPTHS_BITS
from plainfilm.data.decoding.dicom_display import PYDICOM_ERRORS
from plainfilm.errors import ImageError

ENCAPSULATED_UNCOMPRESSED = UID("1.2.840.10008.1.2.1.98")
_WAVELETS = {JPEG2000, JPEG2000Lossless, HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL}
_BY_PILLOW = {JPEGBaseline8Bit, JPEGExtended12Bit}
_SYNTAXES = {  # process of a codestream -> the transfer syntax to decode it by, and others that it may truly bear
    codestreams.WAVELETS: (JPEG2000, *_WAVELETS),
    0xC0: (JPEGBaseline8Bit, JPEGExtended12Bit),
    0xC1: (JPEGExtended12Bit, JPEGBaseline8Bit),
    0xC2: (JPEGBaseline8Bit, JPEGExtended12Bit),
    codestreams.LOSSLESS_JPEG: (JPEGLosslessSV1, JPEGLossless),
    codestreams.JPEG_LS: (JPEGLSLossless, JPEGLSNearLossless),
}
_NATIVE = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian}
_ITEM = b"\xfe\xff\x00\xe0"
_ALLOCATED = {1, 8, 16, 32, 64}
_PADDING_BYTES = 64  # behind a frame, that are not worth a word


@dataclass(frozen=True, slots=True)
class Stored:
    """`values` (h, w) or (h, w, 3), of `bits` bits; `photometric` is the interpretation of these, which a decoder may have changed."""

    values: NDArray[Any]
    bits: int
    photometric: str
    remarks: Remarks


def stored(dataset: Dataset) -> Stored:
    """Decode the pixel data of a data set; elements about it that are missing or malformed are mended in place.

    Raises
    ------
    ImageError
        `unsupported-encoding`, `truncated` or `damaged`.
    """
    data = _frame(dataset)
    frame = None if data is None else codestreams.frame_of(data)
    remarks = (() if data is None else _name_syntax(dataset, frame)) + dicom_header.mended(dataset, frame)
    _refuse_unknown(dataset, frame)
    if data is not None:
        _check_size(frame, dataset)
        data, ended = _ended(data, frame, dataset)
        remarks += ended
        if frame is None and not _fills(data, dataset):
            raise _faulty()
    native = _native_length(dataset) if data is None else None
    values, photometric = _decoded(dataset, data, frame)
    if data is not None and frame is not None:
        remarks += _checked(dataset, data, frame, values)
    elif native is not None:
        remarks += _padded(native - values.nbytes) if native - values.nbytes > _PADDING_BYTES else ()
        remarks += holes.remarks(values)
    if values.dtype.kind == "f" or int(dataset.BitsAllocated) == 1:
        return Stored(values, 8 * values.dtype.itemsize, photometric, remarks)
    precision = 8 * values.dtype.itemsize if frame is None else frame.bits
    found, bits, more = _samples(values, dataset, precision)
    return Stored(found, bits, photometric, remarks + more + _wrapped(found, bits, frame))


def _frame(dataset: Dataset) -> bytes | None:
    """Join the fragments of the one frame, whatever the offset table before them says; None for native data."""
    if not dataset.get("PixelData"):
        return None
    element = dataset["PixelData"]
    if not (element.is_undefined_length or element.value[:4] == _ITEM):
        return None
    table, *fragments = generate_fragments(element.value)
    has_table = not table.startswith((b"\xff\xd8", codestreams.JPEG_2000))
    return b"".join(fragments if has_table else [table, *fragments])


def _name_syntax(dataset: Dataset, frame: Frame | None) -> Remarks:
    """Let the codestream say how it is to be decoded, where the transfer syntax says otherwise or is unknown."""
    stated = dataset.file_meta.TransferSyntaxUID
    usual, *others = _SYNTAXES.get(frame.process, (None,)) if frame else (RLELossless,)
    if usual is None or stated in {usual, *others} or (frame is None and stated not in _NATIVE):
        return ()
    dataset.file_meta.TransferSyntaxUID = usual
    received = frame.encoding if frame else "compressed ones"
    sentence = f"Expected pixels in {stated.name}; received {received}. They were decoded as {usual.name}: look at the picture."
    return (("bad-header", sentence),)


def _refuse_unknown(dataset: Dataset, frame: Frame | None) -> None:
    syntax, photometric = dataset.file_meta.TransferSyntaxUID, str(dataset.PhotometricInterpretation)
    try:
        is_known = get_decoder(syntax).is_available
    except NotImplementedError:
        is_known = syntax == ENCAPSULATED_UNCOMPRESSED
    if not is_known:
        raise _unsupported(f"the transfer syntax {syntax.name}")
    if photometric not in dicom_header.PHOTOMETRIC:
        raise _unsupported(f"the photometric interpretation {photometric}")
    if int(dataset.BitsAllocated) not in _ALLOCATED:
        raise _unsupported(f"{dataset.BitsAllocated} bits allocated")
    if int(dataset.SamplesPerPixel) not in {1, 3}:
        raise _unsupported(f"{dataset.SamplesPerPixel} samples per pixel")
    if frame is not None and syntax in _BY_PILLOW and frame.bits > 8 and frame.samples > 1:
        raise _unsupported(f"{frame.encoding} in colour")


def _unsupported(received: str) -> ImageError:
    return refusal(
        "unsupported-encoding",
        f"Expected a still image, gray or RGB, in a transfer syntax that is decoded; received {received}. "
        "Convert it to Explicit VR Little Endian.",
    )


def _check_size(frame: Frame | None, dataset: Dataset) -> None:
    """Refuse a frame whose own header states another size than the data set: it would be decoded at its own size."""
    if frame is not None and (frame.rows, frame.columns) != (int(dataset.Rows), int(dataset.Columns)):
        raise refusal(
            "damaged",
            f"Expected a compressed picture of {dataset.Rows} rows and {dataset.Columns} columns; received one of "
            f"{frame.rows} and {frame.columns}. Send the file again.",
        )


def _ended(data: bytes, frame: Frame | None, dataset: Dataset) -> tuple[bytes, Remarks]:
    """Cut off what stands behind the end of a frame, and put its end marker there where it alone is missing."""
    if frame is None:
        return data, ()
    end = codestreams.end_of(data)
    if end is not None:
        return data[:end], _padded(len(data) - end) if len(data) - end > _PADDING_BYTES else ()

    def decode(tried: bytes) -> NDArray[Any]:
        return _decoded(dataset, tried, frame)[0]

    whole = None
    with suppress(*PYDICOM_ERRORS):  # of a decoder that comes to the end too early
        if frame.process == codestreams.WAVELETS:
            whole = codestreams.completed_2000(data)
        else:
            whole = codestreams.completed(data, lambda rest: codestreams.is_enough(rest, decode))
    if whole is None:
        raise refusal(
            "truncated", "Expected a whole compressed picture; received one that ends too early. Send the file again."
        )
    return whole, codestreams.NO_END


def _padded(count: int) -> Remarks:
    sentence = f"Expected a frame that ends with its picture; received {count} bytes behind it. They were passed over."
    return (("padded-frame", sentence),)


def _native_length(dataset: Dataset) -> int | None:
    """Bytes of native pixel data whose length follows from the size of the picture (PS3.5 8.1.1)."""
    is_whole = "PixelData" in dataset and int(dataset.BitsAllocated) >= 8
    return len(dataset.PixelData) if is_whole and dataset.PhotometricInterpretation != "YBR_FULL_422" else None


def _checked(dataset: Dataset, data: bytes, frame: Frame, values: NDArray[Any]) -> Remarks:
    """Refuse a compressed picture that does not end where its data do, and what libjpeg-turbo warns of."""
    if frame.process == codestreams.WAVELETS:
        return codestreams.HOLE if codestreams.has_hole(data) else wavelets.remarks(data, frame)
    if frame.bits == 8 and frame.process not in codestreams.LOSSLESS:
        is_whole = jpeg.fault(data) in {None, jpeg.CANNOT_TELL}
    else:

        def decode(tried: bytes) -> NDArray[Any]:
            return _tried(dataset, tried, frame, values)

        is_whole = codestreams.ends_with_picture(data, values, decode)
        if frame.process == codestreams.LOSSLESS_JPEG:  # a value too many or too few shifts all behind it
            is_whole = is_whole and codestreams.is_enough(data.removesuffix(codestreams.END), decode)
            is_whole = is_whole and _is_within_range(dataset, data, frame)
    if not is_whole:
        raise _faulty()
    return ()


def _is_within_range(dataset: Dataset, data: bytes, frame: Frame) -> bool:
    """Whether no sample of a lossless JPEG lies beyond its range; of 16 bits none can."""
    if frame.bits >= codestreams.WIDEST:
        return True
    allocated = dataset.BitsAllocated
    dataset.BitsAllocated = codestreams.WIDEST
    values, _ = _decoded(dataset, codestreams.widened(data), replace(frame, bits=codestreams.WIDEST))
    dataset.BitsAllocated = allocated
    return codestreams.is_within_range(values, frame.bits)


def _wrapped(values: NDArray[Any], bits: int, frame: Frame | None) -> Remarks:
    """Flag a lossless JPEG whose samples wrap round, as those of 16 bits do where a difference is wrong."""
    if frame is None or frame.process != codestreams.LOSSLESS_JPEG or values.ndim > 2:
        return ()
    lowest = -(1 << bits - 1) if values.dtype.kind == "i" else 0
    return seams.SEAM if seams.wrapped(values.astype(np.int32) - lowest, bits) > seams.WRAPPED else ()


def _faulty() -> ImageError:
    return refusal(
        "damaged", "Expected a whole compressed picture; received one with a fault in its data. Send the file again."
    )


def _tried(dataset: Dataset, data: bytes, frame: Frame, plain: NDArray[Any]) -> NDArray[Any]:
    """Decode changed data; where the decoder notices, all of the picture counts as it was but its last value."""
    with suppress(*PYDICOM_ERRORS):
        return _decoded(dataset, data, frame)[0]
    changed = plain.copy()
    changed.flat[-1] ^= 1
    return changed


def _fills(data: bytes, dataset: Dataset) -> bool:
    """Whether each segment of RLE holds one byte of each pixel, and hardly more (PS3.5 G); on others GDCM ends the process."""
    if dataset.file_meta.TransferSyntaxUID != RLELossless:
        return True
    count, *starts = struct.unpack_from("<16I", data)
    ends = [*starts[1:count], len(data)]
    needed = int(dataset.Rows) * int(dataset.Columns)
    return all(
        0 <= end - start - packbits.used(data[start:end], needed) <= _PADDING_BYTES
        for start, end in zip(starts[:count], ends, strict=True)
    )


def _decoded(dataset: Dataset, data: bytes | None, frame: Frame | None) -> tuple[NDArray[Any], str]:
    """Decode, by GDCM only where nothing else can (lossless JPEG, JPEG-LS, 12-bit JPEG): on some damaged JPEG it ends the process."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == ENCAPSULATED_UNCOMPRESSED:
        dataset.PixelData = data
        syntax = dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    elif data is not None:
        dataset.PixelData = encapsulate([data])
    elif syntax == ExplicitVRBigEndian and "PixelData" in dataset:
        dataset.PixelData = _little_endian(dataset["PixelData"], int(dataset.BitsAllocated))
        syntax = dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plugin = "pylibjpeg" if syntax in _WAVELETS else ""
    if frame is not None and data is not None and syntax in _BY_PILLOW:
        if frame.bits > 8:
            return _twelve_bit_jpeg(dataset, data), str(dataset.PhotometricInterpretation)
        syntax = dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        plugin, dataset.BitsAllocated = "pillow", 8
    kept = {keyword: int(dataset[keyword].value) for keyword in ("BitsStored", "HighBit") if keyword in dataset}
    if frame is not None:  # GDCM masks by Bits Stored what lies elsewhere in the cell
        dataset.BitsStored, dataset.HighBit = frame.bits, frame.bits - 1
    try:
        values, properties = get_decoder(syntax).as_array(
            dataset,
            index=0,
            raw=True,
            decoding_plugin=plugin,
            correct_unused_bits=False,
            apply_j2k_sign_correction=False,
            apply_jls_sign_correction=False,
        )
    finally:
        for keyword, value in kept.items():
            setattr(dataset, keyword, value)
    return values, str(properties["photometric_interpretation"])


def _little_endian(element: DataElement, allocated: int) -> bytes:
    """Swap 16-bit words, whatever the cells that lie in them (PS3.5 7.3 and 8.1.1); pydicom 3.0 swaps whole cells of 32 bits."""
    data = bytes(element.value)
    if element.VR == "OB" and allocated <= 8:
        return data
    return np.frombuffer(data + bytes(len(data) % 2), ">u2").astype("<u2").tobytes()


def _twelve_bit_jpeg(dataset: Dataset, data: bytes) -> NDArray[np.uint16]:
    """Decode T.81 process 4, which GDCM can and pydicom 3.0 does not ask it for."""
    import gdcm

    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(data)
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


def _samples(values: NDArray[Any], dataset: Dataset, precision: int) -> tuple[NDArray[Any], int, Remarks]:
    """Take the samples out of their cells, of which `precision` bits were coded; give them, their bits, and remarks."""
    stored, is_signed = min(int(dataset.BitsStored), 8 * values.dtype.itemsize), int(dataset.PixelRepresentation) == 1
    cells = values.astype(values.dtype.newbyteorder("="), copy=False).view(f"u{values.dtype.itemsize}")
    cells = cells & _outside_overlays(dataset, 8 * cells.dtype.itemsize)
    shift = int(dataset.HighBit) + 1 - stored
    if shift and (stored + shift > precision or _lies_low(cells, stored, shift)):
        shift = 0
    plain = _cut(cells >> shift, stored, is_signed)
    whole = _cut(cells >> shift, max(precision - shift, stored), is_signed)
    if np.array_equal(plain, whole) or _roughness(whole) >= _roughness(plain):
        return plain, stored, ()
    bits = next(
        depth
        for depth in (*DEPTHS_BITS, 32, 64)
        if int(np.abs(whole.astype(np.int64)).max()) < 2 ** (depth - is_signed)
    )
    sentence = f"Expected values of {stored} bits, as Bits Stored says; received a picture that needs {bits}. All bits were used: look at the picture."
    return whole, bits, (("bad-bits", sentence),)


def _outside_overlays(dataset: Dataset, cell_bits: int) -> int:
    """Mask out the bits that overlays without data of their own lie in (PS3.3 C.9.2, as of 2004)."""
    bits = 0
    for group in range(0x6000, 0x6020, 2):
        if (group, 0x0102) in dataset and (group, 0x3000) not in dataset:
            bits |= 1 << int(dataset[group, 0x0102].value)
    return ~bits & (1 << cell_bits) - 1


def _lies_low(cells: NDArray[Any], stored: int, shift: int) -> bool:
    """Whether High Bit cannot be true: the bits above Bits Stored are empty and those below the sample are not."""
    return int(cells.max()) < 1 << stored and bool((cells & (1 << shift) - 1).any())


def _cut(cells: NDArray[Any], bits: int, is_signed: bool) -> NDArray[Any]:
    """Give the number in the lowest bits, with its sign."""
    above = 8 * cells.dtype.itemsize - bits
    return (cells << above).view(f"{'i' if is_signed else 'u'}{cells.dtype.itemsize}") >> above


def _roughness(values: NDArray[Any]) -> float:
    """Mean step from pixel to pixel. A picture whose highest bits are cut off jumps; one with an overlay in them jumps while they are there."""
    return float(np.abs(np.diff(values.astype(np.float64), axis=1)).mean())
