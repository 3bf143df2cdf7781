"""Looks through an HDF5 file, in a process of its own: whether it is data alone, as large as it says, and readable to its end.

The HDF5 library crashes and hangs on altered files, and follows them to other files. What this has looked through, the library
reads without any of that. Imports h5py and NumPy, and of plainfilm what confines it.
"""

import contextlib
import json
import os
import sys
from itertools import pairwise
from math import ceil, prod
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5o, h5s, h5t, h5z

from plainfilm.data import confinement

_MOST_OBJECTS, _MOST_DEPTH = 100_000, 32
_MOST_ATTRIBUTES = 4096  # of an object
_MOST_VALUES = 1 << 16  # of an attribute
_MOST_RATIO = 1032  # of DEFLATE
_ROWS = 256  # strings read at a time
_ROOM_BYTES = 16 << 20  # of a piece: as much is free
_FILTERS = {h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32}
_CHECKSUM_BYTES = 4
_LAYOUTS = {h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED}


class Refused(Exception):  # noqa: N818 - an answer
    """The file is more, or other, than the data it says."""


def look_through(path: str) -> str:
    """Look through a file that ends with its process if it crashes or hangs, and give the root's attribute `format`, or "".

    Raises
    ------
    Refused
        It reaches for other files, has parts of other kinds, or declares more than it holds.
    Exception
        Whatever h5py makes of a damaged file.
    """
    with h5py.File(path, "r") as file:
        if file.userblock_size:
            raise Refused("begins with other data")
        named = file.attrs.get("format") if "format" in file.attrs else ""
        _File(os.path.getsize(path)).walk(file.id)  # noqa: PTH202 - spares importing pathlib
    return named if isinstance(named, str) else ""


