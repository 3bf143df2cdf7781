"""Sending one file to a peer, over DICOM or DICOMweb, and telling whose fault a failure is: the peer's, the object's, or either's."""

import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol, Self

from pydicom import dcmread
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, evt
from pynetdicom.status import code_to_category

from plainfilm.data.decoding.dicom_display import PYDICOM_ERRORS
from plainfilm.serve.dicom.dicomweb_client import DicomWebService, ServiceError, failure, said
from plainfilm.serve.dicom.peers import Peer

_CLASSES = (ComprehensiveSRStorage, SecondaryCaptureImageStorage)
_PROCESSING_FAILURE = 0x0110
_LONGEST_ANSWER_S, _SHORTEST_ANSWER_S = 60.0, 30.0  # that a peer may take for an answer
_UNREACHED = ("no connection", "no connection, or no certificate that is trusted")
_PATIENCE = 10  # times the longest answer that it has given


class AwayError(Exception):
    """A peer that cannot be reached, or takes no association: no object can be sent."""


class RefusedError(Exception):
    """An object that this peer will not take, whatever else it takes."""


class DoubtError(Exception):
    """A failure that may be of the peer or of this object alone."""


class Line(Protocol):
    """A way to one peer, opened when it is first used, and again after it was lost."""

    def send(self, file: Path) -> None:
        """Send a file. Raises AwayError, RefusedError or DoubtError."""

    def __enter__(self) -> Self:
        """Use it."""

    def __exit__(self, *_: object) -> None:
        """Close it."""


def line(peer: Peer, title: str, *, classes: Sequence[UID] = _CLASSES, secured: ssl.SSLContext | None = None) -> Line:
    """Give the way to a peer; `title` is our own AE title, `classes` are what is proposed, `secured` is for a peer over TLS."""
    return _Stow(peer) if peer.url else _Association(peer, title, classes, secured)


class _Association:
    """C-STORE, over one association after the other."""

    def __init__(self, peer: Peer, title: str, classes: Sequence[UID], secured: ssl.SSLContext | None) -> None:
        self._peer, self._title, self._classes = peer, title, classes
        self._secured = (secured or ssl.create_default_context(), peer.host) if peer.is_secured else None
        self._open: Any = None
        self._patience_s, self._longest_s = _LONGEST_ANSWER_S, 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._open is not None and self._open.is_established:
            self._open.release()
        self._open = None

    def send(self, file: Path) -> None:
        try:
            dataset = dcmread(file)
            sop_class = dataset.SOPClassUID
        except PYDICOM_ERRORS:
            raise RefusedError("damaged in the spool") from None
        if self._open is None or not self._open.is_established:
            self._open = self._opened()
        if all(each.abstract_syntax != sop_class for each in self._open.accepted_contexts):
            raise RefusedError("SOP class not taken")
        status = self._status(dataset)
        if code_to_category(status) not in {"Success", "Warning"}:
            _judge(status)

    def _status(self, dataset: Any) -> int:
        self._open.dimse_timeout, began = self._patience_s, time.monotonic()
        try:
            status = self._open.send_c_store(dataset).get("Status")
        except RuntimeError:  # the association is gone
            self._open = None
            raise DoubtError("association lost") from None
        except Exception:  # noqa: BLE001 - whatever pydicom finds in it that cannot be encoded
            raise RefusedError("cannot be encoded") from None
        if status is None:
            self._open = None  # it may call itself established for a while yet
            self._patience_s = min(2 * self._patience_s, _LONGEST_ANSWER_S)
            raise DoubtError("no answer, or association lost")
        self._longest_s = max(self._longest_s, time.monotonic() - began)
        self._patience_s = min(max(_PATIENCE * self._longest_s, _SHORTEST_ANSWER_S), _LONGEST_ANSWER_S)
        return int(status)

    def _opened(self) -> Any:
        """Open an association for what the peer takes: some reject it for one class that they do not know."""
        association, reason = None, ""
        for classes in (self._classes, *([each] for each in self._classes if len(self._classes) > 1)):
            association, reason = _associated(self._peer, self._title, classes, self._secured)
            if association.is_established:
                return association
            if reason != "rejected":
                break
        raise AwayError(reason)


def _associated(
    peer: Peer, title: str, classes: Sequence[UID], secured: tuple[ssl.SSLContext, str] | None
) -> tuple[Any, str]:
    entity, connected = AE(title), []
    for sop_class in classes:
        entity.add_requested_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    entity.acse_timeout, entity.dimse_timeout, entity.network_timeout, entity.connection_timeout = 30, 60, 60, 15
    handlers: list[Any] = [(evt.EVT_CONN_OPEN, lambda _: connected.append(True))]
    association = entity.associate(peer.host, peer.port, ae_title=peer.name, tls_args=secured, evt_handlers=handlers)
    is_rejected = association.is_rejected or (connected and association.rejected_contexts)
    return association, "rejected" if is_rejected else "no association" if connected else _UNREACHED[
        secured is not None
    ]


def _judge(status: int) -> NoReturn:
    sentence = f"failure status {status:04X}"
    is_open = 0xA700 <= status <= 0xA7FF or status == _PROCESSING_FAILURE
    raise DoubtError(sentence) if is_open else RefusedError(sentence)


class _Stow:
    """STOW-RS, a request an object."""

    def __init__(self, peer: Peer) -> None:
        self._service = DicomWebService(peer.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, file: Path) -> None:
        try:
            data = file.read_bytes()
        except OSError:
            raise RefusedError("damaged in the spool") from None
        try:
            status = failure(self._service.store(data))
        except ServiceError as error:
            status = _explained(error)
        if status is not None:
            _judge(status)


def _explained(error: ServiceError) -> int:
    """Tell a service that is away from one that will not have this object (PS3.18 table 10.5.3-1), or gives a status for it."""
    if error.status == 409:
        status = failure(said(error.body))
        return _PROCESSING_FAILURE if status is None else status
    if error.status in {400, 406, 410, 413, 415, 422}:
        raise RefusedError(str(error)) from None
    if error.is_away or error.status in {401, 407, 429}:  # no access, for no object; too many requests
        raise AwayError(str(error)) from None
    raise DoubtError(str(error)) from None
