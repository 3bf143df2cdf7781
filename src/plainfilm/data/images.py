"""One file (JPEG, PNG, TIFF, WebP, BMP, GIF, JPEG 2000, PNM, NPY, DICOM) -> square gray pixels and provenance: the only way in.

What stands in the file decides, never its extension. The file is read once; its hash and its pixels come from the
same bytes.
"""

import hashlib
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plainfilm.data.decoding import arrays, raster, resizing, tones
from plainfilm.data.decoding.declared import declared
from plainfilm.data.decoding.decoded import (
    MAX_BYTES,
    MAX_PIXELS,
    MIN_SIDE_PX,
    REASONS,
    REMARKS,
    DecodedImage,
    refusal,
)
from plainfilm.data.decoding.resizing import unfitted
from plainfilm.data.decoding.signatures import kind_of
from plainfilm.errors import ImageError, UsageError
from plainfilm.reasons import reason_of

__all__ = [
    "FITS",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MIN_SIDE_PX",
    "REASONS",
    "REMARKS",
    "Radiograph",
    "bytes_of",
    "check_options",
    "decode",
    "displayed",
    "fitted",
    "header",
    "kind_of",
    "read",
    "read_if_light",
    "unfitted",
    "unreadable",
]

LIGHT_BYTES = 4_000_000
LIGHT_PIXELS = 16_000_000
LIGHT_SAMPLES_BYTES = 3 * LIGHT_PIXELS  # of all pixels, as the file declares them
LIGHT_SCANS = 20  # of a JPEG; progressive ones have 6 to 18
FITS = ("stretch", "crop", "pad")
MAX_SIZE_PX = 4096
_RASTER = {"JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "JP2"}
_FORMATS = "JPEG, PNG, TIFF, WebP, BMP, GIF, JPEG 2000, PNM, NPY or DICOM"


@dataclass(frozen=True, slots=True)
class Radiograph:
    """One decoded file.

    `pixels` is uint8 (size, size), gray, bones bright. `sha256` is the hash of the file's bytes, in hex. `provenance`
    holds what is known of the file: `width` and `height` in px as stored, before any turning by EXIF; `format`,
    `mode`, `bits` a sample, `depth` in bits where it was guessed or given, `quality` (JPEG, estimated) and `ppi`; for DICOM `patient`, `sex`, `age` in years, `view`,
    `manufacturer`, `modality`, `body_part`, `institution`, `photometric`, `transfer_syntax` (UID). `remarks` are
    (code, sentence) pairs of a file that is kept but flagged; the codes are the keys of `REMARKS`.
    """

    pixels: NDArray[np.uint8]
    sha256: str
    provenance: dict[str, str | int | float]
    remarks: tuple[tuple[str, str], ...] = ()


def read(path: Path | str, *, size: int = 256, fit: str = "stretch", depth: int | None = None) -> Radiograph:
    """Read one file in this process.

    Some damaged DICOM files end the process, and some JPEG take minutes. A program that takes files from strangers reads
    them through `decoder_pool.read_many`, in processes with a limit of time and memory a file.

    Parameters
    ----------
    path : Path or str
        A regular file of at most `MAX_BYTES` bytes and `MAX_PIXELS` pixels; both are checked before decoding.
    size : int
        Side of the square in px, 1 to 4096.
    fit : {"stretch", "crop", "pad"}
        Both sides to `size`; the largest centred square; or the whole picture between black bars.
    depth : int, optional
        Bits that gray values are scaled by where the file does not state its own depth; higher values are shown white, with a
        remark. By default the depth is guessed: the smallest usual one that holds the file's values.

    Raises
    ------
    ImageError
        The file cannot become a radiograph; `code` is a key of `REASONS`. The sentence leaves out the path, which the
        caller knows and which may name a patient.
    UsageError
        `size` or `fit` cannot be meant.
    """
    check_options(size, fit)
    return decode(bytes_of(Path(path)), size=size, fit=fit, depth=depth)


def decode(data: bytes, *, size: int = 256, fit: str = "stretch", depth: int | None = None) -> Radiograph:
    """Decode the bytes of one file, as `read` does after reading them.

    Raises
    ------
    ImageError, UsageError
        As `read`.
    """
    check_options(size, fit)
    _check_length(len(data))
    with _enough_memory():
        picture = _sound(data, size, fit, depth)
        pixels = np.array(resizing.fit(picture, size, fit))
    return Radiograph(pixels, hashlib.sha256(data).hexdigest(), picture.provenance, picture.remarks)


def read_if_light(
    path: Path | str, *, size: int = 256, fit: str = "stretch", depth: int | None = None
) -> Radiograph | None:
    """Read one file in this process, as `read` does, if that can take a few seconds only, and no library known to crash; else None.

    Light is a JPEG or PNG of at most `LIGHT_BYTES`, `LIGHT_PIXELS` and `LIGHT_SAMPLES_BYTES`, a JPEG of at most `LIGHT_SCANS`
    by Huffman's codes: that bounds its memory and its time. Texts and profiles in a PNG Pillow inflates to 1 MB each.
    """
    check_options(size, fit)
    data = bytes_of(Path(path))
    return decode(data, size=size, fit=fit, depth=depth) if len(data) <= LIGHT_BYTES and _is_light(data) else None


def _is_light(data: bytes) -> bool:
    found = declared(data)
    return (
        found is not None
        and found.pixels <= LIGHT_PIXELS
        and found.samples_bytes <= LIGHT_SAMPLES_BYTES
        and found.scans <= LIGHT_SCANS
    )


def header(file: str | bytes) -> dict[str, str]:
    """Read what a DICOM file, a path or its bytes, says of patient, study, hospital and view, without its pixels.

    Returns
    -------
    dict of str to str
        By the names of `dicom_reading.KEYWORDS`; only what is there. `age` is in years.

    Raises
    ------
    ImageError
        It cannot be read, or not within bounds of bytes, elements and memory.
    """
    from plainfilm.data.decoding import radiograph_dicom

    with (
        _enough_memory(),
        _SILENCE,
        _disk_errors(),
        BytesIO(file) if isinstance(file, bytes) else _opened(Path(file)) as opened,
    ):
        return radiograph_dicom.names(opened)


def displayed(data: bytes, *, longest_px: int) -> NDArray[np.uint8]:
    """Decode the bytes of one file for people to look at: gray uint8 (h, w), upright, bones bright, in its proportions.

    The longer side is made `longest_px` px long, unless it is shorter already.

    Raises
    ------
    ImageError
        As `read`.
    """
    _check_length(len(data))
    with _enough_memory():
        picture = _sound(data, longest_px, "pad", None)
        left, top, right, bottom = picture.box
        shrunk = min(1.0, longest_px / max(right - left, bottom - top))
        size = (max(1, round((right - left) * shrunk)), max(1, round((bottom - top) * shrunk)))
        return np.array(resizing.resized(picture.gray, size, picture.box))


def _sound(data: bytes, size: int, fit: str, depth: int | None) -> DecodedImage:
    with _SILENCE:
        picture = _decode(data, size, fit, depth)
    found = tones.remarks(picture.gray, may_be_mask=picture.provenance["format"] != "DICOM")
    return replace(picture, remarks=picture.remarks + found) if found else picture


@contextmanager
def _enough_memory() -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise refusal(
            "out-of-memory",
            "Expected enough memory to decode the file; received none. Use fewer workers or save a smaller copy.",
        ) from error


def check_options(size: int, fit: str) -> None:
    """Raise UsageError where `size` or `fit` cannot be meant."""
    if fit not in FITS:
        raise UsageError(f"Expected fit to be one of {', '.join(FITS)}; received {fit!r}.")
    if not 1 <= size <= MAX_SIZE_PX:
        raise UsageError(f"Expected a size from 1 to {MAX_SIZE_PX} px; received {size}.")


def bytes_of(path: Path) -> bytes:
    """Read a regular file, as far as a radiograph may be long.

    Raises
    ------
    ImageError
        It cannot be read, or is none.
    """
    with _disk_errors(), _opened(path) as file:
        return file.read(min(MAX_BYTES, os.fstat(file.fileno()).st_size))


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise refusal("not-found", "Expected a file; received a path with none. Check the name.") from error
    except PermissionError as error:
        raise refusal(
            "no-permission", "Expected a readable file; received one that this user may not read. Change its rights."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise unreadable(error) from error


def unreadable(error: Exception) -> ImageError:
    """Make the error of a file that the disk, the network or an archive did not deliver."""
    return refusal(
        "unreadable", f"Expected a readable file; received an error from the disk ({reason_of(error)}). Check the disk."
    )


def _opened(path: Path) -> BinaryIO:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        kind = "folder" if stat.S_ISDIR(status.st_mode) else "pipe, socket or device"
        raise refusal("not-a-file", f"Expected an image file; received a {kind}. Name the files themselves.")
    _check_length(status.st_size)
    return path.open("rb")


def _check_length(length: int) -> None:
    if length > MAX_BYTES:
        raise refusal(
            "too-many-bytes",
            f"Expected at most {MAX_BYTES // 1_000_000} MB; received {length / 1e6:.0f} MB. "
            "Save a smaller or compressed copy.",
        )
    if not length:
        raise refusal("empty", "Expected an image; received a file of 0 bytes. Copy or download it again.")


@dataclass(slots=True)
class _Silence:
    """Warnings switched off while anyone decodes: `catch_warnings` alone would mix up threads that overlap."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    inside: int = 0
    saved: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.saved.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.saved.close()


_SILENCE = _Silence()


def _decode(data: bytes, size: int, fit: str, depth: int | None) -> DecodedImage:
    kind = kind_of(data) or ("JSRT" if arrays.is_jsrt(data) else None)
    if kind == "DICOM":
        from plainfilm.data.decoding import radiograph_dicom

        return radiograph_dicom.decode(data)
    if kind in {"NPY", "PNM", "JSRT"}:
        return arrays.decode(data, kind, depth=depth)
    if kind in _RASTER:
        return raster.decode(data, kind, least=size, fit=fit, depth=depth)
    raise _stranger(data, kind)


def _stranger(data: bytes, kind: str | None) -> ImageError:
    if kind is not None:
        return refusal("unsupported-encoding", f"Expected {_FORMATS}; received {kind}. Convert it to PNG.")
    head = data[:2048].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml", b"<!--")) and b"<htm" in head:
        return refusal(
            "web-page", "Expected an image; received a web page, probably of a failed download. Download it again."
        )
    if head.startswith(b"version https://git-lfs"):
        return refusal("lfs-pointer", "Expected an image; received a Git LFS pointer. Run `git lfs pull` first.")
    return refusal(
        "unknown-format",
        f"Expected {_FORMATS}; received a file that begins like none of them. Convert it to PNG.",
    )


def fitted(gray: NDArray[np.uint8], *, size: int = 256, fit: str = "stretch") -> NDArray[np.uint8]:
    """Fit an array that is already decoded, gray uint8 (h, w), bones bright, as `read` fits a file: uint8 (size, size).

    Raises
    ------
    UsageError
        Another shape or dtype, a side below `MIN_SIDE_PX`, or a `size` or `fit` that cannot be meant.
    """
    check_options(size, fit)
    if not isinstance(gray, np.ndarray) or gray.dtype != np.uint8 or gray.ndim != 2 or min(gray.shape) < MIN_SIDE_PX:
        received = f"{gray.dtype} {gray.shape}" if isinstance(gray, np.ndarray) else type(gray).__name__
        raise UsageError(
            f"Expected a gray uint8 array (h, w) of at least {MIN_SIDE_PX} px a side; received {received}."
        )
    if gray.shape == (size, size):
        return gray
    whole = (0, 0, gray.shape[1], gray.shape[0])
    return np.array(resizing.fit(DecodedImage(Image.fromarray(gray), whole, {}), size, fit))
