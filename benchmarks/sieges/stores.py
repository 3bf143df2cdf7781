"""Altered stores, opened and read to their end: bytes changed anywhere, and whatever HDF5 can say that a store does not.

Both steps of an opening run in processes that are kept, and started again when they end: what looks a file through may die of
it, as it does in `plainfilm`; what opens it afterwards may not. What killed or held up the first, and one case in 250,
goes through the command as well.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from made_old_stores import as_version_1
from plainfilm.data.hdf5 import _LEAST_S
from plainfilm.data.store_columns import CATEGORIES, CODES, COLUMNS
from plainfilm.data.store_writer import create
from sieges.row import Row, Told

CASES = 5000
_HUNG_S = 120.0  # of the clock, on a machine that is busy with other things
_MOST_RESIDENT_KB = 1 << 20
Change = Callable[[Any, np.random.Generator], object]

_LOOKS = f"""
import json, resource, sys
from plainfilm.data import hdf5_worker
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for line in sys.stdin:
    spent = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (spent + {_LEAST_S}, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    print(json.dumps(hdf5_worker.answers(line.strip())), flush=True)
"""
_OPENS = """
import hashlib, json, os, resource, sys, traceback
from pathlib import Path
from plainfilm.data import hdf5
from plainfilm.data.store import FORMAT, Store
from plainfilm.data.store_columns import COLUMNS, digest_of
from plainfilm.errors import PlainfilmError
from plainfilm.reporting import report_data
from plainfilm.workflows import info
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for line in sys.stdin:
    path = Path(line.strip())
    hdf5.remember(path, FORMAT)
    try:
        print(json.dumps(info.describe(path, verify=True)), file=open(os.devnull, "w"))
        with Store(path) as store:
            report_data.problems(store)
            images, _ = store.arrays("train")
            columns = [getattr(store, name) for name in COLUMNS] + [*store.provenance.values(), *store.findings.values()]
            held = [store.attributes, store.classes, [*store.provenance], [*store.findings], [*map(digest_of, columns)]]
            held = hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()
            told = f"read {held} {store.fingerprint} {hashlib.sha256(images.tobytes()).hexdigest()}"
    except PlainfilmError as error:
        told = "refused" if "\\n" not in str(error) and len(str(error)) < 1000 else "several lines: " + str(error)
    except BaseException:
        told = "traceback: " + traceback.format_exc()
    print(json.dumps([told, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]), flush=True)
"""


class Kept:
    """A process that answers line by line, and is started again when it has ended."""

    def __init__(self, program: str) -> None:
        self._program, self._process = program, None

    def ask(self, line: object) -> Any:
        """Ask, and give the answer; "crash" or "hang" where there was none."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        is_late = not select.select([self._process.stdout], [], [], _HUNG_S)[0]
        answer = "" if is_late else self._process.stdout.readline()
        if answer:
            return json.loads(answer)
        self.end()
        return "hang" if is_late else "crash"

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = None


def run(told: Told) -> Row:
    """Alter a store in many ways, and open and read each."""
    os.environ["PLAINFILM_CACHE"] = str(told.scratch / "cache")
    whole, secret = _store(told.scratch), told.scratch / "secret.txt"
    secret.write_bytes(b"not to be told " * 4096)
    looks, opens = Kept(_LOOKS), Kept(_OPENS)
    counts, faults = Counter(), Counter()
    try:
        whole_content = opens.ask(whole)[0]
        for number, (kind, path, is_sealed) in enumerate(_altered(whole, secret, told)):
            told_of = looks.ask(path)
            dies = told_of in ("crash", "hang")
            found = _outcome(opens, path, kind) if not dies and "format" in told_of else "refused"
            if found.startswith("read "):
                found = "read" if found == whole_content or not is_sealed else "read, and it is another content"
            if dies or number % 250 == 0:
                found = _through_the_command(path) or found
            counts["its process ended" if dies else found] += 1
            if found not in {"refused", "read"}:
                faults[f"{kind}: {found.strip().splitlines()[-1][:200]}"] += 1
    finally:
        looks.end()
        opens.end()
    cases = sum(counts.values())
    said = ", ".join(f"{each} {count}" for each, count in counts.most_common())
    return Row(
        tried="altered stores, opened and read to their end",
        cases=cases,
        found=said + ("" if not faults else f"; {dict(faults.most_common(12))}"),
        promised="no crash, hang, traceback or gigabyte of memory; nothing of another file; no other content read as whole",
        holds=not faults,
    )


def _outcome(opens: Kept, path: Path, kind: str) -> str:
    answer = opens.ask(path)
    if isinstance(answer, str):
        return answer
    said, resident_kb = answer
    if resident_kb > _MOST_RESIDENT_KB:
        opens.end()
        return f"{resident_kb} kB of memory"
    if said.startswith("read") and kind.startswith("escape"):
        return "read beyond the file"
    return said


def _through_the_command(path: Path) -> str:
    """Say what is wrong with what `plainfilm info --verify` makes of a file, or ""."""
    command = [sys.executable, "-m", "plainfilm", "info", str(path), "--verify", "--json"]
    began = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    except subprocess.TimeoutExpired:
        return "the command hangs"
    if done.returncode not in {0, 1} or "Traceback" in done.stderr or done.stderr.count("\n") > 1:
        return f"the command ends with {done.returncode} after {time.monotonic() - began:.0f} s: {done.stderr[-300:]}"
    return ""


def _store(folder: Path, n: int = 60, size: int = 32) -> Path:
    from data.test_store import columns

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, size, size), dtype=np.uint8)
    noted = {"fit": "stretch", "seed": 0, "exact_duplicates": 0, "near_duplicates": 0, "label_conflicts": 0,
             "leaking_images": 0, "left_out": 0, "layout": "table", "split": "made", "tool": "plainfilm", "problems": "{}"}  # fmt: skip
    with create(folder / "whole.h5", size=size, expected=n) as writer:
        writer.append(images)
        writer.finish(
            columns(n, findings={"Effusion": (np.arange(n) % 2).astype(np.int8)}),
            attributes=noted,
        )
    return folder / "whole.h5"


