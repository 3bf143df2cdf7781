"""The lines of a log of answers: made, and read again, whatever a kill or a full disk has left of them."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from plainfilm.data.images import Radiograph
from plainfilm.errors import CatalogError
from plainfilm.evidence.drift.image_statistics import NAMES, image_statistics
from plainfilm.evidence.drift.reference import REFUSED, rounded
from plainfilm.reasons import reason_of
from plainfilm.results.drift import DriftReference, LoggedAnswer, LogStart
from plainfilm.results.predictions import Prediction

Line = LogStart | LoggedAnswer
_ENCODER, _DECODER = msgspec.json.Encoder(), msgspec.json.Decoder(Line)
_MOST_BYTES = 1 << 20  # of a line


def encoded(line: Line) -> bytes:
    """Write a line, with its end."""
    return _ENCODER.encode(line) + b"\n"


def now() -> str:
    """Give the time, ISO 8601 in UTC, to the millisecond."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def answer_line(
    start: LogStart, film: Radiograph | None, made: Prediction, *, time: str, image: str, named: bool = False
) -> LoggedAnswer:
    """Say of an answer what the log keeps of it.

    Parameters
    ----------
    start
        Of the bundle that answered.
    film
        What it answered for; None where the file could not be read.
    made
        The answer.
    time, image
        When, and the SHA-256 of the file.
    named
        Whether the name of the file is kept as its id.
    """
    scores = tuple(made.probabilities[name] for name in start.classes) if made.probabilities else ()
    return LoggedAnswer(
        time=time,
        bundle=start.bundle,
        image=image,
        answer=made.label,
        level=made.level,
        scores=tuple(map(rounded, scores)),
        watched=watched(start.reference, film, made) if film is not None and start.reference else (),
        verdict=start.verdict,
        id=made.file if named else None,
    )


def watched(about: DriftReference, film: Radiograph, made: Prediction) -> tuple[float, ...]:
    """Measure what a reference watches, in its order; nothing where it watches what is not known here."""
    measured = dict(zip(NAMES, image_statistics(film.pixels).tolist(), strict=True))
    refused = float(made.level == "refused")
    values: dict[str, Mapping[str, float]] = {
        "refusals": {REFUSED: refused},
        "image": measured,
        "scores": made.probabilities,
    }
    found = [values[each.family].get(each.name) for each in about.statistics]
    return () if None in found else tuple(rounded(value) for value in found if value is not None)


def read(files: Sequence[Path]) -> Iterator[Line | None]:
    """Give the lines of some logs in their order; None for one that cannot be read.

    Raises
    ------
    CatalogError
        No such file, or one that holds no line of a log.
    """
    for path in files:
        found = 0
        try:
            with path.open("rb") as file:
                for line in _lines(iter(lambda: file.readline(_MOST_BYTES), b"")):
                    found += line is not None
                    yield line
        except OSError as error:
            raise CatalogError(
                f"Expected a log of answers; received {path} ({reason_of(error)}). Name a file that the server has logged its answers to."
            ) from error
        if not found:
            raise CatalogError(
                f"Expected a log of answers; received {path}, which holds none. Name a file that the server has logged its answers to."
            )


def _lines(raw: Iterable[bytes]) -> Iterator[Line | None]:
    for text in raw:
        if not text.strip():
            continue
        try:
            line = _DECODER.decode(text)
            dt.datetime.fromisoformat(line.time).astimezone(dt.UTC)
            yield line
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
            yield None
