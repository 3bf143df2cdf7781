"""Tools for hostile bundles: each is a whole bundle but for one attack, its hashes made right wherever the attack lies behind them.

`CASES` maps a name to what builds the file and to the reason that opening must give: the reason shows that the check meant
is the one that was reached.
"""

import hashlib
import io
import json
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import made_bundles
from plainfilm.model import bundle
from plainfilm.model.classifier import Classifier, Decision
from plainfilm.model.onnx import from_keras

SIDE = 32
MEMBERS = (
    "manifest.json",
    "network.onnx",
    "metrics.json",
    "recipe.toml",
    "golden_images.npy",
    "golden_logits.npy",
    "card.md",
    "outliers.bin",
    "seen.bin",
)
Contents = dict[str, bytes]
Build = Callable[[Contents], bytes]
CASES: dict[str, tuple[Build, str]] = {}


def case(name: str, build: Build, reason: str) -> None:
    assert name not in CASES, name
    CASES[name] = (build, reason)


@dataclass
class Entry:
    """A member as a ZIP tells of it, twice; every field may lie."""

    name: bytes
    data: bytes
    flags: int = 0
    method: int = 0
    needed: int = 20
    crc: int | None = None
    packed: int | None = None
    size: int | None = None
    extra: bytes = b""
    kind: int = 0o600 << 16
    local: dict[str, object] = field(default_factory=dict)  # what the local header tells otherwise
    central: dict[str, object] = field(default_factory=dict)  # what the directory tells otherwise


def local_header(entry: Entry) -> bytes:
    told = replace(entry, **entry.local)
    return (
        struct.pack(
            "<4s5H3I2H", b"PK\3\4", told.needed, told.flags, told.method, 0, 33,
            zlib.crc32(entry.data) if told.crc is None else told.crc,
            len(entry.data) if told.packed is None else told.packed,
            len(entry.data) if told.size is None else told.size, len(told.name), len(told.extra),
        )
        + told.name + told.extra
    )  # fmt: skip


def directory_entry(entry: Entry, start: int) -> bytes:
    special = dict(entry.central)
    start, disk, comment = special.pop("start", start), special.pop("disk", 0), special.pop("comment", b"")
    told = replace(entry, **special)
    return (
        struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", 20, told.needed, told.flags, told.method, 0, 33,
            zlib.crc32(entry.data) if told.crc is None else told.crc,
            len(entry.data) if told.packed is None else told.packed,
            len(entry.data) if told.size is None else told.size,
            len(told.name), len(told.extra), len(comment), disk, 0, told.kind, start,
        )
        + told.name + told.extra + comment
    )  # fmt: skip


def zipped(
    entries: Sequence[Entry],
    *,
    before: bytes = b"",
    between: bytes = b"",
    after: bytes = b"",
    comment: bytes = b"",
    behind: bytes = b"",
    end: Mapping[str, int] | None = None,
    repeat: Sequence[int] = (),
) -> bytes:
    """Lay entries out; `end` overrides fields of the end record; `repeat` lists entries once more without content."""
    body, starts = before, []
    for entry in entries:
        starts.append(len(body))
        body += local_header(entry) + entry.data + between
    listed = [directory_entry(entry, start) for entry, start in zip(entries, starts, strict=True)]
    listed += [directory_entry(entries[at], starts[at]) for at in repeat]
    directory = b"".join(listed)
    fields = {"disk": 0, "first": 0, "here": len(listed), "count": len(listed), "size": len(directory),
              "start": len(body), "comment": len(comment), **(end or {})}  # fmt: skip
    record = struct.pack("<4s4H2IH", b"PK\5\6", *fields.values())
    return body + directory + after + record + comment + behind


def entries_of(contents: Contents) -> list[Entry]:
    return [Entry(name.encode(), data) for name, data in contents.items()]


def sealed(contents: Contents) -> Contents:
    """Make the hashes in the manifest right, as one would who means harm."""
    manifest = json.loads(contents["manifest.json"])
    manifest["members"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in contents.items()
        if name not in {"manifest.json", "signature.ed25519"}
    }
    return {**contents, "manifest.json": json.dumps(manifest).encode()}


def packed(contents: Contents) -> bytes:
    return zipped(entries_of(sealed(contents)))


