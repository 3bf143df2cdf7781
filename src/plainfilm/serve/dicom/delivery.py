"""The way out: answers go to their peer, over DICOM or DICOMweb, again and again while it is away."""

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.uid import (
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE
from pynetdicom.status import code_to_category

from plainfilm.data.decoding.dicom_display import PYDICOM_ERRORS
from plainfilm.serve.dicom.background_task import Task
from plainfilm.serve.dicom.dicomweb_client import DicomWebService, ServiceError, failure, said
from plainfilm.serve.dicom.log import told
from plainfilm.serve.dicom.peers import Peer
from plainfilm.serve.dicom.spool import Spool

LONGEST_PAUSE_S = 60.0
_TOGETHER = 32  # entries over one association
_PROCESSING_FAILURE = 0x0110
_MOST_TRIES = 5  # of an answer whose processing fails at the peer: that may pass, or never


class AwayError(Exception):
    """A peer that cannot be reached, or cannot take anything just now."""


class RefusedError(Exception):
    """A peer that will never take this answer."""


Sending = Callable[[Path], None]  # sends one file; raises AwayError or RefusedError


class Courier(Task):
    """Delivers the answers of one peer.

    Parameters
    ----------
    spool
        Where the answers lie.
    peer
        Who gets them.
    ae_title
        Our own.
    pause_s
        After the first failure; doubled after each other, up to `LONGEST_PAUSE_S`.
    """

    def __init__(self, spool: Spool, peer: Peer, *, ae_title: str, pause_s: float = 1.0) -> None:
        super().__init__(f"deliver-{peer.name}")
        self._spool, self._peer, self._title = spool, peer, ae_title
        self._shortest_s = self._pause_s = pause_s
        self._tries: Counter[Path] = Counter()
        self.delivered = 0

    def step(self) -> None:
        """Deliver what waits; a peer that is away is left alone for a while."""
        if not self._spool.parcels(self._peer.name, at_most=1, timeout_s=1.0):
            return
        try:
            self._deliver()
            self._pause_s = self._shortest_s
        except AwayError as error:
            told("dicom.away", level=logging.WARNING, reason=str(error), again_in_s=round(self._pause_s, 1))
            self.pause(self._pause_s)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _deliver(self) -> None:
        with _opened(self._peer, self._title) as send:
            for parcel in self._spool.parcels(self._peer.name, at_most=_TOGETHER, timeout_s=0):
                for file in parcel.files:
                    if self.is_ending:
                        return
                    self._hand_over(parcel.key, file, send)

    def _hand_over(self, key: str, file: Path, send: Sending) -> None:
        try:
            send(file)
        except RefusedError as error:
            self._refused(key, file, str(error))
        except _UnsureError as error:
            self._tries[file] += 1
            if self._tries[file] < _MOST_TRIES:
                raise AwayError(str(error)) from None
            self._refused(key, file, str(error))
        else:
            self.delivered += 1
            told("dicom.delivered", key=key, kind=file.stem)
            self._spool.delivered(key, file)
        self._tries.pop(file, None)

    def _refused(self, key: str, file: Path, reason: str) -> None:
        told("dicom.not-taken", key=key, level=logging.WARNING, kind=file.stem, reason=reason)
        self._spool.refused(key, file, reason)


class _UnsureError(Exception):
    """A failure that may pass."""


def _opened(peer: Peer, title: str) -> contextlib.AbstractContextManager[Sending]:
    return _stow(peer) if peer.url else _association(peer, title)


@contextlib.contextmanager
def _association(peer: Peer, title: str) -> Iterator[Sending]:
    entity = AE(title)
    for sop_class in (ComprehensiveSRStorage, SecondaryCaptureImageStorage):
        entity.add_requested_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    entity.acse_timeout, entity.dimse_timeout, entity.network_timeout, entity.connection_timeout = 30, 60, 60, 15
    association = entity.associate(peer.host, peer.port, ae_title=peer.name)
    if not association.is_established:
        raise AwayError("rejected" if association.is_rejected else "no association")
    try:
        yield lambda file: _c_store(association, file)
    finally:
        if association.is_established:
            association.release()


def _c_store(association: Any, file: Path) -> None:
    if not association.is_established:
        raise AwayError("association lost")
    try:
        dataset = dcmread(file)
    except PYDICOM_ERRORS:
        raise RefusedError("damaged in the spool") from None
    try:
        status = association.send_c_store(dataset).get("Status")
    except ValueError:  # no presentation context accepted
        raise RefusedError("SOP class not taken") from None
    except RuntimeError:
        raise AwayError("association lost") from None
    if status is None:
        raise AwayError("no answer")
    if code_to_category(status) in {"Success", "Warning"}:
        return
    _judge(status)


def _judge(status: int) -> None:
    sentence = f"failure status {status:04X}"
    if 0xA700 <= status <= 0xA7FF:
        raise AwayError(sentence)
    raise _UnsureError(sentence) if status == _PROCESSING_FAILURE else RefusedError(sentence)


@contextlib.contextmanager
def _stow(peer: Peer) -> Iterator[Sending]:
    service = DicomWebService(peer.url)
    yield lambda file: _posted(service, file)


def _posted(service: DicomWebService, file: Path) -> None:
    try:
        status = failure(service.store(file.read_bytes()))
    except ServiceError as error:
        _explained(error)
        return
    if status is not None:
        _judge(status)


def _explained(error: ServiceError) -> None:
    """Tell a service that is away, or closed to us, from one that will not have this answer (PS3.18 table 10.5.3-1)."""
    if error.status == 409:
        status = failure(said(error.body))
        _judge(_PROCESSING_FAILURE if status is None else status)
    if error.status in {400, 406, 410, 413, 415, 422}:
        raise RefusedError(str(error)) from None
    raise AwayError(str(error)) from None
