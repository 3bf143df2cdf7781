"""Work on many films in pieces, each an entry of the cache that other processes make: what is there is done, whoever made it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from plainfilm.data import cache
from plainfilm.engines.engine import Engine, JobT
from plainfilm.engines.left_files import LeftFile

MOST_FILMS = 512
_PIECES = 32  # of fewer films at least


def length(films: int, *, block: int) -> int:
    """Give the films of a piece: whole blocks, which are answered together here and elsewhere."""
    return block * max(1, min(MOST_FILMS // block, -(-films // (_PIECES * block))))


def send(
    engine: Engine,
    function: Callable[[JobT], LeftFile],
    job_of: Callable[[int], JobT],
    pieces: Sequence[tuple[Path, int]],
    *,
    check: Callable[[], str],
    advance: Callable[[int, int], None],
) -> None:
    """Let an engine make those pieces that are missing.

    Parameters
    ----------
    function
        Makes a piece of a job, as `Engine.map` takes it.
    job_of
        Gives the job of a piece by its number.
    pieces
        Path and films of each.
    check
        As of `Engine.map`.
    advance
        Called with films done and films in all.
    """
    missing = [number for number, (path, _) in enumerate(pieces) if not cache.has(path)]
    every = sum(films for _, films in pieces)
    done = every - sum(pieces[number][1] for number in missing)
    advance(done, every)
    for left in engine.map(function, map(job_of, missing), check=check):
        done += pieces[left.number][1]
        advance(done, every)