def with_entry(member: str, /, **told: Any) -> Build:
    def build(contents: Contents) -> bytes:
        return zipped([replace(e, **told) if e.name == member.encode() else e for e in entries_of(contents)])

    return build


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("open('pwned', 'w').close()",)


def told(**changes: object) -> Build:
    def build(contents: Contents) -> bytes:
        manifest = {**json.loads(contents["manifest.json"]), **changes}
        manifest = {key: value for key, value in manifest.items() if value is not ...}
        return packed({**contents, "manifest.json": json.dumps(manifest).encode()})

    return build


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def network(outputs: int = 1, side: int = SIDE) -> onnx.ModelProto:
    """The mean of each column of an image, times a matrix."""
    graph = from_keras.Graph()
    mean = graph.node("ReduceMean", [graph.node("Cast", ["images"], to=1), graph.weight(np.array([1]))], keepdims=0)
    features = graph.node("Identity", [mean], output="features")
    matrix = np.random.default_rng(0).normal(0, 0.02, (side, outputs)).astype(np.float32)
    graph.node("MatMul", [features, graph.weight(matrix)], output="logits")
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", side, side])
    return graph.model(
        [images], [from_keras.float_output("features", side), from_keras.float_output("logits", outputs)]
    )


def whole() -> Contents:
    """A bundle that opens."""
    made = Classifier(network().SerializeToString(), Decision(classes=("COVID", "NORMAL"), positive="COVID"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m")
        bundle.write(
            path,
            made,
            about=made_bundles.provenance(),
            metrics=made_bundles.metrics(audit=made_bundles.AUDIT),
            recipe='name = "default"\n',
            card="# Card",
            outliers=b"usual",
            seen=b"hashes",
        )
        with zipfile.ZipFile(path) as archive:
            return {info.filename: archive.read(info) for info in archive.infolist()}


Change = Callable[[onnx.ModelProto], object]


def changed(change: Change) -> Build:
    def build(contents: Contents) -> bytes:
        model = network()
        change(model)
        return packed({**contents, "network.onnx": model.SerializeToString()})

    return build


def attack(name: str, change: Change, reason: str) -> None:
    case(f"network: {name}", changed(change), f"its network .*({reason})")


def constant(model: onnx.ModelProto, value: np.ndarray, name: str = "") -> str:
    name = name or f"c{len(model.graph.initializer)}"
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def node(model: onnx.ModelProto, op: str, inputs: list[str], *, outputs: int = 1, **attributes: object) -> str:
    """Add a node; the graph stays in order, since nothing that was there uses it."""
    names = [f"x{len(model.graph.node)}{letter}" for letter in "abcdefgh"[:outputs]]
    model.graph.node.append(helper.make_node(op, inputs, names, **attributes))
    return names[0]


def lead_to_logits(model: onnx.ModelProto, name: str) -> None:
    """Add the mean of a tensor, times zero, to the logits: so ONNX Runtime would compute it."""
    graph = model.graph
    next(each for each in graph.node if each.output[0] == "logits").output[0] = "before"
    small = node(model, "ReduceMax", [node(model, "Cast", [name], to=1)], keepdims=0)
    nothing = node(model, "Mul", [small, constant(model, np.float32(0))])
    graph.node.append(helper.make_node("Add", ["before", nothing], ["logits"]))


def sized(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def add_weight(**fields: object) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(TensorProto(**{"name": "z", "data_type": 1, **fields}))

    return change


def grows(name: str, build: Callable[[onnx.ModelProto], str], reason: str) -> None:
    def change(model: onnx.ModelProto) -> None:
        lead_to_logits(model, build(model))

    attack(name, change, reason)


def ramp(model: onnx.ModelProto, *shape: int) -> str:
    return constant(model, np.ones(shape, np.float32))


def picture(model: onnx.ModelProto, *shape: int) -> str:
    flat = node(model, "Cast", ["images"], to=1)
    return node(model, "Reshape", [flat, constant(model, np.array(shape))])


def doubled(model: onnx.ModelProto, start: str, times: int, op: str = "Concat") -> str:
    for _ in range(times):
        start = node(model, op, [start, start], **({"axis": 1} if op == "Concat" else {}))
    return start
