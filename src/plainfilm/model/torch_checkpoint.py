"""Reads the tensors of a PyTorch checkpoint without PyTorch: tensors only, no object of another kind is ever built.

Both forms that `torch.save` has written are known: the old stream of pickles and the ZIP archive (since 1.6).
"""

import io
import math
import pickle
import pickletools
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plainfilm.errors import FlawError, WeightsError
from plainfilm.reasons import reason_of

_STORAGES = {
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "DoubleStorage": np.dtype("<f8"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
    "BFloat16Storage": np.dtype("<u2"),  # the upper halves of float32
}
_OLD_MAGIC = 0x1950A86A20F9469CFC6C
_MAX_ELEMENTS = 1 << 30
_MOST_VISITS = 1 << 17  # modules and tensors; a small file may name one of them any number of times
_MOST_LETTERS = 1000
_GETS, _PUTS = {"GET", "BINGET", "LONG_BINGET"}, {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_FILLS = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}
_MOST_SHARING = 4  # times a file's bytes: tied weights stand in it once


class _Lazy(NamedTuple):
    """A tensor whose numbers have not been read yet."""

    key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype[Any]


def read_tensors(path: Path, *, modules: bool = False) -> dict[str, NDArray[Any]]:
    """Read a state dict: parameter name to array.

    With `modules` also a whole pickled network, whose classes are neither imported nor run: of each only the tensors are kept, under
    the names that its state dict would give them.

    Raises
    ------
    WeightsError
        The file is no PyTorch state dict, is truncated, or asks for anything but tensors.
    """
    try:
        data = path.read_bytes()
        read = _read_zip if zipfile.is_zipfile(io.BytesIO(data)) else _read_stream
        found, storages = read(data, modules)
        tensors = dict(_of_module(found, count())) if modules else found
        return _materialised(tensors, storages, most=_MOST_SHARING * len(data))
    except OSError as error:
        raise WeightsError(f"Expected a readable weights file; received {path}: {reason_of(error)}.") from error
    except (
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        ValueError,
        IndexError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,  # of an encrypted archive, or too deep
        OverflowError,
        MemoryError,
    ) as error:
        raise WeightsError(
            f"Expected a PyTorch state dict that holds tensors only; received {path}, which cannot be read as one ({reason_of(error)})."
        ) from error


class _TensorsOnly(pickle.Unpickler):
    """An unpickler that knows a few names; any other is never looked up: it ends the reading, or with `modules` gives a `_Husk`."""

    def __init__(self, file: BinaryIO, storages: dict[str, np.dtype[Any]], modules: bool) -> None:
        super().__init__(file, encoding="utf-8")
        self._storages, self._modules = storages, modules

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if self._modules:
            return _parameter if (module, name) == ("torch._utils", "_rebuild_parameter") else _Husk
        raise FlawError(f"it asks for {module}.{name}, which is not a tensor")

    def persistent_load(self, saved: Any) -> Any:
        if self._modules and saved[0] == "module":  # the old stream names the source of each class beside it
            return _Husk
        kind, dtype, key = saved[:3]
        if kind != "storage" or not isinstance(dtype, np.dtype) or not isinstance(key, str):
            raise FlawError("it refers to something that is not a tensor's storage")
        self._storages[key] = dtype
        return _Storage(key, dtype)


def _load(file: BinaryIO, dtypes: dict[str, np.dtype[Any]], modules: bool) -> Any:
    """Load the next pickle, after a look at it."""
    start = file.tell()
    _check(file)
    file.seek(start)
    return _TensorsOnly(file, dtypes, modules).load()


def _check(file: BinaryIO) -> None:
    """Follow a pickle without building anything: its memory may have no gaps, and no tuple may hold others so often that hashing it takes long.

    The stack holds for each object how many a hash of it would visit, and None for a mark.
    """
    stack: list[int | None] = []
    memory: dict[int, int | None] = {}
    for at, (code, argument, _place) in enumerate(pickletools.genops(file)):
        if code.name in _GETS:
            stack.append(memory[int(argument or 0)])
        elif code.name in _PUTS:
            place = len(memory) if argument is None else int(argument)
            if place > at:
                raise FlawError("its memory of objects has gaps")
            memory[place] = stack[-1]
        else:
            _follow(code, stack)


def _follow(code: pickletools.OpcodeInfo, stack: list[int | None]) -> None:
    before, visits = list(code.stack_before), 1
    if pickletools.markobject in before:
        mark = len(stack) - 1 - stack[::-1].index(None)
        visits += sum(each or 0 for each in stack[mark + 1 :])
        del stack[mark:]
        before = before[: before.index(pickletools.markobject)]
    held = [stack.pop() for _ in before]
    if code.name in _FILLS:
        visits = held[-1] or 0  # what is filled is never hashed
    else:
        visits += sum(each or 0 for each in held)
    if visits > _MOST_VISITS:
        raise FlawError("its tuples hold too much")
    stack += [None if each is pickletools.markobject else visits for each in code.stack_after]


class _Husk(dict[Any, Any]):
    """Stands for an object of any class of a pickled network, and keeps its state."""

    def __init__(self, *_arguments: Any, **_named: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        self.update(state if isinstance(state, dict) else {})

    def append(self, _item: Any) -> None:
        """Take an item, as a list would, and drop it."""

    extend = add = append


def _parameter(tensor: Any, *_unused: Any) -> Any:
    return tensor


def _of_module(found: Any, visits: Iterator[int], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Go through a network, or a state dict, or a checkpoint that holds one of them."""
    if not isinstance(found, dict):
        raise FlawError("it holds no tensors by name")
    if next(visits) > _MOST_VISITS or len(prefix) > _MOST_LETTERS:
        raise FlawError("it has more parts than a network has")
    parts = [found.get(kind) for kind in ("_parameters", "_buffers")]
    if any(isinstance(part, dict) for part in parts):
        for part in parts:
            yield from (
                (prefix + _name(name), value) for name, value in (part or {}).items() if next(visits) <= _MOST_VISITS
            )
        for name, module in (found.get("_modules") or {}).items():
            yield from _of_module(module, visits, f"{prefix}{_name(name)}.") if isinstance(module, dict) else ()
        return
    inner = next((found[key] for key in ("state_dict", "model") if isinstance(found.get(key), dict)), found)
    yield from _of_module(inner, visits, prefix) if inner is not found else found.items()


def _name(name: Any) -> str:
    if not isinstance(name, str) or len(name) > _MOST_LETTERS:
        raise FlawError("a tensor has no name")
    return name


def _rebuild(storage: _Storage, offset: int, shape: Any, strides: Any, *_unused: Any) -> _Lazy:
    return _Lazy(storage.key, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _read_stream(data: bytes, modules: bool) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    file = io.BytesIO(data)
    dtypes: dict[str, np.dtype[Any]] = {}
    if _load(file, dtypes, modules) != _OLD_MAGIC:
        raise FlawError("it does not begin as one")
    _protocol, _system, tensors, keys = (_load(file, dtypes, modules) for _ in range(4))
    arrays = {}
    for key in keys:
        size = int.from_bytes(file.read(8), "little")
        dtype = dtypes[key]
        block = file.read(_checked(size) * dtype.itemsize)
        arrays[key] = _numbers(block, dtype, size)
    return tensors, arrays


def _read_zip(data: bytes, modules: bool) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    dtypes: dict[str, np.dtype[Any]] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(member.file_size for member in archive.infolist()) > len(data):  # PyTorch compresses nothing
            raise FlawError("it would unpack to more than it is")
        known = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
        if any(member.compress_type not in known or member.flag_bits & 1 for member in archive.infolist()):
            raise FlawError("it is encrypted, or compressed in a way that is not known here")
        pickled = next((name for name in archive.namelist() if name.endswith("data.pkl")), None)
        if pickled is None:
            raise FlawError("it has no data.pkl")
        tensors = _load(io.BytesIO(archive.read(pickled)), dtypes, modules)
        folder = pickled.removesuffix("data.pkl")
        arrays = {key: _numbers(archive.read(f"{folder}data/{key}"), dtype) for key, dtype in dtypes.items()}
    return tensors, arrays


def _numbers(block: bytes, dtype: np.dtype[Any], size: int = -1) -> NDArray[Any]:
    found = np.frombuffer(block, dtype, size)
    return found if dtype != _STORAGES["BFloat16Storage"] else (found.astype("<u4") << 16).view("<f4")


def _checked(count: int) -> int:
    if not 0 <= count <= _MAX_ELEMENTS:
        raise FlawError(f"a tensor of {count} elements")
    return count


def _materialised(tensors: dict[Any, Any], storages: dict[str, NDArray[Any]], *, most: int) -> dict[str, NDArray[Any]]:
    """Read tensors of `most` bytes together: however often they show a storage, they are not many times the file."""
    made, taken = {}, 0
    for name, lazy in tensors.items():
        if isinstance(lazy, _Lazy):
            made[_name(name)] = tensor = _materialise(lazy, storages)
            taken += tensor.nbytes
            if taken > most:
                raise FlawError("its tensors are many times larger than the file")
    return made


def _materialise(lazy: _Lazy, storages: dict[str, NDArray[Any]]) -> NDArray[Any]:
    flat = storages[lazy.key]
    if math.prod(lazy.shape) > flat.size:
        raise FlawError("a tensor of more numbers than its storage has")
    reach = sum((size - 1) * stride for size, stride in zip(lazy.shape, lazy.strides, strict=True))
    if min((lazy.offset, *lazy.shape, *lazy.strides)) < 0 or lazy.offset + reach >= flat.size:
        raise FlawError("a tensor that reaches beyond its storage")
    strides = [stride * flat.itemsize for stride in lazy.strides]
    return np.lib.stride_tricks.as_strided(flat[lazy.offset :], lazy.shape, strides, writeable=False).copy()
