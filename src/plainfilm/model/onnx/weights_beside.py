"""Weights that an ONNX file keeps in a second file beside it, as PyTorch's newer exporter writes them: found, bounded, and mapped."""

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.errors import WeightsError
from plainfilm.model.onnx_safety.fields import DTYPES
from plainfilm.model.onnx_safety.reading import NetworkRefused, shown
from plainfilm.model.onnx_safety.writing import LARGE, locations

if TYPE_CHECKING:
    import onnx

_EXTERNAL = 1  # TensorProto.DataLocation


def files(path: Path) -> list[Path]:
    """List the files in which a network keeps weights, in order of their names; none where it is no network.

    Raises
    ------
    WeightsError
        One is missing, or is not a plain file in the network's own folder.
    """
    try:
        names = locations(mapping(path))
    except NetworkRefused:
        return []
    return [_file(name, path) for name in names]


def taken_in(model: "onnx.ModelProto", path: Path) -> dict[str, NDArray[Any]]:
    """Take a network's outside weights in: small ones into it, larger ones as views by name, without bytes in the network.

    Raises
    ------
    WeightsError
        As `files`, or a weight that does not lie whole in its file.
    """
    mapped = {each.name: mapping(each) for each in files(path)}
    apart = dict[str, NDArray[Any]]()
    for weight in _outside(model):
        values = _values(weight, mapped, path)
        weight.ClearField("external_data")
        weight.ClearField("data_location")
        if values.nbytes < LARGE:
            weight.raw_data = values.tobytes()
        else:
            apart[weight.name] = values
    return apart


def mapping(path: Path) -> memoryview:
    """Map a file into memory, to read."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b"")


def kind(number: int) -> str:
    """Name a `TensorProto.DataType`, also one that ONNX does not have."""
    from onnx import TensorProto

    if number == TensorProto.UNDEFINED:
        return "a type that it does not name"
    named: dict[int, str] = {value: name for name, value in TensorProto.DataType.items()}
    return named[number].lower() if number in named else f"a type {number} that ONNX does not have"


def _outside(model: "onnx.ModelProto") -> "list[onnx.TensorProto]":
    return [each for each in model.graph.initializer if each.data_location == _EXTERNAL]


def _told(weight: "onnx.TensorProto") -> Mapping[str, str]:
    return {"location": "", "offset": "0", "length": ""} | {each.key: each.value for each in weight.external_data}


def _file(name: str, path: Path) -> Path:
    found, expected = path.parent / name, f"Expected the weights of {path} in it or in a file beside it"
    if not name or "\0" in name or Path(name).name != name:
        raise WeightsError(f"{expected}; received {shown(name)!r}, a file elsewhere. Export it again.")
    if not _is_file(found):
        raise WeightsError(f"{expected}; received it without {shown(name)}. Put that file into the same folder.")
    if found.resolve().parent != path.resolve().parent:
        raise WeightsError(f"{expected}; received {found}, a link to elsewhere. Copy both files into one folder.")
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # its name is too long
        return False


def _values(weight: "onnx.TensorProto", mapped: Mapping[str, memoryview], path: Path) -> NDArray[Any]:
    told, dtype = _told(weight), DTYPES[weight.data_type]
    sides = [int(side) for side in weight.dims]
    data = mapped.get(told["location"], memoryview(b""))
    try:
        start, size = int(told["offset"]), int(np.prod(sides, dtype=object)) * dtype.itemsize
        length = int(told["length"] or size)
    except ValueError:
        start = size = length = -1
    if min(sides, default=0) < 0 or length != size or not 0 <= start <= len(data) - size:
        raise WeightsError(
            f"Expected all weights of {path} in {shown(told['location'])}; {shown(weight.name)} does not lie whole in it. "
            "The two files do not belong together, or one is cut off: export them again."
        )
    return np.frombuffer(data[start : start + size], dtype).reshape(sides)
