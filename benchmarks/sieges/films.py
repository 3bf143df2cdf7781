"""Damaged films: how many are answered without a refusal and without a remark though more than 5 % of the picture is wrong; and sound ones.

A pixel is wrong where it differs by more than 16 gray levels from the undamaged film, both fitted to 256 x 256 px. Damage falls on the
compressed picture, behind the header, as disks, networks and programs leave it. Films are real ones where ../shared is, else synthetic.
Sound films are all real ones as they are, and these and their sizes encoded anew, one format after another, with harmless oddities.
"""

import io
import random
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from measuring import SHARED
from plainfilm.data import decoder_pool, images, phantom
from plainfilm.errors import ImageError
from sieges.row import Row, Told

CASES, SOUND = 2000, 10_000
WRONG_LEVELS, WRONG_SHARE, MOST = 16, 0.05, 0.005
END = b"\xff\xd9"
Gray = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Damage:
    """A kind: how the film is encoded, how it is damaged, and where its compressed picture begins and ends."""

    name: str
    encode: Callable[[Gray], bytes]
    harm: Callable[[bytes, int, random.Random], bytes]
    begins: bytes = b""


def pillow(kind: str, **options: Any) -> Callable[[Gray], bytes]:
    def encode(gray: Gray) -> bytes:
        stream = io.BytesIO()
        image = Image.fromarray(gray)
        image.convert(options.get("mode", "L")).save(stream, kind, **{k: v for k, v in options.items() if k != "mode"})
        return stream.getvalue()

    return encode


LOSSY_2000 = pillow("JPEG2000", irreversible=True, quality_mode="rates", quality_layers=[20])


def tiff(**options: Any) -> Callable[[Gray], bytes]:
    def encode(gray: Gray) -> bytes:
        stream = io.BytesIO()
        tifffile.imwrite(stream, gray.astype(np.uint16) * 257 if options.get("predictor") else gray, **options)
        return stream.getvalue()

    return encode


def dicom(syntax: Any) -> Callable[[Gray], bytes]:
    from made_dicom_matrix import compressed
    from made_files import dataset, dicom_bytes, encapsulated

    def encode(gray: Gray) -> bytes:
        if syntax == JPEGBaseline8Bit:
            return encapsulated(dataset(gray, bits=8), syntax, pillow("JPEG", quality=90)(gray))
        if syntax == JPEGLosslessSV1:
            return encapsulated(dataset(gray, bits=8), syntax, imagecodecs.ljpeg_encode(gray))
        if syntax == RLELossless:  # GDCM ends the process on some sizes
            plain = dataset(gray, bits=8)
            plain.compress(syntax, encoding_plugin="pydicom")
            return dicom_bytes(plain)
        with warnings.catch_warnings(action="ignore"):
            return dicom_bytes(compressed(dataset(gray, bits=8), syntax))

    return encode


def zeroed(data: bytes, start: int, rng: random.Random) -> bytes:
    at, length = _span(data, start, rng)
    return data[:at] + bytes(length) + data[at + length :]


def replaced(data: bytes, start: int, rng: random.Random) -> bytes:
    at, length = _span(data, start, rng)
    return data[:at] + rng.randbytes(length) + data[at + length :]


def removed(data: bytes, start: int, rng: random.Random) -> bytes:
    at, length = _span(data, start, rng)
    return data[:at] + data[at + length :]


