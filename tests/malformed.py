"""Malformed files of every kind that a command reads, and what is wrong with an answer to one."""

import io
import json
import random
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from made_dicom import instance
from made_files import dicom_bytes, encoded, gray_film
from pythons_words import PYTHONS_WORDS

OLD = Path(__file__).parent / "written_by_0_1_0"
BUNDLE, STORE, FILM = OLD / "run" / "model.plainfilm", OLD / "store.h5", OLD / "films" / "00001.jpg"
OTHERS: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e308,
    "",
    "x" * 300,
    "\x1b[31m\ud800",
    [],
    [[]],
    {},
    {"a": 1},
    [None],
    10**30,
)
_FAULT = "fault of plainfilm's own"


@dataclass(frozen=True, slots=True)
class Case:
    """A command on malformed input; `many` where the answer is a list of files."""

    name: str
    words: tuple[object, ...]
    many: bool = False


def wrong(case: Case, code: int, out: str, err: str) -> str:
    """Say what is wrong with an answer: no line or several, words of Python's, a traceback; "" where nothing is."""
    if found := PYTHONS_WORDS.search(re.sub(r"/\S+", "", out + err)):
        return f"says {found[0]!r}"
    if _FAULT in err:
        return "a fault of its own"
    if case.many or code == 0:
        return "" if code in {0, 1, 2} else f"ends with {code}"
    lines = [line for line in err.splitlines() if line.strip()]
    if code not in {1, 2} or len(lines) != 1 or not lines[0].startswith("plainfilm: "):
        return f"ends with {code} and {len(lines)} lines"
    return "" if lines[0].isprintable() else "has signs that cannot be seen"


def cases(folder: Path, seed: int, count: int) -> Iterator[Case]:
    """Make `count` malformed inputs in a folder, of each kind in turn."""
    rng = random.Random(seed)
    kinds = [kind(folder, rng) for kind in KINDS]
    made = 0
    while kinds:
        for kind in list(kinds):
            case = next(kind, None)
            if case is None:
                kinds.remove(kind)
                continue
            yield case
            made += 1
            if made == count:
                return


def garbled(data: bytes, rng: random.Random) -> bytes:
    """Cut, flip, fill, empty, double or insert."""
    at, length = rng.randrange(max(1, len(data))), rng.randrange(1, 64)
    return rng.choice([
        lambda: data[:at],
        lambda: data[:at] + bytes(b ^ rng.randrange(1, 256) for b in data[at : at + length]) + data[at + length :],
        lambda: data[:at] + bytes(length) + data[at + length :],
        lambda: data[:at] + rng.randbytes(length) + data[at:],
        lambda: rng.randbytes(length),
        lambda: data[:at] + data,
        lambda: b"\xff\xfe" + data,
    ])()  # fmt: skip


def edited(value: Any, rng: random.Random) -> Any:
    """Take one key away from JSON, or give it a value of another type, anywhere inside."""
    places: list[tuple[Any, Any]] = []

    def visit(part: Any) -> None:
        for key in part if isinstance(part, dict) else range(len(part)):
            places.append((part, key))
            if isinstance(part[key], dict | list):
                visit(part[key])

    copy = json.loads(json.dumps(value))
    visit(copy)
    part, key = rng.choice(places)
    if rng.random() < 0.4:
        del part[key]
    else:
        part[key] = rng.choice(OTHERS)
    return copy


def _text(value: Any, rng: random.Random) -> bytes:
    deep = b'{"a":' * 30_000
    return rng.choice([lambda: json.dumps(edited(value, rng)).encode()] * 5 + [
        lambda: garbled(json.dumps(value).encode(), rng), lambda: deep, lambda: b"[" * 100_000, lambda: b"", lambda: b"null", lambda: b"NaN",
        lambda: json.dumps(value).encode("utf-16"), lambda: b'"\\ud800"'])()  # fmt: skip


def images(folder: Path, rng: random.Random) -> Iterator[Case]:
    """Pictures of every format, garbled."""
    picture = Image.fromarray(gray_film(128, 96))
    formats = {
        "jpg": "JPEG",
        "png": "PNG",
        "tif": "TIFF",
        "jp2": "JPEG2000",
        "bmp": "BMP",
        "pgm": "PPM",
        "webp": "WEBP",
        "gif": "GIF",
    }
    sound = {suffix: encoded(picture, kind) for suffix, kind in formats.items()}
    buffer = io.BytesIO()
    np.save(buffer, gray_film(64, 64))
    sound["npy"] = buffer.getvalue()
    for number in range(1_000_000):
        suffix = rng.choice(list(sound))
        path = _put(folder / "images" / f"{number}.{suffix}", garbled(sound[suffix], rng))
        yield Case(f"image {suffix}", ("predict", BUNDLE, path, "--json"), many=True)