def _altered(whole: Path, secret: Path, told: Told) -> Iterator[tuple[str, Path, bool]]:
    rng, data = np.random.default_rng(told.seed), whole.read_bytes()
    starts = [
        data,
        *(as_version_1(whole, told.scratch / "old.h5", sealed=sealed).read_bytes() for sealed in (True, False)),
    ]
    named = _edits(secret)
    edits = [(name, named[name]) for name in rng.permutation(list(named)).tolist()]
    path = told.scratch / "altered.h5"
    for number in range(told.cases or CASES):
        path.unlink(missing_ok=True)
        turn = number // 5
        start = starts[(turn + turn // len(edits)) % 3]  # each edit of all
        if number % 5 == 4:
            kind, edit = edits[turn % len(edits)]
            path.write_bytes(start)
            with (
                h5py.File(path, "r+") as file,
                contextlib.suppress(KeyError, OSError, RuntimeError, TypeError, ValueError),
            ):  # a column of version 1 has no parts
                edit(file, rng)
        else:
            kind, change = _BYTES[number % 5]
            path.write_bytes(change(bytearray(start), rng))
        yield kind, path, start is not starts[2]


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """Choose a byte, one in three among the first of the file, and rarely one of the pixels."""
    zeros = 4096 if rng.random() < 1 / 3 else len(data)
    return int(rng.integers(zeros))


def _flip(data: bytearray, rng: np.random.Generator) -> bytes:
    for _ in range(int(rng.integers(1, 9))):
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(data)


def _run_of_bytes(data: bytearray, rng: np.random.Generator) -> bytes:
    at, length = _place(data, rng), int(rng.integers(1, 65))
    filling = [bytes(length), b"\xff" * length, rng.bytes(length)][int(rng.integers(3))]
    data[at : at + length] = filling[: len(data) - at]
    return bytes(data)


def _number(data: bytearray, rng: np.random.Generator) -> bytes:
    at = _place(data, rng) & ~7
    value = [0, 1, 2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1, at, int(rng.integers(len(data)))][
        int(rng.integers(9))
    ]
    data[at : at + 8] = value.to_bytes(8, "little")
    return bytes(data)


def _cut_or_spliced(data: bytearray, rng: np.random.Generator) -> bytes:
    at, other, length = (int(rng.integers(len(data))) for _ in range(3))
    if rng.random() < 0.4:
        return bytes(data[:at])
    if rng.random() < 0.5:
        return bytes(data[:at] + data[at + length % 4096 :])
    piece = bytes(data[other : other + length % 4096])
    return bytes(data[:at] + piece + data[at + len(piece) :])


_BYTES = (
    ("bits turned", _flip),
    ("a run of bytes", _run_of_bytes),
    ("a number replaced", _number),
    ("cut or spliced", _cut_or_spliced),
)


def _instead(name: str, **made: Any) -> Change:
    def edit(file: Any, _rng: np.random.Generator) -> None:
        _drop(file, name)
        file.create_dataset(name, **made)

    return edit


def _link(name: str, link: Any) -> Change:
    def edit(file: Any, _rng: np.random.Generator) -> None:
        _drop(file, name)
        file[name] = link

    return edit


def _attribute(name: str, value: Any) -> Change:
    return lambda file, _rng: file.attrs.__setitem__(name, value)


def _edits(secret: Path) -> dict[str, Change]:
    """Everything that h5py can say of a store which plainfilm does not."""
    rows, size, text = 60, 32, h5py.string_dtype()
    virtual = h5py.VirtualLayout((rows, size, size), np.uint8)
    virtual[:] = h5py.VirtualSource(str(secret), "images", (rows, size, size))
    itself = h5py.VirtualLayout((rows,), np.int64)
    itself[:] = h5py.VirtualSource(".", "group", (rows,))
    pixels = np.zeros((rows, size, size), np.uint8)
    odd = {
        "float16": np.zeros(rows, np.float16), "complex": np.zeros(rows, complex), "bool": np.zeros(rows, bool),
        "bytes": np.full(rows, b"train"), "opaque": np.zeros(rows, "V5"), "pairs": np.zeros(rows, [("a", int), ("b", "S3")]),
        "big": np.zeros(rows, ">i8"), "uint64": np.full(rows, 2**64 - 1, np.uint64), "empty": np.zeros(0), "scalar": 3,
        "nothing": h5py.Empty("i8"), "wide": np.zeros((rows, 2)), "long": np.zeros(rows + 1), "nan": np.full(rows, np.nan),
        "number": np.zeros(rows, np.int8), "negative": np.full(rows, -5),
    }  # fmt: skip
    edits: dict[str, Change] = {}
    parts = [f"{name}/{part}" for name in ("split", "provenance/view") for part in (CODES, CATEGORIES)]
    for name in (*COLUMNS, "images", "provenance", "provenance/width", "findings/Effusion", "images_sha256", *parts):
        edits |= {f"{name} as {kind}": _instead(name, data=value) for kind, value in odd.items()}
        edits[f"{name} missing"] = lambda file, _rng, name=name: _drop(file, name)
        edits[f"{name} a group"] = lambda file, _rng, name=name: (_drop(file, name), file.create_group(name))
        edits[f"escape: {name} external storage"] = _instead(
            name, shape=(rows,), dtype=np.int64, external=[(str(secret), 0, rows * 8)]
        )
        edits[f"escape: {name} external link"] = _link(name, h5py.ExternalLink(str(secret), "/images"))
        edits[f"escape: {name} soft link"] = _link(name, h5py.SoftLink("/group"))
        edits[f"escape: {name} dangling link"] = _link(name, h5py.SoftLink("/nowhere/../else"))
        edits[f"{name} vast"] = _instead(name, shape=(1 << 50,), dtype=np.int64, chunks=(1 << 20,))
        edits[f"{name} rows that are not there"] = _instead(name, shape=(rows,), dtype=np.int64, chunks=(7,))
    edits |= {
        "escape: images external storage": _instead("images", shape=(rows, size, size), dtype=np.uint8, external=[(str(secret), 0, pixels.nbytes)]),
        "escape: images virtual": lambda file, _rng: (file.__delitem__("images"), file.create_virtual_dataset("images", virtual)),
        "escape: group virtual": lambda file, _rng: (file.__delitem__("labels"), file.create_virtual_dataset("labels", itself)),
        "images packed": _instead("images", data=pixels, chunks=(1, size, size), compression="gzip", shuffle=True),
        "images by lzf": _instead("images", data=pixels, chunks=(1, size, size), compression="lzf"),
        "images scaled": _instead("images", data=pixels, chunks=(1, size, size), scaleoffset=0),
        "images with fletcher32": _instead("images", data=pixels, chunks=(1, size, size), fletcher32=True),
        "images a bomb": _instead("images", shape=(1 << 22, size, size), dtype=np.uint8, chunks=(1 << 10, size, size), compression="gzip"),
        "images in vast pieces": _instead("images", shape=(rows, size, size), maxshape=(None, None, None), dtype=np.uint8, chunks=(1 << 11, 1 << 10, 1 << 10)),
        "images of no size": lambda file, rng: (_instead("images", data=np.zeros((rows, 0, 0), np.uint8))(file, rng), file.attrs.__setitem__("size", 0)),
        "text a bomb": _instead("file", data=np.array(["x" * (1 << 18)] + ["y"] * (rows - 1), object), dtype=text),
        "text without an end": _instead("file", data=np.array(["é" * 40_000] * rows, object), dtype=text),
        "text that is none": _instead("split", data=np.array([b"\xff\xfe"] * rows, object), dtype=h5py.string_dtype("ascii")),
        "text of lists": _instead("split", data=np.array([np.arange(3)] * rows + [0], object)[:rows], dtype=h5py.vlen_dtype(np.int32)),
        "a loop": lambda file, _rng: file["provenance"].__setitem__("again", file["/"]),
        "two names": lambda file, _rng: file.__setitem__("again", file["labels"]),
        "deep": lambda file, _rng: file.create_group("/".join("x" * 200)),
        "many": lambda file, _rng: [file.create_group(f"many/{k}") for k in range(3000)],
        "a named type": lambda file, _rng: file.__setitem__("kind", np.dtype("i4")),
        "references": lambda file, _rng: file.create_dataset("to", data=np.array([file["labels"].ref] * 3, object), dtype=h5py.ref_dtype),
        "a reference as attribute": lambda file, _rng: file.attrs.__setitem__("to", file["labels"].ref),
        "a region": lambda file, _rng: file.attrs.__setitem__("to", file["labels"].regionref[:3]),
        "attributes without an end": lambda file, _rng: [file.attrs.__setitem__(f"a{k}", k) for k in range(5000)],
        "a long attribute": _attribute("problems", "x" * 200_000),
        "names of other letters": lambda file, _rng: file.create_dataset("provenance/\x1b[31m\u202e", data=np.zeros(rows)),
        "names that are no text": lambda file, _rng: file.id.links.move(b"group", file.id, b"\xff\xfe"),
        "nested": lambda file, _rng: file.create_group("provenance/nested/more").create_dataset("x", data=np.zeros(rows)),
    }  # fmt: skip
    values = [
        5,
        -1,
        2**62,
        1.5,
        float("nan"),
        "x",
        "",
        b"\xff",
        [1, 2],
        ["a", "a"],
        [],
        np.zeros((2, 2)),
        h5py.Empty("i4"),
        True,
        "{",
        '{"a": 1}',
        "[" * 5000,
    ]
    for name in (
        "version",
        "classes",
        "size",
        "fingerprint",
        "format",
        "fit",
        "seed",
        "problems",
        "created",
        "left_out",
        "contents_sha256",
        "columns_sha256",
    ):
        edits[f"{name} missing"] = lambda file, _rng, name=name: file.attrs.pop(name, None)
        edits |= {f"{name} is {value!r}"[:60]: _attribute(name, value) for value in values}
    return edits


def _drop(file: Any, name: str) -> None:
    if name in file:  # a store of 0.1 has fewer
        del file[name]