def flipped(data: bytes, start: int, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(8):
        changed[rng.randrange(start, len(data) - 2)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, start: int, rng: random.Random) -> bytes:
    return data[: rng.randrange(start, len(data) - 2)]


def ended(data: bytes, start: int, rng: random.Random) -> bytes:
    return cut(data, start, rng) + END


def unscanned(data: bytes, _: int, rng: random.Random) -> bytes:
    scans = [at for at in range(len(data)) if data.startswith(b"\xff\xda", at)]
    number = rng.randrange(len(scans))
    behind = [*scans, len(data) - 2][number + 1]
    return data[: scans[number]] + data[behind:]


def resized(data: bytes, _: int, rng: random.Random) -> bytes:
    """Declare another height in a JPEG."""
    at = next(at for mark in (b"\xff\xc0", b"\xff\xc2") if (at := data.find(mark)) >= 0) + 5
    return data[:at] + rng.choice([64, 7000]).to_bytes(2) + data[at + 2 :]


def unchecked(data: bytes, _start: int, _rng: random.Random) -> bytes:
    """Make the picture of a PNG another, without its checksum."""
    first, end = data.index(b"IDAT") - 4, data.rindex(b"IEND") - 4
    packed, at = b"", first
    while at < end:
        length = int.from_bytes(data[at : at + 4])
        packed += data[at + 8 : at + 8 + length]
        at += 12 + length
    rows = bytearray(zlib.decompress(packed))
    for place in range(len(rows) // 3, len(rows) // 2):
        rows[place] ^= 0x55 if rows[place] > 4 else 0
    packed = zlib.compress(bytes(rows))
    return data[:first] + len(packed).to_bytes(4) + b"IDAT" + packed + bytes(4) + data[end:]


def _span(data: bytes, start: int, rng: random.Random) -> tuple[int, int]:
    length = min(rng.choice([64, 512, 4096]), (len(data) - start) // 4)
    return rng.randrange(start, len(data) - length - 2), length


def kinds() -> list[Damage]:
    some = (zeroed, replaced, removed, flipped)
    lossy = {
        "JPEG": (pillow("JPEG", quality=88), (*some, ended, resized), b"\xff\xda"),
        "JPEG in colour": (pillow("JPEG", quality=88, mode="RGB"), (zeroed, ended), b"\xff\xda"),
        "progressive JPEG": (pillow("JPEG", quality=88, progressive=True), (*some, ended, unscanned), b"\xff\xda"),
        "JPEG with restarts": (pillow("JPEG", quality=88, restart_marker_rows=1), (zeroed, ended), b"\xff\xda"),
        "PNG": (pillow("PNG"), (zeroed, flipped, unchecked), b"IDAT"),
        "WebP": (pillow("WEBP", quality=85), (*some, cut), b"VP8 "),
        "lossless WebP": (pillow("WEBP", lossless=True), (zeroed, flipped), b"VP8L"),
        "GIF": (pillow("GIF"), (zeroed, flipped), b","),
        "TIFF deflate": (tiff(compression="zlib", rowsperstrip=32), (zeroed, flipped), b""),
        "TIFF LZW": (tiff(compression="lzw", predictor=True), (zeroed, flipped), b""),
        "TIFF PackBits": (tiff(compression="packbits", rowsperstrip=32), (zeroed, replaced), b""),
        "TIFF JPEG": (tiff(compression="jpeg", rowsperstrip=64), (zeroed, flipped), b""),
        "BMP": (pillow("BMP"), (removed, cut, zeroed), b""),
        "PGM": (pillow("PPM"), (removed, cut, zeroed), b""),
        "lossy JPEG 2000": (LOSSY_2000, (flipped, replaced, zeroed), b"\xff\x93"),
        "JPEG 2000": (pillow("JPEG2000"), (zeroed, removed, cut, flipped, replaced), b"\xff\x93"),
    }
    syntaxes = {"baseline JPEG": JPEGBaseline8Bit, "lossless JPEG": JPEGLosslessSV1, "JPEG-LS": JPEGLSLossless}
    syntaxes |= {"RLE": RLELossless, "JPEG 2000": JPEG2000Lossless}
    made = {
        f"DICOM {name}": (dicom(syntax), (zeroed, flipped, removed), b"\xfe\xff\0\xe0")
        for name, syntax in syntaxes.items()
    }
    return [
        Damage(f"{name}, {harm.__name__}", encode, harm, begins)
        for name, (encode, harms, begins) in (lossy | made).items()
        for harm in harms
    ]


@cache
def films(seed: int) -> tuple[Path, ...] | None:
    paths = sorted((SHARED / "data").glob("*/*/*.jpg"))
    return tuple(random.Random(seed).sample(paths, len(paths))) or None


def film(seed: int, number: int) -> Gray:
    paths = films(seed)
    if paths is None:
        visit = phantom.plan(200, seed=seed)[number % 200]
        return np.asarray(phantom.render(visit).pixels)
    with Image.open(paths[number % len(paths)]) as image:
        return np.asarray(image.convert("L"))


def judged(read: images.Radiograph | ImageError, good: NDArray[np.int16]) -> str:
    if isinstance(read, ImageError):
        return f"refused as {read.code}"
    wrong = (np.abs(read.pixels - good) > WRONG_LEVELS).mean() > WRONG_SHARE
    return f"{'wrong' if wrong else 'nearly right'}, {'with a remark' if read.remarks else 'silent'}"


def damaged(told: Told, cases: int) -> Counter[tuple[str, str]]:
    every, goods = kinds(), list[NDArray[np.int16]]()

    def made() -> Iterator[Callable[[], bytes]]:
        for number in range(cases):
            kind = every[number % len(every)]
            data = kind.encode(film(told.seed, number))
            goods.append(images.decode(data).pixels.astype(np.int16))
            header = data.find(kind.begins, 1000 if kind.name.startswith("DICOM") else 0) + 64 if kind.begins else 300
            harmed = kind.harm(data, header, random.Random(f"{told.seed} {number}"))
            yield lambda harmed=harmed: harmed

    outcomes = decoder_pool.read_many(made(), workers=1)
    return Counter((every[at % len(every)].name, judged(read, goods[at])) for at, read in enumerate(outcomes))


def encodings() -> list[Callable[[Gray], bytes]]:
    jpegs = [
        pillow("JPEG", quality=quality, **options)
        for quality in (30, 75, 90, 100)
        for options in (
            {},
            {"progressive": True},
            {"optimize": True},
            {"restart_marker_rows": 2},
            {"mode": "RGB"},
            {"mode": "CMYK"},
        )
    ]
    tiffs = [tiff(compression=name) for name in ("none", "zlib", "lzw", "packbits", "jpeg")]
    others = [pillow(kind) for kind in ("PNG", "BMP", "GIF", "PPM", "WEBP", "JPEG2000")] + [
        pillow("WEBP", lossless=True),
        LOSSY_2000,
    ]
    syntaxes = (JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, RLELossless, JPEG2000Lossless)
    plain = [*jpegs, *tiffs, *others, *map(dicom, syntaxes), lambda gray: imagecodecs.jpeg8_encode(gray, level=85)]
    odd = pillow("JPEG", quality=85)
    return [*plain, lambda gray: odd(gray) + bytes(600), lambda gray: odd(gray)[:-2] + bytes(5) + END]


def sound(told: Told, cases: int) -> Iterator[tuple[str, bytes]]:
    paths = films(told.seed) or ()
    as_they_are = paths[: 3 * cases // 4]
    for path in as_they_are:
        yield path.name, path.read_bytes()
    every = encodings()
    for number in range(cases - len(as_they_are)):
        yield f"encoding {number % len(every)}", every[number % len(every)](film(told.seed, number))


def complaints(told: Told, cases: int) -> list[str]:
    """Sound films that are refused, or remarked for damage."""
    harmless = {"mask", "low-contrast", "colour", "clipped"}
    found = []
    for name, data in sound(told, cases):
        try:
            codes = {code for code, _ in images.decode(data).remarks} - harmless
        except ImageError as error:
            codes = {error.code}
        found += [f"{name}: {', '.join(codes)}"] if codes else []
    return found


def run(told: Told) -> Row:
    cases = told.cases or CASES
    found, wrong = damaged(told, cases), complaints(told, SOUND * cases // CASES)
    total = Counter[str]()
    for (name, outcome), count in sorted(found.items()):
        total[outcome] += count
        if outcome == "wrong, silent":
            print(f"    {name}: {count} {outcome}")
    print("\n".join(f"    sound, yet {each}" for each in wrong[:20]))
    share = total["wrong, silent"] / cases
    return Row(
        tried=f"damaged films of {len(kinds())} kinds, and {SOUND * cases // CASES} sound ones",
        cases=cases,
        found=f"{share:.2%} wrong and silent ({', '.join(f'{count} {name}' for name, count in total.most_common())}); {len(wrong)} sound ones complained of",
        promised=f"at most {MOST:.1%} wrong and silent, and no sound film complained of",
        holds=share <= MOST and not wrong,
    )
