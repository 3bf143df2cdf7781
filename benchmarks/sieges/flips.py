"""Damage in every kind of cache entry and in stores: whatever reads it afterwards gives the undamaged result, or one clear error.

A file's time stays as it was, as when a disk forgets. CASES for each kind that is read in this process, fewer where a command
is started each time; at last whole trainings whose cache is damaged all over.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from plainfilm.data import cache, hdf5, openings
from plainfilm.data.files import cache_folder
from plainfilm.data.store import FORMAT, Store
from plainfilm.data.store_columns import COLUMNS, digest_of
from plainfilm.data.store_writer import create
from plainfilm.errors import PlainfilmError
from plainfilm.model import backbones, encoder, ensembling, weights
from plainfilm.model.ensembling import EncoderHead
from plainfilm.model.frozen_trunk import Maps
from sieges.row import Row, Told

CASES = 40
_COMMANDS, _TRAININGS = 12, 4  # cases of a kind that starts a process; each damages all of the cache
_OLD = Path(__file__).resolve().parents[2] / "tests" / "written_by_0_1_0"
_TRAIN = ("train", "store.h5", "--backbone", "backbone.onnx", "--set", "backbone.scaling=0..255", "--epochs", "2", "--quiet")  # fmt: skip
_COMPILES = """
from plainfilm.model import keras_backend
keras_backend.load()
import jax
print(jax.jit(lambda x: jax.numpy.sin(x) * 3 + x)(jax.numpy.arange(8.0)).tolist())
"""
Read = Callable[[], str]


class _Trunk:
    """What maps are made with: a trunk that any image goes through alike."""

    key, shape = "made", (4, 4, 8)

    def run(self, images: Any) -> Any:
        """Give maps float32 (n, 4, 4, 8)."""
        return np.resize(images.reshape(len(images), -1)[:, :128], (len(images), *self.shape)).astype(np.float32)


def run(told: Told) -> Row:
    """Damage one file after the other, and read it."""
    os.environ["PLAINFILM_CACHE"] = str(told.scratch / "cache")
    shutil.copytree(_OLD, told.scratch, dirs_exist_ok=True)
    rng, each = np.random.default_rng(told.seed), told.cases or CASES
    store = _copied(told.scratch / "store.h5", told.scratch / "sealed.h5")
    kinds = _in_process(store, told.scratch / "backbone.onnx")
    found = {kind: _tried(folder, read, each, rng) for kind, (folder, read) in kinds.items()}
    few = min(each, _COMMANDS)
    found["stores"] = _tried_alone(store, lambda: _contents(store), each, rng)
    found["compiled passes"] = _tried("compiled", lambda: _said("-c", _COMPILES), few, rng)
    found["stores already looked through"] = _tried("opened", lambda: _contents(store), few, rng)
    found["whole trainings"] = _trained(told.scratch, min(each, _TRAININGS), rng)
    counts: Counter[str] = sum(found.values(), Counter())
    said = "; ".join(f"{kind}: {', '.join(f'{what} {n}' for what, n in of.items())}" for kind, of in found.items())
    return Row(
        tried="damaged cache entries and stores, read again",
        cases=sum(counts.values()),
        found=said,
        promised="the undamaged result, or one clear error",
        holds=not set(counts) - {"the same", "an error"},
    )


def _in_process(store: Path, backbone: Path) -> dict[str, tuple[str, Read]]:
    own = backbones.find(str(backbone))
    with Store(store) as opened:
        rows, pixels = np.arange(len(opened)), opened.images(range(len(opened)))
        films, log = openings.films(opened.sha256.tolist()), [f"opening {number}" for number in range(5)]
    prepare = encoder.preprocessing(own, image_size=pixels.shape[1], input_size=64, scaling="0..255")

    def made() -> tuple[encoder.Encoder, encoder.Features]:
        ready = encoder.open_encoder(own, prepare)
        with Store(store) as opened:
            return ready, encoder.encode_store(ready, opened)

    def views() -> bytes:
        ready, features = made()
        with Store(store) as opened:
            part = EncoderHead(encoder=ready, head=b"", features=features)
            return ensembling.with_views(part, 3, opened).encoder.network()

    def arrays() -> bytes:
        found, _ = encoder.remembered("probes", "made", lambda: {"a": pixels[:, 0].astype(float), "b": rows})
        return found["a"].tobytes() + found["b"].tobytes()

    def maps() -> bytes:
        ready = Maps(_Trunk(), rows, lambda numbers: pixels[numbers], about="made")
        ready.fill(lambda _done, _all: None)
        return ready.read(rows[::-1]).tobytes()

    def counted() -> bytes:
        openings.keep(films, log)
        return str(len(openings.known(films))).encode()

    lite0 = backbones.BACKBONES["efficientnet_lite0"]
    kept = cache_folder() / "weights" / f"{lite0.name}.{hashlib.sha256(pixels.tobytes()).hexdigest()}.h5"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(pixels.tobytes())
    return {
        "encoders": ("encoders", lambda: _digest(made()[0].network())),
        "features": ("features", lambda: _digest(made()[1].read(rows).tobytes())),
        "encoders in views": ("encoders", lambda: _digest(views())),
        "measures": ("probes", lambda: _digest(arrays())),
        "maps": ("maps", lambda: _digest(maps())),
        "openings": ("openings", lambda: _digest(counted())),
        "imported weights": ("weights", lambda: _digest(weights.locate(lite0).path.read_bytes())),
    }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _tried(folder: str, read: Read, cases: int, rng: np.random.Generator) -> Counter[str]:
    """Damage a file below a folder of the cache, one at a time, and put all back as it was."""
    read()
    files = sorted(path for path in (cache_folder() / folder).rglob("*") if path.is_file())
    counts: Counter[str] = Counter()
    for number in range(cases):
        counts += _tried_alone(files[number % len(files)], read, 1, rng)
    return counts


def _tried_alone(path: Path, read: Read, cases: int, rng: np.random.Generator) -> Counter[str]:
    whole, expected = path.read_bytes(), read()
    counts: Counter[str] = Counter()
    for _ in range(cases):
        times = path.stat()
        path.write_bytes(_damaged(whole, rng))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        counts[_outcome(read, expected)] += 1
        path.write_bytes(whole)
    return counts


def _outcome(read: Read, expected: str) -> str:
    cache._whole.clear()  # as in a new run
    try:
        return "the same" if read() == expected else "ANOTHER RESULT"
    except PlainfilmError as error:
        return "an error" if "\n" not in str(error) else "SEVERAL LINES"
    except Exception as error:  # noqa: BLE001 - what is not ours is a fault
        return f"{type(error).__name__}: {error}"[:200]


def _damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """One bit turned, a run zeroed, 100 kB zeroed, a sixth zeroed, or the end cut off; never the same as before."""
    damaged = bytearray(whole)
    at, kind = int(rng.integers(max(1, len(whole)))), int(rng.integers(5))
    if kind == 0 and whole:
        damaged[at] ^= 1 << int(rng.integers(8))
    elif kind == 4:
        del damaged[at:]
    else:
        length = (64, 100_000, len(whole) // 6)[kind % 3]
        damaged[at : at + length] = bytes(len(damaged[at : at + length]))
    return bytes(damaged) if damaged != whole else bytes(damaged[: len(damaged) // 2]) + b"\x01"


def _contents(path: Path) -> str:
    """Everything that a store gives, in a digest; it is taken as looked through before, which crashes are another part's."""
    with contextlib.suppress(OSError):
        hdf5.remember(path, FORMAT) if hdf5.look_through(path).reason == "" else None
    with Store(path) as store:
        columns = [getattr(store, name) for name in COLUMNS] + [*store.provenance.values(), *store.findings.values()]
        told = [store.attributes, store.classes, [*store.provenance], [*store.findings], [*map(digest_of, columns)]]
        return _digest(json.dumps(told, sort_keys=True).encode() + store.images(range(len(store))).tobytes())


