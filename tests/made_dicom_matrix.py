"""DICOM files of known values over photometric interpretation, bits, sign, transfer syntax and tables, each with the picture that the standard asks for.

The picture is computed here in float64 from the values that were written, by the formulas of PS3.3, never by plainfilm.
"""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from made_files import dataset, dicom_bytes, film

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
ENCAPSULATED = (RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless)
SHORT = {
    ImplicitVRLittleEndian: "implicit",
    ExplicitVRLittleEndian: "little",
    ExplicitVRBigEndian: "big",
    DeflatedExplicitVRLittleEndian: "deflated",
    RLELossless: "RLE",
    JPEGLosslessSV1: "JPEG lossless",
    JPEGLSLossless: "JPEG-LS",
    JPEG2000Lossless: "JPEG 2000",
}
ROWS, COLUMNS = 64, 48
Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Case:
    """`expected` float64 (h, w), 0 to 255; `stored` the values that were written; `remark` the code that plainfilm must say, if any."""

    group: str
    name: str
    data: bytes
    expected: NDArray[np.float64]
    stored: NDArray[np.int64]
    syntax: UID
    voi: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Look:
    """Elements of a data set, and what they mean: stored value -> measured value -> 0 to 1; `voi` names dcmtk's option for it."""

    name: str
    elements: Callable[[Dataset, bool], None] = lambda *_: None
    measured: Curve = lambda values: values
    tone: Curve | None = None
    voi: str = "+Wm"
    remark: str = ""


@dataclass(frozen=True)
class Cell:
    """How values lie in their cells."""

    allocated: int
    stored: int
    signed: bool = False
    high: int | None = None
    junk: int = 0  # bits that are set in some pixels outside the sample

    @property
    def name(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.stored}/{self.allocated}" + (
            "" if self.high is None else f" high {self.high}"
        )


def values_of(cell: Cell) -> NDArray[np.int64]:
    bits = min(cell.stored, 16)
    values = film(ROWS, COLUMNS, bits).astype(np.int64)
    values = values * 1000 if cell.stored > 16 else values
    return values - 2 ** (bits - 1) if cell.signed else values


def clipped(tones: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(tones, 0.0, 1.0)


def picture(values: NDArray[np.int64], look: Look, *, inverse: bool) -> NDArray[np.float64]:
    measured = look.measured(values.astype(np.float64))
    if look.tone is None:
        tones = (measured - measured.min()) / (measured.max() - measured.min())
    else:
        tones = clipped(look.tone(measured))
    return 255.0 * (1.0 - tones if inverse else tones)


def written(values: NDArray[np.int64], cell: Cell, look: Look, syntax: UID, photometric: str) -> bytes:
    """A file of these values in these cells."""
    big = syntax == ExplicitVRBigEndian
    high = cell.stored - 1 if cell.high is None else cell.high
    cells = (values & (2**cell.stored - 1)) << (high + 1 - cell.stored)
    if cell.junk:
        cells[10:30, 5:40] |= cell.junk
    kind = f"u{cell.allocated // 8}"
    made = dataset(cells.astype(kind), bits=cell.allocated, photometric=photometric)
    made.PixelRepresentation = 0
    made.HighBit = cell.allocated - 1
    return laid_out(made, cells.astype(kind), cell, high, look, syntax, big)


def laid_out(made: Dataset, cells: NDArray[Any], cell: Cell, high: int, look: Look, syntax: UID, big: bool) -> bytes:
    coded = cell.allocated if cell.junk or cell.high or syntax == RLELossless else cell.stored
    made.BitsStored, made.HighBit = coded, coded - 1
    if syntax in ENCAPSULATED:
        made = compressed(made, syntax)
    made.BitsStored, made.HighBit, made.PixelRepresentation = cell.stored, high, int(cell.signed)
    look.elements(made, big)
    if big:
        made.PixelData = in_words(cells.tobytes())
        made["PixelData"].VR = "OW"
    made.file_meta.TransferSyntaxUID = syntax
    return dicom_bytes(made)


def in_words(data: bytes) -> bytes:
    """Pixel data of VR OW in big-endian order: whatever the cells, 16-bit words are swapped (PS3.5 7.3 and 8.1.1)."""
    return np.frombuffer(data + bytes(len(data) % 2), "<u2").astype(">u2").tobytes()


def compressed(made: Dataset, syntax: UID) -> Dataset:
    if syntax != JPEGLosslessSV1:
        made.compress(syntax, generate_instance_uid=False)
        return made
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "a.dcm", Path(folder) / "b.dcm"
        source.write_bytes(dicom_bytes(made))
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(source))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(target))
        assert writer.Write()
        changed = dcmread(target)
        _ = changed.PixelData
        return changed


