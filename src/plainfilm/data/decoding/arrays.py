"""NPY arrays, PNM files and the raw images of the JSRT database -> samples."""

import re
from io import BytesIO
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from plainfilm.data.decoding import holes
from plainfilm.data.decoding.decoded import DecodedImage, check_size, refusal
from plainfilm.data.decoding.samples import Samples
from plainfilm.reasons import reason_of

JSRT_SIDE_PX, JSRT_TOP = 2048, 4095
JSRT_BYTES = 2 * JSRT_SIDE_PX**2
_PNM = re.compile(rb"P([2356])" + 3 * rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,5})" + rb"\s")


def decode(data: bytes, kind: str, *, depth: int | None) -> DecodedImage:
    """Decode the bytes of a file of `kind` NPY, PNM or JSRT; `depth` as in `images.read`.

    Raises
    ------
    ImageError
        With a code of `decoded.REASONS`.
    """
    samples = {"NPY": _npy, "PNM": _pnm, "JSRT": _jsrt}[kind](data)
    height, width = samples.values.shape[:2]
    gray, found, remarks = samples.gray(depth)
    bits = samples.stated or 8 * samples.values.dtype.itemsize
    facts: dict[str, str | int | float] = {"width": width, "height": height, "format": kind, "bits": bits}
    remarks += holes.remarks(samples.values)
    return DecodedImage(gray, (0.0, 0.0, *gray.size), facts | ({"depth": found} if found else {}), remarks)


def is_jsrt(data: bytes) -> bool:
    """Whether this may be an image of the JSRT database: of its length, and without a value above 12 bits."""
    return len(data) == JSRT_BYTES and 255 < np.frombuffer(data, ">u2").max() <= JSRT_TOP


def _jsrt(data: bytes) -> Samples:
    """Shiraishi et al., AJR 2000: 2048 x 2048 big-endian values of 12 bits, 0 white."""
    return Samples(np.frombuffer(data, ">u2").reshape(JSRT_SIDE_PX, -1).astype(np.uint16), 12, white_is_zero=True)


def _npy(data: bytes) -> Samples:
    stream = BytesIO(data)
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = read(stream)
    except (ValueError, SyntaxError, TypeError, TokenError) as error:
        raise refusal(
            "damaged", f"Expected a sound NPY file; received one with a fault ({reason_of(error)}). Save it again."
        ) from error
    height, width, *channels = _picture(shape, dtype)
    check_size(width, height)
    values = _values(data[stream.tell() :], dtype, int(np.prod(shape)))
    values = values.reshape(shape, order="F" if is_fortran else "C").reshape(height, width, *channels)
    if dtype.kind == "b":
        values = values.astype(np.uint8) * np.uint8(255)
    return Samples(values, 8 if values.dtype == np.uint8 else None)


def _picture(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, ...]:
    """Give the shape of the picture, (h, w) or (h, w, 3 or 4), in an array of this shape."""
    inner = shape[1:] if len(shape) in {3, 4} and shape[0] == 1 else shape
    inner = inner[:2] if len(inner) == 3 and inner[2] == 1 else inner
    if dtype.kind not in "buif" or dtype.hasobject or dtype.itemsize > 8:
        raise refusal(
            "unsupported-encoding",
            f"Expected an array of numbers; received one of {dtype}. Save it as uint8 or uint16.",
        )
    if len(inner) == 2 or (len(inner) == 3 and inner[2] in {3, 4}):
        return inner
    code = "several-frames" if len(inner) in {3, 4} else "unsupported-encoding"
    raise refusal(code, f"Expected an array (h, w) or (h, w, 3); received shape {shape}. Save one image a file.")


def _pnm(data: bytes) -> Samples:
    """Netpbm's gray and RGB formats, plain or raw; values are scaled by the highest that the header allows."""
    head = _PNM.match(data)
    if head is None:
        raise refusal(
            "damaged", "Expected a whole PNM file; received a header without size or highest value. Save it again."
        )
    width, height, top = (int(number) for number in head.groups()[1:])
    check_size(width, height)
    if not 0 < top < 2**16:
        raise refusal("damaged", f"Expected a highest value of 1 to 65535; received {top}. Save the file again.")
    channels = 3 if head[1] in b"36" else 1
    kind = np.dtype("=u4" if head[1] in b"23" else (">u2" if top > 255 else "u1"))
    body = data[head.end() :]
    if head[1] in b"23":
        body = _numbers(body, kind)
    values = _values(body, kind, width * height * channels).reshape(height, width, channels)
    depth = top.bit_length()
    if top == 2**16 - 1:
        return Samples(values.astype(np.uint16))
    if top == 2**depth - 1 and depth >= 8:
        return Samples(np.minimum(values, top).astype(np.uint16), depth)
    return Samples(np.minimum(values, top) / np.float32(top))


def _numbers(text: bytes, dtype: np.dtype[Any]) -> bytes:
    try:
        return np.fromstring(text, dtype, sep=" ").tobytes()
    except ValueError as error:
        raise refusal(
            "damaged", f"Expected numbers in a plain PNM file; received others ({reason_of(error)}). Save it again."
        ) from error


def _values(body: bytes, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    if len(body) < count * dtype.itemsize:
        raise refusal("truncated", "Expected a whole file; received one that ends too early. Copy or save it again.")
    values = np.frombuffer(body, dtype, count)
    return values.astype(dtype.newbyteorder("="), copy=False)