def _copied(path: Path, out: Path) -> Path:
    """Write a store of 0.1 anew, with checksums."""
    from plainfilm.data.store import Columns

    with Store(path) as store:
        columns = Columns(
            classes=store.classes, provenance=store.provenance, **{name: getattr(store, name) for name in COLUMNS}
        )
        about = {name: value for name, value in store.attributes.items() if name not in {"format", "version", "size", "fingerprint", "created"}}  # fmt: skip
        with create(out, size=store.size, expected=len(store)) as writer:
            writer.append(store.images(range(len(store))))
            writer.finish(columns, attributes=about)
    return out


def _said(*words: str, folder: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )  # fmt: skip
    if done.returncode == 1 and done.stderr.count("\n") == 1:
        raise PlainfilmError(done.stderr.strip())
    if done.returncode or done.stderr:
        raise RuntimeError(done.stderr[-300:])
    return done.stdout


def _trained(folder: Path, cases: int, rng: np.random.Generator) -> Counter[str]:
    """Train again and again, each time with a file of each folder of the cache damaged."""
    shutil.copyfile(folder / "sealed.h5", folder / "store.h5")

    def train() -> str:
        _said("-m", "plainfilm", *_TRAIN, "--out", "again", "--overwrite", folder=folder)
        told = json.loads((folder / "again" / "metrics.json").read_text(encoding="utf-8"))
        for timed in ("seconds", "features_cached", "test_openings"):
            del told[timed]
        del told["audit"]["seconds"]
        return _digest((folder / "again" / "predictions.csv").read_bytes() + json.dumps(told, sort_keys=True).encode())

    expected, counts = train(), Counter[str]()
    for _ in range(cases):
        for part in sorted(cache_folder().iterdir()):
            files: Sequence[Path] = sorted(path for path in part.rglob("*") if path.is_file())
            for path in files if part.name != "weights" else ():
                path.write_bytes(_damaged(path.read_bytes(), rng))
        counts[_outcome(train, expected)] += 1
    return counts
