"""The way in for a PACS that sends nothing: ask it over DICOMweb for today's radiographs that have no answer yet."""

import datetime
import logging
from collections.abc import Callable, Iterator

from pydicom import Dataset

from plainfilm.serve.dicom import header, stow_rs, structured_report
from plainfilm.serve.dicom.background_task import Task
from plainfilm.serve.dicom.dicomweb_client import DicomWebService, ServiceError, value
from plainfilm.serve.dicom.log import told
from plainfilm.serve.dicom.peers import Peer
from plainfilm.serve.dicom.spool import Spool, SpoolFullError

EVERY_S = 30.0
_CLASS, _INSTANCE, _STUDY, _SERIES = "00080016", "00080018", "0020000D", "0020000E"


def polled(spool: Spool, peer: Peer, *, model: str, since: datetime.date) -> int:
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

    Raises
    ------
    ServiceError
        The PACS is away, or answers otherwise than the standard has it.
    SpoolFullError, OSError
        As `Spool.store`.
    """
    service = DicomWebService(peer.url)
    new = 0
    for study, series in _series(service, since):
        answered: set[str] | None = None
        for instance in service.search(f"/studies/{study}/series/{series}/instances", {}):
            uid = value(instance, _INSTANCE)
            if value(instance, _CLASS) not in header.SOP_CLASSES or spool.holds(uid):
                continue
            answered = _answered(service, study, series, model) if answered is None else answered
            if str(header.answer_uid(uid, model, structured_report.KIND)) not in answered:
                new += _fetched(spool, service, peer, (study, series, uid))
    return new


def _series(service: DicomWebService, since: datetime.date) -> Iterator[tuple[str, str]]:
    for modality in ("CR", "DX"):
        filters = {"Modality": modality, "StudyDate": f"{since:%Y%m%d}-"}
        for found in service.search("/series", filters):
            names = value(found, _STUDY), value(found, _SERIES)
            if all(map(header.is_uid, names)):
                yield names


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


def _fetched(spool: Spool, service: DicomWebService, peer: Peer, names: tuple[str, str, str]) -> int:
    try:
        return stow_rs.put(spool, service.fetch(*names), sender=peer.name)
    except header.HeaderError as error:
        told("dicom.refused", key=spool.key(names[2]), status=f"{error.status:04X}", reason=str(error))
    except ServiceError as error:
        if not error.status:
            raise
        told("dicom.refused", key=spool.key(names[2]), reason=str(error))
    return 0


class Poller(Task):
    """Polls a peer every `every_s` seconds.

    `since` gives the day of the oldest studies asked for; by default yesterday, so that nothing is lost at midnight.
    """

    def __init__(
        self,
        spool: Spool,
        peer: Peer,
        *,
        model: str,
        every_s: float = EVERY_S,
        since: Callable[[], datetime.date] | None = None,
    ) -> None:
        super().__init__("poll")
        self._spool, self._peer, self._model = spool, peer, model
        self._every_s, self._since = every_s, since or _yesterday

    def step(self) -> None:
        """Ask once."""
        try:
            new = polled(self._spool, self._peer, model=self._model, since=self._since())
            told("dicom.polled", level=logging.INFO if new else logging.DEBUG, new=new)
        except (ServiceError, SpoolFullError) as error:
            told("dicom.poll-failed", level=logging.WARNING, reason=str(error))
        self.pause(self._every_s)


def _yesterday() -> datetime.date:
    return datetime.datetime.now().astimezone().date() - datetime.timedelta(days=1)