def elements(**given: Any) -> Callable[[Dataset, bool], None]:
    def put(made: Dataset, big: bool) -> None:
        for keyword, value in given.items():
            setattr(made, keyword, value)

    return put


def lut(
    entries: NDArray[Any], first: int, bits: int, *, vr: str = "US", big: bool = False, packed: bool = False
) -> Dataset:
    """An item of a LUT sequence; `packed` lays two entries of 8 bits into a word."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries) % 65536, first, bits])
    words = np.asarray(entries, dtype=np.int64)
    if packed:
        words = words[::2] | words[1::2] << 8
    if vr == "US":
        item.add_new("LUTData", "US", [int(word) for word in words])
    else:
        item.add_new("LUTData", "OW", words.astype(">u2" if big else "<u2").tobytes())
    return item


def sequence(
    keyword: str, entries: NDArray[Any], first: int, bits: int, **options: Any
) -> Callable[[Dataset, bool], None]:
    def put(made: Dataset, big: bool) -> None:
        setattr(made, keyword, [lut(entries, first, bits, big=big, **options)])

    return put


def looked_up(entries: NDArray[Any], first: int, top: float) -> Curve:
    return lambda measured: entries[np.clip(np.floor(measured) - first, 0, len(entries) - 1).astype(int)] / top


def linear(centre: float, width: float) -> Curve:
    return lambda x: (x - (centre - 0.5)) / (width - 1) + 0.5


def looks(cell: Cell) -> list[Look]:
    """Windows and tables that suit the values of a cell."""
    values = values_of(cell)
    low, high = float(values.min()), float(values.max())
    centre, width = round((low + high) / 2), max(2, round((high - low) * 0.6))
    window = {"WindowCenter": centre, "WindowWidth": width}
    count = min(65535, int(high - low) + 1)
    curve = (np.arange(count) / (count - 1)) ** 0.6
    top = 2.0 ** (8 if count <= 256 else 12) - 1
    entries, bits = np.rint(curve * top).astype(int), 8 if count <= 256 else 12
    modality = np.rint(65535 * curve).astype(int)
    rescaled = {"RescaleSlope": -2, "RescaleIntercept": 100, "WindowCenter": 100 - 2 * centre, "WindowWidth": 2 * width}
    return [
        Look("full range"),
        Look("window", elements(**window), tone=linear(centre, width), voi="+Wi 1"),
        Look(
            "two windows",
            elements(WindowCenter=[centre, 1], WindowWidth=[width, 2]),
            tone=linear(centre, width),
            voi="+Wi 1",
        ),
        Look(
            "LINEAR_EXACT",
            elements(**window, VOILUTFunction="LINEAR_EXACT"),
            tone=lambda x: (x - centre) / width + 0.5,
            voi="+Wi 1",
        ),
        Look(
            "SIGMOID",
            elements(**window, VOILUTFunction="SIGMOID"),
            tone=lambda x: 1 / (1 + np.exp(-4 * (x - centre) / width)),
            voi="+Wfs +Wi 1",
        ),
        Look(
            "negative slope",
            elements(**rescaled),
            measured=lambda x: -2 * x + 100,
            tone=linear(100 - 2 * centre, 2 * width),
            voi="+Wi 1",
        ),
        Look(
            "VOI LUT US",
            sequence("VOILUTSequence", entries, int(low), bits, vr="US" if count < 32_768 else "OW"),
            tone=looked_up(entries, int(low), top),
            voi="+Wl 1",
        ),
        Look(
            "VOI LUT OW",
            sequence("VOILUTSequence", entries, int(low), bits, vr="OW"),
            tone=looked_up(entries, int(low), top),
            voi="+Wl 1",
        ),
        Look(
            "Modality LUT",
            sequence("ModalityLUTSequence", modality, int(low), 16, vr="OW"),
            measured=looked_up(modality, int(low), 1.0),
        ),
    ]


PLAIN_CELLS = (
    Cell(8, 8), Cell(8, 6), Cell(16, 10), Cell(16, 12), Cell(16, 14), Cell(16, 16), Cell(16, 8),
    Cell(8, 8, signed=True), Cell(16, 12, signed=True), Cell(16, 16, signed=True), Cell(32, 32),
)  # fmt: skip


def gray_cases() -> Iterator[Case]:
    """Native and encapsulated files, each cell in each syntax with three of the looks in turn."""
    turn = itertools.count()
    for syntax, cell, photometric in itertools.product(
        NATIVE + ENCAPSULATED, PLAIN_CELLS, ("MONOCHROME2", "MONOCHROME1")
    ):
        if syntax in ENCAPSULATED and (cell.allocated == 32 or cell.stored in {6, 14}):
            continue
        values, of_cell = values_of(cell), looks(cell)
        for _ in range(3 if syntax in NATIVE else 2):
            look = of_cell[next(turn) % len(of_cell)]
            if cell.stored == 32 and "LUT" in look.name:
                look = of_cell[1]
            yield Case(
                "native" if syntax in NATIVE else "encapsulated",
                f"{SHORT[syntax]} {photometric} {cell.name} {look.name}",
                written(values, cell, look, syntax, photometric),
                picture(values, look, inverse=photometric == "MONOCHROME1"),
                values,
                syntax,
                look.voi,
            )


def bit_cases() -> Iterator[Case]:
    """High Bit above Bits Stored - 1, and bits outside the sample that are set in a part of the picture."""
    cells = [
        Cell(16, stored, signed, high, junk)
        for stored, signed in itertools.product((10, 12), (False, True))
        for high, junk in ((15, 0), (15, 1), (None, 1 << 15), (13, 1 << 15 | 1))
    ]
    for syntax, cell in itertools.product((ExplicitVRLittleEndian, ExplicitVRBigEndian, *ENCAPSULATED), cells):
        values = values_of(cell)
        look = looks(cell)[1]
        name = f"{SHORT[syntax]} {cell.name} junk {cell.junk:#x}"
        data = written(values, cell, look, syntax, "MONOCHROME2")
        yield Case("unused bits", name, data, picture(values, look, inverse=False), values, syntax, look.voi)


def colour_cases() -> Iterator[Case]:
    """RGB and YBR of 8, 12 and 16 bits, by pixel and by plane, and palettes of every kind."""
    for syntax, bits, planar in itertools.product(
        (ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEG2000Lossless), (8, 12, 16), (0, 1)
    ):
        if planar and syntax in ENCAPSULATED:
            continue
        kind = "u1" if bits == 8 else "u2"
        one = film(ROWS, COLUMNS, bits).astype(np.int64)
        rgb = np.stack([one, one[::-1], one // 2], axis=2)
        gray = (rgb @ np.array([0.299, 0.587, 0.114])) / (2**bits - 1) * 255
        for photometric in ("RGB", "YBR_FULL") if syntax in NATIVE and bits == 8 else ("RGB",):
            if photometric == "YBR_FULL":
                rgb = np.stack([64 + one // 2, 120 + one // 16, 136 - one[::-1] // 16], axis=2)
            made = dataset(rgb.astype(kind), bits=bits, photometric=photometric)
            if syntax in ENCAPSULATED:
                made = compressed(made, syntax)
            elif syntax == ExplicitVRBigEndian and bits > 8:
                made.PixelData = rgb.astype(">u2").tobytes()
            if planar:
                planes = np.moveaxis(np.frombuffer(made.PixelData, made_kind(kind, syntax)).reshape(rgb.shape), 2, 0)
                made.PlanarConfiguration, made.PixelData = 1, planes.tobytes()
            made.file_meta.TransferSyntaxUID = syntax
            if syntax == ExplicitVRBigEndian and bits == 8:
                made["PixelData"].VR = "OB"
            luma = rgb[..., 0] if photometric == "YBR_FULL" else gray
            yield Case(
                "colour",
                f"{SHORT[syntax]} {photometric} {bits} planar {planar}",
                dicom_bytes(made),
                luma.astype(float),
                rgb,
                syntax,
            )
    yield from palette_cases()


def made_kind(kind: str, syntax: UID) -> str:
    return (">" if syntax == ExplicitVRBigEndian else "<") + kind


def palette_cases() -> Iterator[Case]:
    stored = film(ROWS, COLUMNS, 8).astype(np.int64)
    ramp = 255 - np.arange(256)
    kinds = ("16 bits", "8 bits in words", "8 bits packed", "segmented 16", "segmented 8")
    for syntax, kind in itertools.product(
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless), kinds
    ):
        made = dataset(stored.astype("u1"), bits=8, photometric="PALETTE COLOR")
        if syntax == RLELossless:
            made = compressed(made, syntax)
        order = ">u2" if syntax == ExplicitVRBigEndian else "<u2"
        bits, prefix = 8 if "8" in kind.split() else 16, "Segmented" if "segmented" in kind else ""
        if kind == "16 bits":
            words = ramp * 257
        elif kind == "8 bits in words":
            words = ramp
        elif kind == "8 bits packed":
            words = ramp[::2] | ramp[1::2] << 8
        elif kind == "segmented 16":
            words = np.array([0, 2, 65535, 254 * 257, 1, 254, 0])
        else:
            small = np.array([0, 2, 255, 254, 1, 254, 0, 0])
            words = small[::2] | small[1::2] << 8
        if kind == "8 bits packed":
            bits = 8
        for colour in ("Red", "Green", "Blue"):
            made.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [256, 0, bits])
            made.add_new(f"{prefix}{colour}PaletteColorLookupTableData", "OW", words.astype(order).tobytes())
        made.file_meta.TransferSyntaxUID = syntax
        yield Case("palette", f"{SHORT[syntax]} {kind}", dicom_bytes(made), ramp[stored].astype(float), stored, syntax)


def table_cases() -> Iterator[Case]:
    """Tables that begin at another value, have 65536 entries, lie in either byte order, or declare other bits than they fill."""
    values = values_of(Cell(16, 12))
    curve = (np.arange(4096) / 4095) ** 0.6
    for syntax, (data_bits, declared), vr in itertools.product(
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian),
        ((12, 12), (8, 8), (16, 16), (12, 10), (12, 16), (10, 16)),
        ("US", "OW"),
    ):
        top = 2**data_bits - 1
        entries = np.rint(curve * top).astype(int)
        remark = "" if data_bits == declared else "bad-table"
        look = Look(
            "", sequence("VOILUTSequence", entries, 0, declared, vr=vr), tone=looked_up(entries, 0, top), voi="+Wl 1"
        )
        yield gray_case(
            "tables",
            f"{SHORT[syntax]} {vr} {data_bits} bits, declared {declared}",
            values,
            Cell(16, 12),
            look,
            syntax,
            remark=remark,
        )
    packed = np.rint(curve * 255).astype(int)
    whole = np.rint(65535 * np.linspace(0, 1, 65536) ** 0.6).astype(int)
    signed = Cell(16, 12, signed=True)
    for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian):
        look = Look(
            "",
            sequence("VOILUTSequence", packed, 0, 8, vr="OW", packed=True),
            tone=looked_up(packed, 0, 255),
            voi="+Wl 1",
        )
        yield gray_case("tables", f"{SHORT[syntax]} 8 bits packed", values, Cell(16, 12), look, syntax)
        look = Look("", sequence("ModalityLUTSequence", whole, 0, 16, vr="OW"), measured=looked_up(whole, 0, 1.0))
        yield gray_case("tables", f"{SHORT[syntax]} 65536 entries", values_of(Cell(16, 16)), Cell(16, 16), look, syntax)
        entries = np.rint(curve * 4095).astype(int)
        look = Look(
            "",
            sequence("VOILUTSequence", entries, -2048, 12, vr="OW"),
            tone=looked_up(entries, -2048, 4095),
            voi="+Wl 1",
        )
        yield gray_case("tables", f"{SHORT[syntax]} from -2048", values_of(signed), signed, look, syntax)


def gray_case(
    group: str, name: str, values: NDArray[np.int64], cell: Cell, look: Look, syntax: UID, *, photometric: str = "MONOCHROME2",
    inverse: bool | None = None, remark: str = "",
) -> Case:  # fmt: skip
    is_inverse = photometric == "MONOCHROME1" if inverse is None else inverse
    data = written(values, cell, look, syntax, photometric)
    return Case(group, name, data, picture(values, look, inverse=is_inverse), values, syntax, look.voi, remark)


def presentation_cases() -> Iterator[Case]:
    """Presentation LUT Shape with both photometric interpretations, a Presentation LUT, and pixel padding."""
    cell = Cell(16, 12)
    values = values_of(cell)
    for photometric, shape, window in itertools.product(
        ("MONOCHROME1", "MONOCHROME2"), ("", "IDENTITY", "INVERSE"), (False, True)
    ):
        given = ({"WindowCenter": 2000, "WindowWidth": 3000} if window else {}) | (
            {"PresentationLUTShape": shape} if shape else {}
        )
        look = Look(
            "", elements(**given), tone=linear(2000, 3000) if window else None, voi="+Wi 1" if window else "+Wm"
        )
        inverse = photometric == "MONOCHROME1" or shape == "INVERSE"
        remark = (
            "bad-header" if (photometric, shape) in {("MONOCHROME2", "INVERSE"), ("MONOCHROME1", "IDENTITY")} else ""
        )
        yield gray_case(
            "presentation", f"{photometric} {shape or 'no shape'} window {window}", values, cell, look, ExplicitVRLittleEndian,
            photometric=photometric, inverse=inverse, remark=remark,
        )  # fmt: skip


def header_cases() -> Iterator[Case]:
    """Elements that are missing or malformed, one at a time."""
    cell = Cell(16, 16)
    values = values_of(cell)
    window = {"WindowCenter": 30000, "WindowWidth": 50000}

    def without(keyword: str) -> Callable[[Dataset, bool], None]:
        def put(made: Dataset, big: bool) -> None:
            elements(**window)(made, big)
            del made[keyword]

        return put

    for syntax, keyword in itertools.product(
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, JPEG2000Lossless),
        ("PhotometricInterpretation", "SamplesPerPixel", "BitsStored", "HighBit", "PixelRepresentation"),
    ):
        look = Look("", without(keyword), tone=linear(30000, 50000), voi="+Wi 1")
        yield gray_case("header", f"{SHORT[syntax]} without {keyword}", values, cell, look, syntax, remark="bad-header")
    for name, old, new, remark in (
        ("comma in slope", b"1.00000", b"1,00000", "bad-header"),
        ("blanks in slope", b"1.00000", b" 1.00  ", ""),
        ("slope 0", b"1.00000", b"0.00000", "bad-header"),
        ("slope of letters", b"1.00000", b"one    ", "bad-header"),
        ("comma in window", b"30000.0", b"30000,0", "bad-header"),
    ):
        given = {"WindowCenter": "30000.0 ", "WindowWidth": 50000, "RescaleSlope": "1.00000 ", "RescaleIntercept": 0}
        look = Look("", elements(**given), tone=linear(30000, 50000), voi="+Wi 1")
        case = gray_case("header", name, values, cell, look, ExplicitVRLittleEndian, remark=remark)
        yield Case(**{**vars(case), "data": case.data.replace(old, new)})


def all_cases() -> Iterator[Case]:
    for made in (gray_cases, bit_cases, colour_cases, table_cases, presentation_cases, header_cases):
        yield from made()
