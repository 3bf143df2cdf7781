"""Films of studies that are still coming: each is judged at once, and answered with the others once its study has been quiet."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from plainfilm.errors import UsageError
from plainfilm.results.predictions import Prediction
from plainfilm.serve.dicom.narrative import Examines

QUIET_S = 30.0  # without another film, before a study is answered
_MOST = 10_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedFilm:
    """A film in the spool that was judged: its `key` and `file` there, its head, what is said of it, who sent it, and who judged."""

    key: str
    file: Path
    source: Dataset
    prediction: Prediction
    sender: str
    examiner: Examines


class Studies:
    """Judged films by study, sender and model. The films themselves stay in the spool until their study is answered.

    Raises
    ------
    UsageError
        `quiet_s` out of its range.
    """

    def __init__(self, quiet_s: float = QUIET_S) -> None:
        if not 0 < quiet_s <= _MOST:
            raise UsageError(
                f"Expected --dicom-wait above 0 and at most {_MOST:,.0f} s; received {quiet_s:g}. Set it within that range."
            )
        self._quiet_s = quiet_s
        self._held: dict[tuple[str, ...], list[JudgedFilm]] = {}
        self._last: dict[tuple[str, ...], float] = {}

    @property
    def keys(self) -> frozenset[str]:
        """Keys of all films that are held."""
        return frozenset(film.key for films in self._held.values() for film in films)

    def add(self, film: JudgedFilm) -> None:
        """Hold a film with those of its study."""
        study = str(film.source.StudyInstanceUID), film.sender, film.examiner.identity.key
        self._held.setdefault(study, []).append(film)
        self._last[study] = time.monotonic()

    def quiet(self) -> Iterator[list[JudgedFilm]]:
        """Give the films of each study that has been quiet for long enough, and hold them no more."""
        now = time.monotonic()
        for study in [each for each, last in self._last.items() if now - last >= self._quiet_s]:
            del self._last[study]
            yield self._held.pop(study)