def dicoms(folder: Path, rng: random.Random) -> Iterator[Case]:
    """DICOM files with each element taken away or garbled in turn."""
    keywords = [each.keyword for each in instance() if each.keyword]
    for number in range(1_000_000):
        made = instance(f"{number}")
        keyword = keywords[number // 2 % len(keywords)]
        path = folder / "dicoms" / f"{number}.dcm"
        try:
            if number % 2 == 0:
                delattr(made, keyword)
            else:
                _garble(made, keyword, rng)
            _put(path, dicom_bytes(made))
        except Exception:  # noqa: BLE001 - pydicom cannot write it
            _put(path, garbled(dicom_bytes(instance()), rng))
        yield Case(f"dicom {keyword}", ("predict", BUNDLE, path, "--json"), many=True)


def _garble(made: Dataset, keyword: str, rng: random.Random) -> None:
    tag = made[keyword].tag
    vr, value = rng.choice([("LO", "seven"), ("US", [1, 2, 3]), ("FD", float("nan")), ("UN", b"\xff\xfe\x00"), ("IS", "0"), ("SQ", [Dataset()]), ("OB", b"")])  # fmt: skip
    del made[tag]
    made.add(DataElement(tag, vr, value))


def tables(folder: Path, rng: random.Random) -> Iterator[Case]:
    """Tables of labels, of every kind."""
    films = folder / "films"
    for label in ("COVID", "NORMAL"):
        _put(films / label / "1.jpg", FILM.read_bytes())
    rows = [{"file_name": f"{label}/1.jpg", "label": label, "age": 3} for label in ("COVID", "NORMAL")]
    as_csv = "file_name,label,age\n" + "".join(",".join(map(str, row.values())) + "\n" for row in rows)
    for number in range(1_000_000):
        suffix = rng.choice(["csv", "json", "jsonl", "csv.gz", "xlsx", "parquet"])
        data = {
            "csv": lambda: garbled(as_csv.encode(), rng),
            "json": lambda: _text(rows, rng),
            "jsonl": lambda: b"\n".join(_text(row, rng) for row in rows),
            "csv.gz": lambda: garbled(b"\x1f\x8b" + rng.randbytes(40), rng),
            "xlsx": lambda: garbled(b"PK\x03\x04" + rng.randbytes(200), rng),
            "parquet": lambda: garbled(b"PAR1" + rng.randbytes(200) + b"PAR1", rng),
        }[suffix]()
        path = _put(folder / "tables" / f"{number}.{suffix}", data)
        yield Case(f"table {suffix}", ("ingest", films, "--out", folder / "t.h5", "--labels", path, "--dry-run"))


def recipes(folder: Path, rng: random.Random) -> Iterator[Case]:
    """Recipes in TOML."""
    sound = (OLD / "run" / "recipe.toml").read_text(encoding="utf-8")
    lines = sound.splitlines()
    for number in range(1_000_000):
        at = rng.randrange(len(lines))
        key = lines[at].partition("=")[0]
        value = rng.choice(
            ["", "[]", "{}", "nan", "-1", '"x"', "1e400", "[[1]]", "1979-05-27", "true", '"\\u0000"', "9" * 400]
        )
        data = (
            "\n".join([*lines[:at], f"{key}= {value}", *lines[at + 1 :]]).encode()
            if rng.random() < 0.6
            else garbled(sound.encode(), rng)
        )
        if "backbone" not in key:  # a sound one would train
            data += b"\n[backbone]\nname = 'none'\n"
        path = _put(folder / "recipes" / f"{number}.toml", data)
        yield Case("recipe", ("train", STORE, "--out", folder / "recipe run", "--recipe", path, "--positive", "nobody"))


def bundles(folder: Path, rng: random.Random) -> Iterator[Case]:
    """Bundles with a key of their manifest or their metrics taken away, or of another type; garbled ones."""
    with zipfile.ZipFile(BUNDLE) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for number in range(1_000_000):
        path = folder / "bundles" / f"{number}.plainfilm"
        changed = dict(members)
        name = rng.choice(list(members))
        if name.endswith(".json"):
            changed[name] = _text(json.loads(members[name]), rng)
        else:
            changed[name] = garbled(members[name], rng)
        if name != "manifest.json":
            told = json.loads(members["manifest.json"])
            told["members"][name] = {"sha256": sha256(changed[name]).hexdigest(), "bytes": len(changed[name])}
            changed["manifest.json"] = json.dumps(told).encode()
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for each, data in changed.items():
                archive.writestr(zipfile.ZipInfo(each), data)
        data = stream.getvalue() if rng.random() < 0.8 else garbled(BUNDLE.read_bytes(), rng)
        _put(path, data)
        yield Case(f"bundle {name}", rng.choice([("info", path), ("predict", path, FILM)]), many=True)


def documents(folder: Path, rng: random.Random) -> Iterator[Case]:
    """`metrics.json` of runs and of evaluations."""
    sound = {name: json.loads((OLD / name / "metrics.json").read_bytes()) for name in ("run", "evaluate", "folds")}
    for number in range(1_000_000):
        name = rng.choice(list(sound))
        path = _put(folder / "documents" / str(number) / "metrics.json", _text(sound[name], rng))
        yield Case(f"metrics.json of {name}", ("info", path.parent))


def stores(folder: Path, rng: random.Random) -> Iterator[Case]:
    """Stores without an attribute or a column, or with another."""
    with h5py.File(STORE) as file:
        names = [*file.attrs, *file]
    for number in range(1_000_000):
        path = folder / "stores" / f"{number}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(STORE, path)
        name = names[number % len(names)]
        with h5py.File(path, "r+") as file:
            where = file.attrs if name in file.attrs else file
            del where[name]
            if rng.random() < 0.6:
                where[name] = rng.choice([-1, "x", 1.5, [1, 2, 3], b"\xff", "{", "[1]", [[0.5]]])
        yield Case(f"store {name}", rng.choice([("info", path), ("audit", path, "--out", folder / "audit", "--seed", "-1"), ("train", path, "--out", folder / "run", "--positive", "nobody")]))  # fmt: skip


def searches(folder: Path, rng: random.Random) -> Iterator[Case]:
    """Folders of a search."""
    for number in range(1_000_000):
        path = folder / "searches" / str(number)
        shutil.copytree(OLD / "tune", path)
        name = rng.choice(["trials.db", "tuning.json"])
        (path / name).write_bytes(garbled((path / name).read_bytes(), rng))
        yield Case(f"search {name}", ("tune", STORE, "--out", path, "--trials", "0"))


def keys(folder: Path, rng: random.Random) -> Iterator[Case]:
    """Keys, tokens, certificates, networks, masks of arguments."""
    pem = b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"
    for number in range(1_000_000):
        path = _put(
            folder / "keys" / str(number), rng.choice([garbled(pem, rng), pem, b"", "\u202eé".encode("utf-16")])
        )
        yield rng.choice([
            Case("public key", ("info", BUNDLE, "--require-signature", path)),
            Case("private key", ("train", STORE, "--out", folder / "signed", "--sign", path, "--positive", "nobody")),
            Case("token", ("serve", BUNDLE, "--token-file", path, "--host", "256.1.1.1")),
            Case("certificate", ("serve", BUNDLE, "--certificate", path, "--key", path, "--host", "256.1.1.1")),
            Case("peer", ("serve", BUNDLE, "--dicom-port", "0", "--peer", rng.choice(["A", "A=", "=1:2", "A=h:x", "A=h:99999999", "A=http://", "A=http://[::", "\udce4=h:1", "A=\x1b:1"]), "--host", "256.1.1.1")),
            Case("pattern", ("ingest", folder / "films", "--out", folder / "p.h5", "--label-pattern", rng.choice(["(", "[", "(?P<x", "*", "\\", "(?<!a+)b", "a{99999999999}"]), "--dry-run")),
            Case("number", ("predict", BUNDLE, FILM, "--prevalence", rng.choice(["nan", "inf", "x", "-1", "1e400", "", "٣"]))),
            Case("no number", ("train", STORE, "--out", folder / "n", "--set", rng.choice(["a", "=", "training.epochs=x", "training.epochs=", "training.epochs=[", "seed=nan", "head.layers={", "x" * 5000, "\ud800=1", "training.epochs=1e99"]))),
            Case("path", ("info", rng.choice(["", "\ud800", "a\nb", "x" * 5000, "/dev/null", "/dev/full", "/proc/self/mem", "/", "~nobody/x"]))),
            Case("out", ("train", STORE, "--out", rng.choice(["/proc/x", "/dev/null", "/dev/null/x", "", "x" * 5000, "\ud800"]), "--positive", "nobody")),
            Case("export", ("export", path, "--to", rng.choice(["onnx", "nothing", ""]), "--out", folder / "e")),
            Case("weights", ("weights", "import", "efficientnet_lite0", path)),
            Case("backbone", ("train", STORE, "--out", folder / "b", "--backbone", _named(path, ".onnx"), "--set", "backbone.scaling=imagenet", "--quiet")),
        ])  # fmt: skip


def archives(folder: Path, rng: random.Random) -> Iterator[Case]:
    """Archives of films."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for label in ("COVID", "NORMAL"):
            archive.writestr(f"{label}/1.jpg", FILM.read_bytes())
    arrays = io.BytesIO()
    np.savez(arrays, train_images=np.zeros((4, 28, 28), np.uint8), train_labels=np.zeros((4, 1), np.uint8))
    for number in range(1_000_000):
        suffix, data = rng.choice(
            [
                ("zip", stream.getvalue()),
                ("npz", arrays.getvalue()),
                ("tar", b"x" * 20_480),
                ("tar.gz", b"\x1f\x8b\x08\x00" + bytes(200)),
            ]
        )
        path = _put(folder / "archives" / f"{number}.{suffix}", garbled(data, rng))
        yield Case(f"archive {suffix}", ("ingest", path, "--out", folder / "a.h5", "--dry-run"))


KINDS: tuple[Callable[[Path, random.Random], Iterator[Case]], ...] = (
    images, dicoms, tables, recipes, bundles, documents, stores, searches, keys, archives
)  # fmt: skip


def _put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _named(path: Path, suffix: str) -> Path:
    shutil.copy(path, path.with_suffix(suffix))
    return path.with_suffix(suffix)
