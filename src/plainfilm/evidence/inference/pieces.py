"""Files that the engine of the command answers for in pieces, each an entry of the cache until all are joined in order.

No name of a file is in an entry. What fails for a reason that another machine may not have is read again here.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from plainfilm import __version__
from plainfilm.arguments import Prevalence
from plainfilm.data import cache, pieces
from plainfilm.data.decoder_pool import chunks
from plainfilm.data.files import cache_folder
from plainfilm.data.images import Radiograph
from plainfilm.data.shard_files import FLEETING
from plainfilm.engines.current import elsewhere
from plainfilm.engines.engine import Engine
from plainfilm.engines.left_files import LeftFile
from plainfilm.errors import ImageError
from plainfilm.evidence.inference.overlays import Drawing, Overlays
from plainfilm.evidence.inference.predictor import BLOCK, Film, Predictor, decoded, paths
from plainfilm.model import devices, kernels, shared_bundle
from plainfilm.model.cpus import limited
from plainfilm.model.shared_bundle import SharedBundle
from plainfilm.results.predictions import Prediction

_VERSION = 1  # of an entry


@dataclass(frozen=True, slots=True)
class PieceJob:
    """Files for another process to answer for, how, and the entry that it leaves."""

    number: int
    path: str
    bundle: SharedBundle
    files: tuple[str, ...]
    prevalence: Prevalence | None
    drawing: Drawing | None
    threads: int


class Piece(msgspec.Struct, frozen=True):
    """Answers without names; places of those that may be others on another machine; and pictures in PNG by place."""

    answers: tuple[Prediction, ...]
    fleeting: tuple[int, ...]
    pictures: dict[int, bytes]


def answer_piece(job: PieceJob) -> LeftFile:
    """Answer for some files, unless that is done."""
    path = Path(job.path)
    with cache.missing(path) as is_missing, limited(job.threads):
        if is_missing:
            piece = _answered(_opened(job.bundle), job.files, job.prevalence, job.drawing, job.threads)
            cache.write(path, msgspec.msgpack.encode(piece))
    return LeftFile.of(job.number, path)


@lru_cache(maxsize=1)
def _opened(shared: SharedBundle) -> Predictor:
    return Predictor(shared_bundle.opened(shared))


@dataclass(frozen=True, slots=True)
class _Draw:
    """Draws the answer that comes behind those that are there, as `Predictor.answer(explain=)` asks."""

    drawing: Drawing
    predictor: Predictor
    before: Sequence[Prediction]
    pictures: dict[int, bytes]

    @property
    def wants(self) -> tuple[str, ...]:
        return self.drawing.way.wants

    def __call__(self, _: str, pixels: NDArray[np.uint8], label: int, **seen: NDArray[np.float32]) -> float | None:
        self.pictures[len(self.before)], share = self.drawing.of(self.predictor, pixels, label, **seen)
        return share


def _answered(
    predictor: Predictor, files: Sequence[str], prevalence: Prevalence | None, drawing: Drawing | None, workers: int
) -> Piece:
    answers, fleeting, pictures = list[Prediction](), list[int](), dict[int, bytes]()
    draw = _Draw(drawing, predictor, answers, pictures) if drawing else None
    prepared = predictor.preprocessing
    for block in chunks(decoded(files, prepared.image_size, prepared.fit, workers), BLOCK):
        for place, (_, film) in enumerate(block, len(answers)):
            if isinstance(film, ImageError) and film.code in FLEETING:
                fleeting.append(place)
        nameless = [("", film) for _, film in block]
        for answer in predictor.answer(nameless, prevalence=prevalence, explain=draw):
            answers.append(answer)
    return Piece(tuple(answers), tuple(fleeting), pictures)


def sent_of(
    predictor: Predictor,
    films: Iterable[Film],
    *,
    prevalence: Prevalence | None,
    workers: int,
    overlays: Overlays | None,
    advance: Callable[[int, int], None],
) -> Iterator[Prediction] | None:
    """Let the engine of the command answer for files; then give the answers as `Predictor.stream` does, and keep their pictures.

    None where this process is to answer: no other engine runs, or there is a film without a path, or they are few. `advance` is
    called with files done and files in all. Entries are there until all answers are taken: the same command goes on from them.

    Raises
    ------
    UsageError
        A prevalence that cannot be meant, or a bundle that was opened for another device than the processor.
    EngineError
        The engine cannot do the work.
    """
    predictor.stated(prevalence)
    engine, shared = elsewhere(), predictor.shared
    if engine is None or shared is None:
        return None
    if (device := predictor.bundle.classifier.device) != devices.CPU:
        raise devices.beside_cluster(device)
    given = [*films]
    named = [film for film in given if isinstance(film, str | Path)]
    if len(named) < len(given) or len(files := paths(named)[0]) <= BLOCK:
        return None
    work = _Sent(predictor, shared, files, prevalence, workers, overlays)
    work.send(engine, advance)
    return work.joined()


class _Sent:
    """Files in pieces."""

    def __init__(
        self,
        predictor: Predictor,
        shared: SharedBundle,
        files: Sequence[str],
        prevalence: Prevalence | None,
        workers: int,
        overlays: Overlays | None,
    ) -> None:
        self._predictor, self._shared, self._prevalence, self._workers = predictor, shared, prevalence, workers
        self._overlays, self._drawing = overlays, overlays.drawing if overlays else None
        self._files = [*chunks(files, pieces.length(len(files), block=BLOCK))]
        drawn = (self._drawing.way.method, self._drawing.shows_text) if self._drawing else None
        about = json.dumps([_VERSION, __version__, shared.sha256, shared.site, prevalence, drawn, kernels.kind()])
        self._pieces = [(_entry(about, names), len(names)) for names in self._files]

    def send(self, engine: Engine, advance: Callable[[int, int], None]) -> None:
        """Let an engine make the pieces that are missing."""

        def job_of(number: int) -> PieceJob:
            files = tuple(str(Path(name).absolute()) for name in self._files[number])
            path = str(self._pieces[number][0].absolute())
            return PieceJob(number, path, self._shared, files, self._prevalence, self._drawing, engine.threads)

        pieces.send(engine, answer_piece, job_of, self._pieces, check=kernels.kernel_class, advance=advance)

    def joined(self) -> Iterator[Prediction]:
        """Give the answers in order, under the names of the files; in the end remove the entries."""
        for names, (path, _) in zip(self._files, self._pieces, strict=True):
            piece = self._whole(path, names)
            for place, (name, answer) in enumerate(zip(names, piece.answers, strict=True)):
                if self._overlays and place in piece.pictures:
                    self._overlays.keep(name, piece.pictures[place])
                yield structs.replace(answer, file=name)
        for path, _ in self._pieces:
            path.unlink(missing_ok=True)

    def _whole(self, path: Path, names: Sequence[str]) -> Piece:
        """Read a piece; where there is none any more, or a file can be read here and could not be there, answer here."""
        if (content := cache.read(path)) is not None:
            piece = msgspec.msgpack.decode(content, type=Piece)
            if (settled := self._settled(piece, names)) is not None:
                return settled
        return _answered(self._predictor, names, self._prevalence, self._drawing, self._workers)

    def _settled(self, piece: Piece, names: Sequence[str]) -> Piece | None:
        """Say why files cannot be read as it is said here; None where one can."""
        if not piece.fleeting:
            return piece
        answers, prepared = [*piece.answers], self._predictor.preprocessing
        again = decoded([names[place] for place in piece.fleeting], prepared.image_size, prepared.fit, self._workers)
        for place, (_, film) in zip(piece.fleeting, again, strict=True):
            if isinstance(film, Radiograph):
                return None
            answers[place] = structs.replace(answers[place], reasons=(str(film),))
        return structs.replace(piece, answers=tuple(answers))


def _entry(about: str, files: Sequence[str]) -> Path:
    """Name the entry of a piece by all that its answers depend on."""
    digest = hashlib.sha256(about.encode())
    for file in files:
        path = Path(file).absolute()
        try:
            status = path.stat()
            told = [str(path), status.st_size, status.st_mtime_ns]
        except (OSError, ValueError):
            told = [str(path)]
        digest.update(json.dumps(told).encode())
    return cache_folder() / "answers" / f"{digest.hexdigest()[:32]}.piece"
