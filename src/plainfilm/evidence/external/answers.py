"""What a classifier and its outlier detector say of rows of a store: here, or in pieces by the engine of the command."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm import __version__
from plainfilm.data import cache, pieces, shared_store
from plainfilm.data.files import cache_folder
from plainfilm.data.store import Store
from plainfilm.engines.current import elsewhere
from plainfilm.engines.engine import Engine
from plainfilm.engines.left_files import LeftFile
from plainfilm.evidence.outliers import judging
from plainfilm.evidence.outliers.detector import opened
from plainfilm.model import kernels, shared_bundle
from plainfilm.model.bundle import Bundle
from plainfilm.model.cpus import limited
from plainfilm.model.shared_bundle import SharedBundle
from plainfilm.model.view import ViewFinder

BLOCK = 256  # radiographs a step: memory does not grow with their pixels
_VERSION = 1  # of an entry
Advance = Callable[[int, int], None]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class RowsJob:
    """Rows of a store for another process to answer for, and the entry that it leaves."""

    number: int
    path: str
    bundle: SharedBundle
    store: str
    fingerprint: str
    rows: tuple[int, ...]
    threads: int


def answer_rows(job: RowsJob) -> LeftFile:
    """Answer for some rows, unless that is done."""
    path = Path(job.path)
    with cache.missing(path) as is_missing, limited(job.threads):
        if is_missing:
            judge = _judge(job.bundle)
            cache.write_arrays(path, judge.answers(shared_store.opened(job.store, job.fingerprint), np.array(job.rows)))
    return LeftFile.of(job.number, path)


@lru_cache(maxsize=1)
def _judge(shared: SharedBundle) -> "Judge":
    return Judge(shared_bundle.opened(shared))


class Judge:
    """A classifier with its outlier detector, if it has one.

    Raises
    ------
    BundleError
        The detector is damaged.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._classifier, self._detector, self._views = bundle.classifier, opened(bundle.outliers), ViewFinder()

    def answers(self, store: Store, rows: NDArray[np.int64], advance: Advance = lambda _done, _all: None) -> Arrays:
        """Answer for rows, int64 (n) with n > 0, `BLOCK` at a time; `advance` is called with rows done and rows in all.

        Returns
        -------
        dict of str to array
            `logits` float32 (n, outputs); where there is a detector, `level` and `reason`, text (n).
        """
        made: dict[str, list[NDArray[Any]]] = {}
        for start in range(0, len(rows), BLOCK):
            advance(start, len(rows))
            pixels = store.images(rows[start : start + BLOCK])
            logits, features = self._classifier.run(pixels, "logits", "features")
            made.setdefault("logits", []).append(logits)
            if self._detector is not None:
                judged = judging.judge(self._detector, features, views=self._views.find(pixels), pixels=pixels)
                made.setdefault("level", []).append(judged.level)
                made.setdefault("reason", []).append(judged.reason)
        advance(len(rows), len(rows))
        return {name: np.concatenate(parts) for name, parts in made.items()}


def answers_of(
    bundle: Bundle, store: Store, rows: NDArray[np.int64], *, shared: SharedBundle | None, advance: Advance
) -> Arrays:
    """Answer as `Judge.answers` does; more than a block is given to the engine of the command, where the bundle can be `shared`.

    Raises
    ------
    BundleError
        The bundle's outlier detector is damaged.
    EngineError
        The engine cannot do the work.
    """
    judge, engine = Judge(bundle), elsewhere()
    if engine is None or shared is None or len(rows) <= BLOCK:
        return judge.answers(store, rows, advance)
    length = pieces.length(len(rows), block=BLOCK)
    runs = [rows[start : start + length] for start in range(0, len(rows), length)]
    places = _send(engine, shared, store, runs, advance)
    made = [cache.read_arrays(path) or judge.answers(store, own) for path, own in zip(places, runs, strict=True)]
    for path in places:
        path.unlink(missing_ok=True)
    return {name: np.concatenate([part[name] for part in made]) for name in made[0]}


def _send(
    engine: Engine, shared: SharedBundle, store: Store, runs: Sequence[NDArray[np.int64]], advance: Advance
) -> list[Path]:
    about = json.dumps([_VERSION, __version__, shared.sha256, shared.site, store.fingerprint, kernels.kind()])
    keys = [hashlib.sha256(about.encode() + rows.tobytes()).hexdigest()[:32] for rows in runs]
    places = [cache_folder() / "answers" / f"{key}.npz" for key in keys]
    where = str(store.path.absolute())

    def job_of(number: int) -> RowsJob:
        path, rows = str(places[number].absolute()), tuple(runs[number].tolist())
        return RowsJob(number, path, shared, where, store.fingerprint, rows, engine.threads)

    made = [(path, len(rows)) for path, rows in zip(places, runs, strict=True)]
    pieces.send(engine, answer_rows, job_of, made, check=kernels.kernel_class, advance=advance)
    return places
