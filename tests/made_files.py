"""Image files of known pixels, for the tests of the decoders."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from plainfilm.data import images
from plainfilm.errors import ImageError


def film(rows: int = 64, columns: int = 48, bits: int = 12) -> NDArray[np.uint16]:
    """A smooth, unsymmetrical picture that uses its whole depth."""
    y, x = np.mgrid[:rows, :columns] / np.array([rows, columns]).reshape(2, 1, 1)
    tones = 0.5 * y + 0.3 * x + 0.2 * (np.hypot(y - 0.2, x - 0.3) < 0.15)
    tones = (tones - tones.min()) / (tones.max() - tones.min())
    return np.round(tones * (2**bits - 1)).astype(np.uint16)


def gray_film(rows: int = 64, columns: int = 48) -> NDArray[np.uint8]:
    return film(rows, columns, bits=8).astype(np.uint8)


def guessed_depth(data: bytes) -> int | None:
    """Depth in bits that is guessed for a file; None where it needs no guess, or cannot be read."""
    try:
        return images.decode(data, size=8).provenance.get("depth")
    except ImageError:
        return None


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def endless_jpeg() -> bytes:
    """A JPEG of 300 kB whose last scan stands in it 20,000 times: decoding it takes minutes."""
    data = encoded(Image.linear_gradient("L").resize((2000, 2000)), "JPEG", progressive=True, quality=30)
    scan = data.rindex(b"\xff\xda")
    return data[:scan] + 20_000 * data[scan:-2] + data[-2:]


def dataset(pixels: NDArray[Any], *, bits: int = 12, photometric: str = "MONOCHROME2", **elements: Any) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = DigitalXRayImageStorageForPresentation
    made.SOPInstanceUID = generate_uid(entropy_srcs=["plainfilm"])
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    if pixels.ndim == 3:
        made.PlanarConfiguration = 0
    made.PhotometricInterpretation = photometric
    made.BitsAllocated = 8 * pixels.dtype.itemsize
    made.BitsStored, made.HighBit = bits, bits - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.add_new("PixelData", "OW" if pixels.dtype.itemsize > 1 else "OB", pixels.tobytes())
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def dicom_bytes(made: Dataset) -> bytes:
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def encapsulated(made: Dataset, syntax: UID, frame: bytes) -> bytes:
    made.file_meta.TransferSyntaxUID = syntax
    made.PixelData = encapsulate([frame])
    made["PixelData"].VR = "OB"
    return dicom_bytes(made)


def written(folder: Path, data: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@dataclass
class Pictures:
    """Images as an encoder takes them; `asked` counts the batches given."""

    pixels: np.ndarray
    fingerprint: str = "made"
    asked: int = 0

    def __len__(self) -> int:
        return len(self.pixels)

    def batches(self, size: int, start: int = 0) -> Iterator[np.ndarray]:
        for at in range(start, len(self.pixels), size):
            self.asked += 1
            yield self.pixels[at : at + size]
