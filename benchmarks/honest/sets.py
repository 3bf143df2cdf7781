"""Sets of real films whose truth is known: labels drawn by lot, and signs drawn on some."""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import plainfilm
from measuring import SHARED
from plainfilm.data import split, store_writer
from plainfilm.data.store import Columns, Store
from plainfilm.evidence.audit.audit import audit
from plainfilm.evidence.audit.findings import AuditFindings
from plainfilm.evidence.audit.looks import ImageEncoder
from plainfilm.workflows.audit import default_encoder

Films = NDArray[np.uint8]


class BlockMeans:
    """An encoder of means of 16 x 16 blocks: costs nothing, for probes that do without an encoder."""

    key = "coarse"

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode gray uint8 (n, s, s), s a multiple of 16."""
        n, size, _ = images.shape
        return images.reshape(n, 16, size // 16, 16, size // 16).mean((2, 4)).reshape(n, -1).astype(np.float32)


def films(work: Path, name: str, *, source: str = "", label: str = "") -> tuple[Films, NDArray[np.int64]]:
    """Read a collection of ../shared/data at 256 px, with groups; of one source and class where asked."""
    path = work.parent / f"{name}.h5"
    if not path.is_file():
        plainfilm.ingest(SHARED / "data" / name, path, seed=0)
    with Store(path) as store:
        kept = np.ones(len(store), bool)
        kept &= np.char.find(store.source, source) >= 0
        kept &= (np.array(store.classes)[store.labels] == label) if label else True
        rows = np.flatnonzero(kept)
        return store.images(rows), store.group[rows]


def tag(film: Films, random: np.random.Generator, corner: int = 0) -> Films:
    """Write a letter into a corner, at a place and size that vary a little."""
    size = int(random.integers(14, 22))
    place = (int(random.integers(4, 14)), int(random.integers(4, 14)))
    picture = Image.fromarray(film)
    x = place[0] if corner % 2 == 0 else film.shape[1] - place[0] - size
    y = place[1] if corner < 2 else film.shape[0] - place[1] - size
    ImageDraw.Draw(picture).text(
        (x, y), "RLDPX"[corner], fill=int(random.integers(200, 256)), font=ImageFont.load_default(size)
    )
    return np.asarray(picture)


def write(
    path: Path,
    images: Films,
    labels: NDArray[np.int64],
    group: NDArray[np.int64],
    *,
    seed: int,
    source: NDArray[np.str_] | None = None,
    classes: tuple[str, ...] = (),
) -> Store:
    """Write a store with plainfilm's own split by group, and open it."""
    names = classes or tuple(f"class {chr(65 + k)}" for k in range(int(labels.max()) + 1))
    part = split.assign(labels, group, shares=split.SHARES, seed=seed)
    empty = np.full(len(labels), "")
    columns = Columns(
        labels=labels, split=np.array(split.NAMES)[part], group=group, source=empty if source is None else source,
        patient=empty, file=np.array([f"{n}.png" for n in range(len(labels))]), sha256=np.array([f"{n:064x}" for n in range(len(labels))]),
        classes=names, provenance={},
    )  # fmt: skip
    with store_writer.create(path, size=images.shape[1], expected=len(images)) as writer:
        writer.append(images)
        writer.finish(columns, attributes={"fit": "pad"})
    return Store(path)


def audited(path: Path, seed: int, write_it: Callable[[], Store], encoder: ImageEncoder | None = None) -> AuditFindings:
    """Audit a set, by default with the default backbone, and remove it and what was cached of it."""
    cache = path.with_suffix(".cache")
    os.environ["PLAINFILM_CACHE"] = str(cache)
    with write_it() as store:
        found = audit(store, encoder or default_encoder(store), seed=seed)
    path.unlink()
    shutil.rmtree(cache / "probes", ignore_errors=True)
    return found


def runs(work: Path, keys: Iterable[tuple[Any, ...]], run: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
    """Run for each key what does not yet stand in WORK/runs.jsonl; give all runs of the keys."""
    log = work / "runs.jsonl"
    known = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    done = {tuple(each["key"]): each for each in known}
    wanted = list(keys)
    for key in wanted:
        if key not in done:
            done[key] = {"key": key, **run(*key)}
            with log.open("a") as file:
                file.write(json.dumps(done[key]) + "\n")
    return [done[key] for key in wanted]
