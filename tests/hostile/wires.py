"""Networks that are damaged as protobuf messages, or none."""

import pickle
from collections.abc import Callable

import onnx

from hostile.base import SIDE, Build, Entry, Evil, case, packed, sized, varint, zipped


# fmt: off
def wire(change: Callable[[bytes], bytes]) -> Build:
    return lambda contents: packed({**contents, "network.onnx": change(contents["network.onnx"])})


def damaged(name: str, change: Callable[[bytes], bytes], reason: str) -> None:
    case(f"network: {name}", wire(change), f"its network .*({reason})")


for share in (0.1, 0.5, 0.9, 0.999):
    damaged(f"cut off at {share}", lambda d, s=share: d[: int(s * len(d))], "damaged or cut off")
damaged("two graphs", lambda d: d + sized(7, b""), "two fields graph")
damaged("two networks", lambda d: d + d, "two fields")
damaged("a field unknown", lambda d: d + sized(999, b"hello"), "unknown here")
damaged("a field of number 0", lambda d: d + sized(0, b"hello"), "unknown here")
damaged("a group", lambda d: d + b"\x0b\x0c", "damaged")
damaged("a length beyond the end", lambda d: d + b"\x32\xff\xff\xff\xff\x07", "damaged or cut off")
damaged("a length of 2 to the 63", lambda d: d + b"\x32" + b"\xff" * 9 + b"\x01", "damaged or cut off")
damaged("a number that never ends", lambda d: d + b"\x28" + b"\xff" * 40, "damaged or cut off")
damaged("a field of another type", lambda d: d + b"\x35\0\0\0\0", "another type")
damaged("a name that is no text", lambda d: d.replace(b"MatMul", b"\xff\xfetMul"), "are no text")
damaged("ONNX and ONNX Runtime's own format", lambda d: b"\x12\x06xxORTM" + d, "not an ONNX file")


def with_two_sizes(network: bytes) -> bytes:
    """Say of the images' sides both a number and a name; protobuf's own writer keeps one of them."""
    model = onnx.load_from_string(network)
    model.graph.ClearField("input")
    sides = sized(1, sized(2, b"n")) + 2 * sized(1, b"\x08" + varint(SIDE) + sized(2, b"s"))
    images = sized(1, b"images") + sized(2, sized(1, b"\x08\x02" + sized(2, sides)))
    graph = model.graph.SerializeToString() + sized(11, images)
    model.ClearField("graph")
    return model.SerializeToString() + sized(7, graph)


damaged("two sizes of a side", with_two_sizes, "a side with two sizes")
OTHERS = {
    "nothing": b"",
    "a text": b"hello, network",
    "a pickle": pickle.dumps(Evil()),
    "zeros": bytes(1000),
    "a ZIP": zipped([Entry(b"a", b"b")]),
    "ONNX Runtime's own format": b"\x18\0\0\0ORTM" + bytes(200),
}
for label, data in OTHERS.items():
    case(f"network: {label}", lambda c, d=data: packed({**c, "network.onnx": d}), "its network ")
