"""Poisoned objects among sound ones for `plainfilm serve` as a DICOM node: what its peer never takes, and what lies broken in its spool.

A small bundle is trained, the spool is filled with broken entries, and the node is started as a process of its own; sound objects come over C-STORE,
among them damaged ones and ones that a node must refuse. The peer is an archive that refuses some studies, each in its own way.
"""

import hashlib
import os
import re
import socket
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.uid import CTImageStorage, RLELossless

from made_dicom import Archive, free_port, instance, sent, uid
from made_requests import Started, own_places, started
from sieges.row import Row, Told, small_bundle

CASES, SHARE = 1000, 50  # one in 50 is poisoned
STALLED_S = 300.0
UNREADABLE = 5  # of the sound ones: damaged pixels, for which the answer says so
REFUSED = 5  # besides: header bombs and other classes, which the sender is told about
_SILENCE_S = 90.0
_METRIC = re.compile(r"^plainfilm_dicom_(\w+) ([0-9.e+]+)$", re.MULTILINE)


def run(told: Told) -> Row:
    """Send 98 % sound objects beside 2 % poisoned ones; count what the archive got, and what was set aside."""
    cases = told.cases or CASES
    poisons = [(_AT_PEER + _IN_SPOOL)[number % 20] for number in range(max(1, cases // SHARE))]
    bundle = small_bundle(told.scratch)
    archive = _Choosy({uid(f"study {_name(n)}"): kind for n, kind in enumerate(poisons) if kind in _AT_PEER})
    _prepare(told.scratch / "spool", bundle, [(n, kind) for n, kind in enumerate(poisons) if kind not in _AT_PEER])
    port, log = free_port(), told.scratch / "log"
    words = ("--dicom-port", port, "--spool", told.scratch / "spool", "--peer", f"PACS=127.0.0.1:{archive.port}")
    sound = cases - len(poisons)
    try:
        with started(bundle, log, *words, **own_places(told.scratch / "places")) as node:
            at_peer = [_name(n) for n, kind in enumerate(poisons) if kind in _AT_PEER]
            refused = _sent(port, sound, at_peer, seed=told.seed)
            _settled(archive, node, sound)
            state, counts = _ready(node), _metrics(node)
            counts["aborted"] = sum(line["event"] == "dicom.aborted" for line in node.lines)
    except AssertionError:
        return Row(
            tried=_TRIED,
            cases=cases,
            found=f"none delivered: the node does not start ({_last(log)})",
            promised=_PROMISED,
            holds=False,
        )
    finally:
        archive.close()
    return _row(cases, sound, len(poisons), archive, refused, state, counts, told.scratch / "spool" / "failed")


_TRIED = "objects for the DICOM node, 2 % of them poisoned"
_PROMISED = "each sound one is reported once, each poisoned one set aside, and the node is ready"
_AT_PEER = ("refused", "full", "failing", "hung-up", "silent")


def _row(
    cases: int, sound: int, poisons: int, archive: "_Choosy", refused: int, state: str, counts: Any, failed: Path
) -> Row:
    reports = Counter(str(each.StudyInstanceUID) for each in archive.reports())
    pictures = Counter(str(each.SOPInstanceUID) for each in archive.got)
    aside = {path.name[:64] for path in failed.glob("*")} if failed.is_dir() else set()
    unreadable = sum("Unreadable" in str(each) for each in archive.reports())
    twice = sum(count > 1 for count in pictures.values())
    found = (
        f"{len(reports)} of {sound} sound ones reported, {twice} objects twice, {unreadable} of {UNREADABLE} reports on damaged pixels; "
        f"{len(aside)} of {poisons} poisoned ones set aside; {refused} of {2 * REFUSED} hostile ones refused while they were sent; "
        f"{archive.associations} associations; {state}; {counts}"
    )
    holds = (len(reports), twice, unreadable, len(aside), refused) == (sound, 0, UNREADABLE, poisons, 2 * REFUSED)
    return Row(tried=_TRIED, cases=cases, found=found, promised=_PROMISED, holds=holds and state == "ready")


def _name(number: int) -> str:
    return f"poison {number}"


def _sent(port: int, sound: int, at_peer: list[str], *, seed: int) -> int:
    """Send everything, 20 objects an association, the poisoned ones spread among the sound; how many hostile ones were refused."""
    images = [instance(f"sound {seed} {number}") for number in range(sound)]
    for image in images[:UNREADABLE]:
        image.PixelData = image.PixelData[:1000]
    for number, name in enumerate(at_peer):
        images.insert((number * sound) // len(at_peer) + 1, instance(name))
    for first in range(0, len(images), 20):
        left = images[first : first + 20]
        while left:  # as any sender: what got no success is sent again
            with suppress(RuntimeError):  # the association is lost
                statuses = sent(port, *left)
                left = left[statuses.count(0) :]
    bombs = [sent(port, _bomb(f"bomb {number}")) for number in range(REFUSED)]
    others = [sent(port, instance(f"ct {number}", SOPClassUID=CTImageStorage)) for number in range(REFUSED)]
    return sum(status != [0] for status in (*bombs, *others))


def _bomb(name: str) -> Any:
    """Make an object whose header has a sequence of 40,000 items, which would take a hundred times its bytes to parse."""
    made = instance(name)
    made.ProcedureCodeSequence = [Dataset()] * 40_000
    made["ProcedureCodeSequence"].is_undefined_length = True  # or it would be passed over
    return made


class _Choosy(Archive):
    """An archive that never takes the answers of some studies: `poisoned` says how it refuses each."""

    def __init__(self, poisoned: dict[str, str]) -> None:
        self._poisoned, self.associations = poisoned, 0
        super().__init__()
        from pynetdicom import evt

        self._server.bind(evt.EVT_ACCEPTED, self._counted)

    def _counted(self, _: Any) -> None:
        self.associations += 1

    def _keep(self, event: Any) -> int:
        kind = self._poisoned.get(str(event.dataset.StudyInstanceUID), "")
        if kind == "silent":
            time.sleep(_SILENCE_S)
        if kind == "hung-up":
            event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        statuses = {"refused": 0xC123, "full": 0xA700, "failing": 0x0110, "hung-up": 0xA700, "silent": 0xA700}
        return statuses[kind] if kind else super()._keep(event)


# --- broken entries of the spool --------------------------------------------------------------------------------------------


def _prepare(spool: Path, bundle: Path, poisons: list[tuple[int, str]]) -> None:
    for name in ("received", "outbox", "failed", "partial"):
        (spool / name).mkdir(parents=True, mode=0o700)
    model = hashlib.sha256(bundle.read_bytes()).hexdigest()
    for number, kind in poisons:
        key = hashlib.sha256(f"{model}\n{uid(_name(number))}".encode()).hexdigest()
        _BROKEN[kind](spool, key)


def _received(make: Callable[[Path], Any]) -> Callable[[Path, str], Any]:
    return lambda spool, key: make(spool / "received" / f"{key}.dcm")


def _entry(**files: bytes | None) -> Callable[[Path, str], None]:
    """Give what makes an entry of the outbox; a file of None is a folder."""

    def make(spool: Path, key: str) -> None:
        folder = spool / "outbox" / key
        folder.mkdir()
        for name, data in files.items():
            path = folder / (name if name == "to" else f"1-{name}.dcm")
            path.mkdir() if data is None else path.write_bytes(data)

    return make


def _compressed(path: Path) -> None:
    made = instance("torn")
    made.file_meta.TransferSyntaxUID = RLELossless
    path.write_bytes(b"\0" * 128 + b"DICM" + bytes(range(256)) * 40)


_REPORT = bytes(128) + b"DICM" + bytes(2000)
_BROKEN: dict[str, Callable[[Path, str], Any]] = {
    "folder in received": _received(Path.mkdir),
    "link in received": _received(lambda path: path.symlink_to("/nowhere")),
    "pipe in received": _received(os.mkfifo),
    "nothing in received": _received(Path.touch),
    "junk in received": _received(lambda path: path.write_bytes(b"junk")),
    "torn head in received": _received(_compressed),
    "name that is not UTF-8": lambda spool, key: (spool / "received" / os.fsdecode(key.encode() + b"\xff")).touch(),
    "entry for nobody": _entry(report=_REPORT),
    "entry for garbled name": _entry(to=b"\xff\xfe", report=_REPORT),
    "entry that is a file": lambda spool, key: (spool / "outbox" / key).write_bytes(b"x"),
    "entry that is a link": lambda spool, key: (spool / "outbox" / key).symlink_to("/etc"),
    "report that is a folder": _entry(to=b"PACS", report=None),
    "empty report": _entry(to=b"PACS", report=b""),
    "link in partial": lambda spool, key: (spool / "partial" / f"{key}.x").symlink_to("/tmp"),
    "folder in partial": lambda spool, key: (spool / "partial" / f"{key}-mine").mkdir(),
}
_IN_SPOOL = tuple(_BROKEN)


# --- the node ---------------------------------------------------------------------------------------------------------------


def _settled(archive: _Choosy, node: Started, sound: int) -> None:
    """Wait until nothing waits any more but what is set aside, or nothing has moved for `STALLED_S`."""
    before, since = (-1, {}), time.monotonic()
    while time.monotonic() - since < STALLED_S:
        counts = _metrics(node)
        now = (len(archive.got), {name: counts.get(name) for name in ("waiting", "undelivered", "failed")})
        if counts.get("delivered", 0) >= 2 * sound - UNREADABLE and not counts["waiting"] + counts["undelivered"]:
            return
        if now != before:
            before, since = now, time.monotonic()
        time.sleep(1.0)


def _metrics(node: Started) -> dict[str, int]:
    with suppress(OSError), urllib.request.urlopen(f"{node.address}/api/v1/metrics", timeout=10) as answer:
        return {name: int(float(value)) for name, value in _METRIC.findall(answer.read().decode())}
    return {}


def _ready(node: Started) -> str:
    try:
        urllib.request.urlopen(f"{node.address}/api/v1/ready", timeout=10).close()
    except urllib.error.HTTPError as error:
        return f"not ready: {error.read().decode()[:300]}"
    return "ready"


def _last(log: Path) -> str:
    lines = log.read_text().strip().splitlines()
    return lines[-1][-200:] if lines else "no word"
