"""The way in for a PACS that sends nothing: ask it over DICOMweb for today's radiographs that have no answer yet."""

import datetime
import logging
import time
from collections.abc import Callable, Iterator

from pydicom import Dataset

from plainfilm.serve.dicom import header, stow_rs, structured_report
from plainfilm.serve.dicom.background_task import Task
from plainfilm.serve.dicom.dicomweb_client import DicomWebService, ServiceError, value
from plainfilm.serve.dicom.log import told
from plainfilm.serve.dicom.peers import Peer
from plainfilm.serve.dicom.set_aside import interval_s
from plainfilm.serve.dicom.spool import Spool
from plainfilm.serve.dicom.spool_room import SpoolFullError

EVERY_S = 30.0
_CLASS, _INSTANCE, _STUDY, _SERIES = "00080016", "00080018", "0020000D", "0020000E"
_MOST_IN_A_ROW = 8  # failures, before they are held to be the PACS's own
_MOST_SPARED = 10_000


class Spared:
    """What failed, by key, and is left alone for a while: a minute, then doubled with each failure, up to an hour."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[int, float]] = {}
        self._in_a_row = 0

    def __contains__(self, key: str) -> bool:
        return key in self._until and time.monotonic() < self._until[key][1]

    def __len__(self) -> int:
        return len(self._until)

    def begin(self) -> None:
        """Begin a poll: what failed in the last one is forgiven to the PACS, not to the objects."""
        self._in_a_row = 0

    def failed(self, key: str, error: Exception) -> None:
        """Note a failure; raises it where the PACS is away, or where several came in a row and none may be an object's."""
        tries = self._until.pop(key, (0, 0.0))[0] + 1
        self._until[key] = tries, time.monotonic() + interval_s(tries)
        if len(self._until) > _MOST_SPARED:
            del self._until[next(iter(self._until))]
        told("dicom.refused", key=key, level=logging.WARNING, reason=str(error), tries=tries)
        if isinstance(error, ServiceError):
            self._in_a_row += 1
            if error.is_away or self._in_a_row >= _MOST_IN_A_ROW:
                raise error

    def worked(self, key: str) -> None:
        """Note that it was given, whole: the PACS gives."""
        self._in_a_row = 0
        self.forget(key)

    def forget(self, key: str) -> None:
        """Leave it alone no longer."""
        self._until.pop(key, None)


def polled(
    spool: Spool,
    peer: Peer,
    *,
    model: str,
    since: datetime.date,
    spared: Spared | None = None,
    moved: Callable[[], None] = lambda: None,
) -> int:
    """Fetch a PACS's CR and DX of studies since a day that it has no report of this model for; how many were new.

    Parameters
    ----------
    spool
        Where they go.
    peer
        A PACS with a DICOMweb address.
    model
        SHA-256 of the bundle.
    since
        Day of the study.
    spared
        What failed before: an object or a series that fails stops no other, and is asked for ever more rarely.
    moved
        Called after each object.

    Raises
    ------
    ServiceError
        The PACS is away, or answers otherwise than the standard has it, and not for one object or series alone.
    SpoolFullError, OSError
        As `Spool.store`.
    """
    service, spared = DicomWebService(peer.url), Spared() if spared is None else spared
    spared.begin()
    return sum(
        _of_series(spool, service, peer, names, model=model, spared=spared, moved=moved)
        for names in _series(service, since)
        if spool.key(names[1]) not in spared
    )


def _of_series(
    spool: Spool,
    service: DicomWebService,
    peer: Peer,
    names: tuple[str, str],
    *,
    model: str,
    spared: Spared,
    moved: Callable[[], None],
) -> int:
    new, answered = 0, None
    try:
        for instance in service.search(f"/studies/{names[0]}/series/{names[1]}/instances", {}):
            uid = value(instance, _INSTANCE)
            if value(instance, _CLASS) not in header.SOP_CLASSES or not header.is_uid(uid) or spool.holds(uid):
                continue
            answered = _answered(service, *names, model) if answered is None else answered
            is_answered = str(header.answer_uid(uid, model, structured_report.KIND)) in answered
            if not is_answered and spool.key(uid) not in spared:
                new += _fetched(spool, service, peer, (*names, uid), spared)
                moved()
    except ServiceError as error:
        spared.failed(spool.key(names[1]), error)
    else:
        spared.forget(spool.key(names[1]))
    return new


def _series(service: DicomWebService, since: datetime.date) -> Iterator[tuple[str, str]]:
    failed: ServiceError | None = None
    for modality in ("CR", "DX"):
        filters = {"Modality": modality, "StudyDate": f"{since:%Y%m%d}-"}
        try:
            series = list(service.search("/series", filters))
        except ServiceError as error:
            failed = error
            continue
        for found in series:
            names = value(found, _STUDY), value(found, _SERIES)
            if all(map(header.is_uid, names)):
                yield names
    if failed is not None:
        raise failed


def _answered(service: DicomWebService, study: str, series: str, model: str) -> set[str]:
    """Give the reports that the PACS has of this series."""
    named = Dataset()
    named.StudyInstanceUID, named.SeriesInstanceUID = study, series
    own = header.series_uid(named, model, structured_report.KIND)
    try:
        return {value(each, _INSTANCE) for each in service.search(f"/studies/{study}/series/{own}/instances", {})}
    except ServiceError as error:
        if error.status == 404:
            return set()
        raise


def _fetched(spool: Spool, service: DicomWebService, peer: Peer, names: tuple[str, str, str], spared: Spared) -> int:
    key = spool.key(names[2])
    try:
        is_new = stow_rs.put(spool, service.fetch(*names), sender=peer.name)
    except (header.HeaderError, ServiceError) as error:
        spared.failed(key, error)
        return 0
    spared.worked(key)
    return is_new


class Poller(Task):
    """Polls a peer every `every_s` seconds.

    `since` gives the day of the oldest studies asked for; by default yesterday, so that nothing is lost at midnight. `spared` is what
    the PACS names and does not give, or gives broken.
    """

    longest_s = 900.0  # a search of many pages, each of which may take its time

    def __init__(
        self,
        spool: Spool,
        peer: Peer,
        *,
        every_s: float = EVERY_S,
        since: Callable[[], datetime.date] | None = None,
    ) -> None:
        super().__init__("poll")
        self._spool, self._peer = spool, peer
        self._every_s, self._since = every_s, since or _yesterday
        self.spared = Spared()

    def step(self) -> None:
        """Ask once."""
        try:
            new = polled(
                self._spool,
                self._peer,
                model=self._spool.model,
                since=self._since(),
                spared=self.spared,
                moved=self.moved,
            )
            told("dicom.polled", level=logging.INFO if new else logging.DEBUG, new=new)
        except (ServiceError, SpoolFullError) as error:
            told("dicom.poll-failed", level=logging.WARNING, reason=str(error))
        self.pause(self._every_s)


def _yesterday() -> datetime.date:
    return datetime.datetime.now().astimezone().date() - datetime.timedelta(days=1)