class _File:
    """What a file has declared so far, against its own size."""

    def __init__(self, size: int) -> None:
        self._size, self._stored, self._text = size, 0, 0
        self._seen: set[int] = set()

    def walk(self, root: Any) -> None:
        """Look at every object, each reached by one hard link."""
        todo = [(h5o.open(root, b"/"), "/", 0)]
        while todo:
            at, name, depth = todo.pop()
            self._note(at, name, depth)
            self._attributes(at, name)
            if isinstance(at, h5d.DatasetID):
                self._dataset(at, name)
                continue
            for each in at:
                below = f"{name.rstrip('/')}/{each.decode(errors='backslashreplace')}"
                if at.links.get_info(each).type != h5py.h5l.TYPE_HARD:
                    raise Refused(f"has a link in place of {_shown(below)}")
                todo.append((h5o.open(at, each), below, depth + 1))

    def _note(self, at: Any, name: str, depth: int) -> None:
        about = h5o.get_info(at)
        if not isinstance(at, h5py.h5g.GroupID | h5d.DatasetID):
            raise Refused(f"has a type of its own, {_shown(name)}")
        if about.addr in self._seen or (about.rc != 1 and depth):
            raise Refused(f"has {_shown(name)} under two names")
        self._seen.add(about.addr)
        if depth > _MOST_DEPTH or len(self._seen) > _MOST_OBJECTS:
            raise Refused("has more parts, or deeper ones, than such files have")

    def _attributes(self, at: Any, name: str) -> None:
        count = h5a.get_num_attrs(at)
        if count > _MOST_ATTRIBUTES:
            raise Refused(f"has {count} attributes at {_shown(name)}")
        for index in range(count):
            attribute = h5a.open(at, index=index)
            label = f"{name}@{attribute.name.decode(errors='backslashreplace')}"
            values = prod(attribute.shape or ())
            self._check_type(attribute.get_type(), label)
            if values > _MOST_VALUES or values * attribute.dtype.itemsize > self._size:
                raise Refused(f"declares {values} values in {_shown(label)}")
            if attribute.get_space().get_simple_extent_type() == h5s.NULL:
                raise Refused(f"has no value in {_shown(label)}")
            read = np.empty(attribute.shape, attribute.dtype)
            attribute.read(read)
            if read.dtype.kind == "O":
                self._add_text(read.ravel().tolist(), label)

    def _dataset(self, at: Any, name: str) -> None:
        plan = at.get_create_plist()
        if plan.get_external_count():
            raise Refused(f"keeps {_shown(name)} in another file")
        if plan.get_layout() not in _LAYOUTS:
            raise Refused(f"takes {_shown(name)} from other datasets or files")
        if strange := {plan.get_filter(k)[0] for k in range(plan.get_nfilters())} - _FILTERS:
            raise Refused(f"needs the filter {min(strange)} for {_shown(name)}")
        self._check_type(at.get_type(), name)
        if at.get_space().get_simple_extent_type() == h5s.NULL:
            raise Refused(f"has no values in {_shown(name)}")
        self._check_room(at, plan, name)
        if at.dtype.kind == "O" and at.rank == 1:
            self._strings(at, name)
        elif at.dtype.kind == "O":
            raise Refused(f"has text in {at.rank} dimensions in {_shown(name)}")

    def _check_type(self, kind: Any, name: str) -> None:
        if kind.committed():
            raise Refused(f"has a named type for {_shown(name)}")
        of = kind.get_super() if kind.get_class() == h5t.ENUM else kind
        if of.get_class() not in {h5t.INTEGER, h5t.FLOAT, h5t.STRING}:
            raise Refused(f"has values in {_shown(name)} that are neither numbers nor text")
        if kind.get_size() > self._size:
            raise Refused(f"declares values of {kind.get_size()} bytes in {_shown(name)}")

    def _check_room(self, at: Any, plan: Any, name: str) -> None:
        """Hold what a dataset declares against what lies in the file, wherever its library would look for it."""
        declared, stored = prod(at.shape) * at.get_type().get_size(), at.get_storage_size()
        self._stored += stored
        is_packed = h5z.FILTER_DEFLATE in {plan.get_filter(k)[0] for k in range(plan.get_nfilters())}
        if declared > stored * (_MOST_RATIO if is_packed else 1):
            raise Refused(f"declares {declared} bytes for {_shown(name)}, and holds {stored}")
        begins = at.get_offset() if plan.get_layout() == h5d.CONTIGUOUS else None
        if self._stored > self._size or (begins or 0) + stored > self._size:
            raise Refused(f"is smaller than what it declares for {_shown(name)}")
        if plan.get_layout() == h5d.CHUNKED and stored:
            self._check_chunks(at, plan, name, is_packed=is_packed)

    def _check_chunks(self, at: Any, plan: Any, name: str, *, is_packed: bool) -> None:
        sides = plan.get_chunk()
        room = prod(sides) * at.get_type().get_size() + _CHECKSUM_BYTES * plan.get_nfilters()
        if room > max(self._size, _ROOM_BYTES) * (_MOST_RATIO if is_packed else 1):
            raise Refused(f"declares pieces of {room} bytes in {_shown(name)}")
        places: set[tuple[int, ...]] = set()

        def look(chunk: Any) -> None:
            places.add(chunk.chunk_offset)
            if (
                chunk.byte_offset + chunk.size > self._size
                or chunk.size > room
                or (chunk.filter_mask and not is_packed)
            ):
                raise Refused(f"has a piece of {_shown(name)} beyond its end")

        at.chunk_iter(look)
        expected = prod(ceil(length / side) for length, side in zip(at.shape, sides, strict=True))
        inside = all(0 <= start < length for place in places for start, length in zip(place, at.shape, strict=True))
        if len(places) != expected or not inside:
            raise Refused(f"lacks a piece of {_shown(name)}")

    def _strings(self, at: Any, name: str) -> None:
        values = h5py.Dataset(at)
        for start, end in pairwise([*range(0, len(values), _ROWS), len(values)]):
            self._add_text(values[start:end].tolist(), name)

    def _add_text(self, texts: list[Any], name: str) -> None:
        self._text += sum(map(len, texts))
        if self._text > self._size:
            raise Refused(f"is smaller than the text it declares, up to {_shown(name)}")


def _shown(name: str) -> str:
    return ascii(name[:80])[1:-1]


def answers(path: str) -> dict[str, str]:
    """Say in JSON's words what came of looking through a file: `format`, or a fault: `refused`, `busy`, `damaged`, `unopened`."""
    try:
        return {"format": look_through(path)}
    except Refused as refused:
        return {"refused": str(refused)}
    except MemoryError:
        return {"refused": "declares more than fits into memory"}
    except Exception as error:  # noqa: BLE001 - h5py raises anything for a damaged file
        return _fault(error)


def _fault(error: Exception) -> dict[str, str]:
    from plainfilm.reasons import reason_of  # not needed for a file that is whole

    said = str(error)
    if "open file" not in said:
        return {"damaged": reason_of(error)}
    if "lock file" in said:
        return {"busy": reason_of(error)}
    if "consistency flags" in said:
        return {"unopened": "the program that wrote it ended before it closed it"}
    return {"unopened": "it is truncated" if "truncated" in said else "it is not an HDF5 file"}


def main() -> None:
    """Answer for the file and the seconds of processor time that stdin names, with one line of JSON."""
    told = json.load(sys.stdin)
    _bound_time(told["seconds"])
    confinement.confine(reads_files=True)
    print(json.dumps(answers(told["path"])), flush=True)  # noqa: T201 - the answer
    os._exit(0)  # nothing of the file is left to be closed


def _bound_time(seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
