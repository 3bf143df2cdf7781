"""The way in over HTTP: what a STOW-RS request brings goes into the same spool."""

from collections.abc import Iterable
from typing import Any

from plainfilm.serve.dicom import header
from plainfilm.serve.dicom.header import DicomJson, HeaderError
from plainfilm.serve.dicom.log import told
from plainfilm.serve.dicom.spool import Spool
from plainfilm.serve.dicom.spool_room import SpoolFullError

_MISMATCH, _CLASS_NOT_SUPPORTED, _OUT_OF_RESOURCES = 0xA900, 0x0122, 0xA700


def received(spool: Spool, parts: Iterable[bytes], *, study: str | None = None) -> tuple[int, DicomJson]:
    """Store the DICOM files of a request in the spool (PS3.18 10.5).

    Parameters
    ----------
    spool
        Of the node.
    parts
        The body's parts of type application/dicom, each a whole DICOM file.
    study
        Study Instance UID where the request names one: others are then refused.

    Returns
    -------
    tuple
        HTTP status (200 all stored, 202 some, 409 none, 503 none for want of room) and the response in the DICOM JSON model,
        to be sent as application/dicom+json.
    """
    done, failed = [], []
    for part in parts:
        reference: DicomJson = {}
        try:
            _put(spool, part, study, reference)
            done.append(reference)
        except HeaderError as error:
            failed.append({**reference, "00081197": {"vr": "US", "Value": [error.status]}})
    response: DicomJson = {}
    if done:
        response["00081199"] = {"vr": "SQ", "Value": done}
    if failed:
        response["00081198"] = {"vr": "SQ", "Value": failed}
    return _status(done, failed), response


def put(spool: Spool, data: bytes, *, sender: str) -> bool:
    """Store one DICOM file; False if it was known already.

    Raises
    ------
    HeaderError
        No answer could be given to it.
    SpoolFullError, OSError
        As `Spool.store`.
    """
    return _store(spool, data, sender, study=None, reference={})


def _put(spool: Spool, data: bytes, study: str | None, reference: DicomJson) -> None:
    try:
        _store(spool, data, "", study, reference)
    except (SpoolFullError, OSError) as error:
        raise HeaderError(_OUT_OF_RESOURCES, "no room") from error


def _store(spool: Spool, data: bytes, sender: str, study: str | None, reference: DicomJson) -> bool:
    file = header.opened(data)
    source = header.source(data, syntax=file.syntax, start=file.start)
    reference["00081150"] = {"vr": "UI", "Value": [source.SOPClassUID]}
    reference["00081155"] = {"vr": "UI", "Value": [source.SOPInstanceUID]}
    if source.SOPClassUID not in header.SOP_CLASSES:
        raise HeaderError(_CLASS_NOT_SUPPORTED, "SOP class not taken")
    if study is not None and source.StudyInstanceUID != study:
        raise HeaderError(_MISMATCH, "another study than the request's")
    uid = source.SOPInstanceUID
    is_new = spool.store(uid, [header.prefix(source, syntax=file.syntax, sender=sender), data[file.start :]])
    told("dicom.stored" if is_new else "dicom.known", key=spool.key(uid), bytes=len(data))
    return is_new


def _status(done: list[Any], failed: list[Any]) -> int:
    if not failed and done:
        return 200
    if done:
        return 202
    full = failed and all(each["00081197"]["Value"] == [_OUT_OF_RESOURCES] for each in failed)
    return 503 if full else 409
