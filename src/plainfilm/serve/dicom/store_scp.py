"""The way in over DICOM: C-ECHO, and C-STORE of CR and DX, answered once the instance is safely in the spool."""

import logging
import ssl
from collections.abc import Collection
from typing import Any

from pynetdicom import AE, _config, evt

from plainfilm.errors import PlainfilmError
from plainfilm.reasons import reason_of
from plainfilm.serve.dicom import header
from plainfilm.serve.dicom.bounded_association import PDU_BYTES, BoundedServer, Handler
from plainfilm.serve.dicom.header import HeaderError
from plainfilm.serve.dicom.log import told
from plainfilm.serve.dicom.spool import Spool
from plainfilm.serve.dicom.spool_room import SpoolFullError

_VERIFICATION = "1.2.840.10008.1.1"  # C-ECHO
_TITLE = 16  # letters of an AE title, at most (PS3.5 6.2)
_SUCCESS, _OUT_OF_RESOURCES, _MISMATCH = 0x0000, 0xA700, 0xA900


def quiet() -> None:
    """Silence pynetdicom, pydicom and highdicom: their lines quote AE titles, UIDs and patients."""
    _config.LOG_HANDLER_LEVEL = "none"
    for name in ("pynetdicom", "pydicom", "highdicom"):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [logging.NullHandler()], False
        log.setLevel(logging.CRITICAL)


class Reception:
    """Listens for associations and stores what comes; called `ae_title`, for known calling AE titles, over TLS if `secured` says how.

    Raises
    ------
    PlainfilmError
        The port is taken.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        host: str,
        port: int,
        ae_title: str,
        callers: Collection[str],
        secured: ssl.SSLContext | None = None,
    ) -> None:
        self._spool = spool
        entity = AE(ae_title)
        entity.add_supported_context(_VERIFICATION)
        for sop_class in header.SOP_CLASSES:
            entity.add_supported_context(sop_class, list(header.TRANSFER_SYNTAXES))
        entity.require_called_aet, entity.require_calling_aet = True, list(callers)
        entity.maximum_associations = (
            BoundedServer.most_threads
        )  # it would count those that have gone; the server bounds them
        entity.maximum_pdu_size = PDU_BYTES
        entity.acse_timeout, entity.dimse_timeout, entity.network_timeout = 15, 30, 60
        handlers: list[Any] = [
            (evt.EVT_C_ECHO, lambda _: _SUCCESS),
            (evt.EVT_C_STORE, self._stored),
            (evt.EVT_REJECTED, _rejected),
            (evt.EVT_DIMSE_RECV, lambda event: event.assoc.dul.socket.message_came()),
        ]
        try:
            self._server: Any = entity.make_server(
                (host.strip("[]"), port),
                ae_title,
                ssl_context=secured,
                evt_handlers=handlers,
                server_class=BoundedServer,
                request_handler=Handler,
            )
        except OSError as error:
            raise PlainfilmError(
                f"Expected a free port for the DICOM node; received {host}:{port} ({reason_of(error)}). Choose another with --dicom-port."
            ) from None

        entity._servers.append(self._server)  # as AE.start_server does, which takes no server class of ours

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return int(self._server.server_address[1])

    def listen(self) -> None:
        """Take associations until `close`."""
        self._server.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        """Take no more associations, and end those that are there."""
        self._server.shutdown()
        for association in self._server.active_associations:
            association.abort()

    def _stored(self, event: Any) -> int:
        """Store an instance; the status of the answer (PS3.4 B.2.3). Nothing may be raised into the network layer."""
        try:
            return self._put(event)
        except HeaderError as error:
            told("dicom.refused", status=f"{error.status:04X}", reason=str(error))
            return error.status
        except SpoolFullError:
            told("dicom.full", level=logging.WARNING)
            return _OUT_OF_RESOURCES
        except OSError as error:
            told("dicom.disk-failed", level=logging.ERROR, reason=reason_of(error))
            return _OUT_OF_RESOURCES

    def _put(self, event: Any) -> int:
        command, syntax = event.request, event.context.transfer_syntax
        data = command.DataSet.getvalue()
        source = header.source(data, syntax=syntax)
        if source.SOPInstanceUID != _bare(command.AffectedSOPInstanceUID):
            raise HeaderError(_MISMATCH, "another SOPInstanceUID than the command's")
        if (
            source.SOPClassUID != _bare(command.AffectedSOPClassUID)
            or source.SOPClassUID != event.context.abstract_syntax
        ):
            raise HeaderError(_MISMATCH, "another SOPClassUID than the command's")
        sender = event.assoc.requestor.ae_title.strip()
        is_new = self._spool.store(source.SOPInstanceUID, [header.prefix(source, syntax=syntax, sender=sender), data])
        told("dicom.stored" if is_new else "dicom.known", key=self._spool.key(source.SOPInstanceUID), bytes=len(data))
        return _SUCCESS


def _rejected(event: Any) -> None:
    """Log who was called and who called, so that a misspelt title is found: both are a stranger's words."""
    asked = event.assoc.requestor.primitive
    called, calling = (header.plain(title, _TITLE) for title in (asked.called_ae_title, asked.calling_ae_title))
    told("dicom.rejected", level=logging.WARNING, called=called, calling=calling)


def _bare(uid: object) -> str:
    return str(uid).strip(" \0")
