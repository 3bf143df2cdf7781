"""Calls of a DICOMweb service (PS3.18): QIDO-RS, WADO-RS, STOW-RS; each bounded in time and bytes."""

import base64
import http.client
import json
import re
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

from plainfilm.data.images import MAX_BYTES
from plainfilm.reasons import reason_of
from plainfilm.serve.dicom.header import DicomJson

_TIMEOUT_S = 30.0
_WHOLE_S = 300.0
_MOST_JSON = 16 << 20
_PAGE, _MOST_FOUND = 200, 10_000
_BLOCK = 1 << 18
_JSON = "application/dicom+json"
_BROKEN = (OSError, ValueError, EOFError, http.client.HTTPException)  # the last is no OSError


class ServiceError(Exception):
    """A service that cannot be reached, or that answers otherwise than the standard has it.

    `status` 0: no answer, or none that ends; `is_away`: not even a connection.
    """

    def __init__(self, sentence: str, *, status: int = 0, body: bytes = b"", is_away: bool = False) -> None:
        super().__init__(sentence)
        self.status, self.body, self.is_away = status, body, is_away


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Nobody sends us, and a password, elsewhere: a redirection is a failure."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    kind: str
    body: bytes


class DicomWebService:
    """A DICOMweb service at an address; user and password may stand in it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._headers: dict[str, str] = {}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        self._url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")

    def search(self, path: str, filters: Mapping[str, str]) -> Iterator[DicomJson]:
        """Search (QIDO-RS, PS3.18 10.6): data sets in the DICOM JSON model, page by page.

        Raises
        ------
        ServiceError
            No answer, or not one of the standard.
        """
        before: list[DicomJson] = []
        for offset in range(0, _MOST_FOUND, _PAGE):
            query = urlencode({**filters, "limit": _PAGE, "offset": offset})
            reply = self._call("GET", f"{path}?{query}", accept=_JSON, most=_MOST_JSON)
            found = _listed(reply)
            if found == before:  # a service that does not know `offset` gives one page for ever
                return
            yield from found[:_MOST_FOUND]
            if len(found) < _PAGE:
                return
            before = found

    def fetch(self, study: str, series: str, instance: str) -> bytes:
        """Fetch an instance (WADO-RS, PS3.18 10.4) as a DICOM file, encoded as it is stored there.

        Raises
        ------
        ServiceError
            No answer, not one of the standard, or more than `MAX_BYTES`.
        """
        path = f"/studies/{quote(study)}/series/{quote(series)}/instances/{quote(instance)}"
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        reply = self._call("GET", path, accept=accept, most=MAX_BYTES + 4096)
        return _only_part(reply)

    def store(self, data: bytes) -> DicomJson:
        """Store a DICOM file (STOW-RS, PS3.18 10.5); what the service says of it, in the DICOM JSON model.

        Raises
        ------
        ServiceError
            No answer, or a status of failure.
        """
        boundary = uuid.uuid4().hex.encode()
        body = b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--%s--\r\n" % (boundary, data, boundary)
        kind = f'multipart/related; type="application/dicom"; boundary={boundary.decode()}'
        reply = self._call("POST", "/studies", accept=_JSON, most=_MOST_JSON, body=body, kind=kind)
        return said(reply.body)

    def _call(
        self, method: str, path: str, *, accept: str, most: int, body: bytes | None = None, kind: str = ""
    ) -> _Reply:
        headers = {**self._headers, "Accept": accept, **({"Content-Type": kind} if kind else {})}
        request = urllib.request.Request(f"{self._url}{path}", body, headers, method=method)
        try:
            with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
                return _Reply(answer.status, answer.headers.get("Content-Type", ""), _read(answer, most))
        except urllib.error.HTTPError as error:
            with error:
                raise ServiceError(f"HTTP status {error.code}", status=error.code, body=_read(error, 1 << 20)) from None
        except _BROKEN as error:
            reason = getattr(error, "reason", None)  # of a URLError: it could not connect, or not send all
            is_away = isinstance(error, urllib.error.URLError) and not isinstance(
                reason, ConnectionResetError | BrokenPipeError
            )
            raise ServiceError(f"no answer ({reason_of(error)})", is_away=is_away) from None


def _read(answer: Any, most: int) -> bytes:
    """Read a body to its end, in time."""
    until, data = time.monotonic() + _WHOLE_S, bytearray()
    try:
        while block := answer.read(_BLOCK):
            data += block
            if len(data) > most:
                raise ServiceError(f"more than {most} bytes", status=413)
            if time.monotonic() > until:
                raise ServiceError(f"no end within {_WHOLE_S:.0f} s")
    except _BROKEN as error:
        raise ServiceError(f"a broken answer ({reason_of(error)})") from None
    return bytes(data)


def _listed(reply: _Reply) -> list[DicomJson]:
    if reply.status == 204 or not reply.body:
        return []
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        found = None
    whole = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    if not isinstance(found, list) or (found and not whole):
        raise ServiceError("no list in DICOM JSON", status=reply.status)
    return whole


def said(body: bytes) -> DicomJson:
    """Read an answer in the DICOM JSON model; empty where it is none."""
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _only_part(reply: _Reply) -> bytes:
    """Give the first part of a multipart body, or the body itself where a service sends the file alone."""
    match = re.search(r'boundary="?([^";,]{1,70})"?', reply.kind)
    if not reply.kind.lower().startswith("multipart/related") or match is None:
        return reply.body
    mark = b"--" + match[1].strip().encode("ascii", "replace")
    _, found, rest = reply.body.partition(mark)
    head, gap, content = rest.partition(b"\r\n\r\n")
    end = content.rfind(b"\r\n" + mark)
    if not found or not gap or end < 0 or len(head) > 8192:
        raise ServiceError("no whole multipart body", status=reply.status)
    return content[: content.find(b"\r\n" + mark)]


def failure(answer: DicomJson) -> int | None:
    """Give the failure reason (0008,1197) of the one instance that was stored; None where it was taken."""
    try:
        failed = answer["00081198"]["Value"][0]
    except (KeyError, IndexError, TypeError):
        return None
    try:
        return int(failed["00081197"]["Value"][0]) & 0xFFFF
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return 0xC000


def value(dataset: DicomJson, tag: str) -> str:
    """Give the first value of an element in the DICOM JSON model as text; nothing where there is none."""
    try:
        return str(dataset[tag]["Value"][0])
    except (KeyError, IndexError, TypeError):
        return ""
