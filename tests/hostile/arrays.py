"""Golden arrays that are none, or do not fit."""

import io
import pickle
import struct

import numpy as np

from hostile.base import SIDE, Evil, case, npy, packed, told


# fmt: off
def npy_header(header: str, data: bytes = b"", *, version: int = 1) -> bytes:
    text = header.encode().ljust(118) + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + data


def described(shape: str, *, descr: str = "'|u1'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


PICTURES, ANSWERS = bytes(2 * SIDE * SIDE), np.zeros(2, "<f4").tobytes()
ARRAYS = {
    "a pickle": pickle.dumps(Evil()),
    "objects": npy(np.array([[[Evil()]]], object)),
    "objects by header": npy_header(described("(2, 32, 32)", descr="'|O'"), PICTURES),
    "nothing": b"",
    "a magic alone": b"\x93NUMPY",
    "text": b"hello",
    "an archive": (lambda f: (np.savez(f, np.zeros(3)), f.getvalue())[1])(io.BytesIO()),
    "version 2": npy_header(described("(2, 32, 32)"), PICTURES, version=2),
    "version 3": npy_header(described("(2, 32, 32)"), PICTURES, version=3),
    "version 1.1": npy_header(described("(2, 32, 32)"), PICTURES).replace(b"NUMPY\1\0", b"NUMPY\1\1"),
    "version 9": npy_header(described("(2, 32, 32)"), PICTURES, version=9),
    "Fortran's order": npy_header(described("(2, 32, 32)", order="True"), PICTURES),
    "terabytes": npy_header(described("(999999999999, 32, 32)"), PICTURES),
    "an overflow": npy_header(described("(4294967296, 4294967296, 1)"), PICTURES),
    "a negative side": npy_header(described("(2, -32, -32)"), PICTURES),
    "a side of text": npy_header(described("(2, '32', 32)"), PICTURES),
    "a side of zero": npy_header(described("(0, 32, 32)")),
    "too few bytes": npy_header(described("(2, 32, 32)"), PICTURES[:-1]),
    "too many bytes": npy_header(described("(2, 32, 32)"), PICTURES + b"x"),
    "no sides": npy(np.zeros((), np.float32)),
    "five sides": npy(np.zeros((1, 1, 1, 1, 1), np.float32)),
    "text as numbers": npy(np.array([["a", "b"]])),
    "double": npy(np.zeros((2, 1))),
    "big-endian": npy(np.zeros((2, 1), ">f4")),
    "records": npy(np.zeros((2, 1), [("a", "f4")])),
    "a program as header": npy_header("__import__('os').system('touch pwned')"),
    "a header of nested brackets": npy_header("[" * 900 + "]" * 900),
    "a header that does not end": npy_header("{'descr': ("),
    "a header of open brackets": npy_header("(" * 100),
    "a long header": npy_header(described("(2, 32, 32)") + " " * 60_000, PICTURES),
    "a header with keys more": npy_header(
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 32, 32), 'x': 1}", PICTURES
    ),
}
for label, data in ARRAYS.items():
    for member in ("golden_images.npy", "golden_logits.npy"):
        case(f"{member}: {label}", lambda c, m=member, d=data: packed({**c, m: d}), "golden arrays")
case("golden images of another size", lambda c: packed({**c, "golden_images.npy": npy(np.zeros((2, 33, 33), np.uint8))}), "do not fit its network")
case("nine golden images", lambda c: packed({**c, "golden_images.npy": npy(np.zeros((9, SIDE, SIDE), np.uint8)), "golden_logits.npy": npy(np.zeros((9, 1), np.float32))}), "do not fit its network")
case("three golden answers", lambda c: packed({**c, "golden_logits.npy": npy(np.zeros((3, 1), np.float32))}), "do not fit its network")
case("golden answers for three classes", lambda c: packed({**c, "golden_logits.npy": npy(np.zeros((2, 3), np.float32))}), "do not fit its network")
for label, value in {"NaN": np.nan, "infinite": np.inf, "other": 1.0}.items():
    case(
        f"golden answers that are {label}",
        lambda c, v=value: packed({**c, "golden_logits.npy": npy(np.full((2, 1), v, np.float32))}),
        "other answers here",
    )
case("a classifier of three classes that answers for two", told(classes=["a", "b", "c"], positive=None, prevalence=dict.fromkeys("abc", 0.3)), "does not answer for its classes")
