"""The way out: answers go to their peer again and again while it is away; one that it does not take stops no other."""

import logging
import ssl
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from plainfilm.serve.dicom.background_task import Task
from plainfilm.serve.dicom.log import told
from plainfilm.serve.dicom.peers import Peer
from plainfilm.serve.dicom.sending import AwayError, DoubtError, Line, RefusedError, line
from plainfilm.serve.dicom.set_aside import Aside
from plainfilm.serve.dicom.spool import LOOK_S, Spool

LONGEST_PAUSE_S = 60.0
_LONGEST_SENDING_S = 600.0  # of one object over DICOMweb
_TOGETHER = 256  # entries looked at in a round
_MOST_IN_A_ROW = 8  # failures that may be the peer's, before it is left alone for a while
_MOST_TRIES = 3  # of an object whose failure may be the peer's: then it is set aside


class _Sender(Task):
    """Sends to one peer, and leaves it alone for 1, 2, 4, … `LONGEST_PAUSE_S` seconds while it is away."""

    longest_s = _LONGEST_SENDING_S
    does: ClassVar[str]  # in the name of its thread

    def __init__(
        self,
        spool: Spool,
        peer: Peer,
        *,
        ae_title: str,
        pause_s: float = 1.0,
        secured: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(f"{self.does}-{peer.name}")
        self._spool, self._peer = spool, peer
        self._line: Line = line(peer, ae_title, secured=secured)
        self._shortest_s = self._pause_s = pause_s
        self.delivered = 0

    def step(self) -> None:
        """Send what there is; a peer that is away is left alone for a while."""
        try:
            with self._line:
                self._work()
            self._pause_s = self._shortest_s
        except AwayError as error:
            told("dicom.away", level=logging.WARNING, reason=str(error), again_in_s=round(self._pause_s, 1))
            self.pause(self._pause_s)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _work(self) -> None:
        raise NotImplementedError

    def _sent(self, key: str, file: Path, kind: str) -> None:
        self._line.send(file)
        self.delivered += 1
        self.moved()
        told("dicom.delivered", key=key, kind=kind)


class Courier(_Sender):
    """Delivers the answers of one peer.

    An object that it refuses is set aside at once. A failure that may be the peer's own is held against the object once the peer has
    taken another in the same round, or in `_MOST_TRIES` rounds.

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
    secured
        For a peer over TLS.
    """

    does = "deliver"

    def __init__(self, spool: Spool, peer: Peer, **how: Any) -> None:
        super().__init__(spool, peer, **how)
        self._tries: Counter[Path] = Counter()

    def _work(self) -> None:
        """Go one round over what waits, what failed least often first."""
        parcels = self._spool.parcels(self._peer.name, at_most=_TOGETHER, timeout_s=1.0)
        files = [(parcel.key, file) for parcel in parcels for file in parcel.files]
        before, doubted = self.delivered, dict[Path, tuple[str, str]]()
        in_a_row = 0
        try:
            for key, file in sorted(files, key=lambda each: self._tries[each[1]]):
                if self.is_ending or in_a_row == _MOST_IN_A_ROW:
                    break
                reason = self._handed_over(key, file)
                in_a_row = in_a_row + 1 if reason else 0
                if reason:
                    doubted[file] = key, reason
        finally:
            is_sound = self.delivered > before
            for file, (key, reason) in doubted.items():
                if is_sound or self._tries[file] >= _MOST_TRIES:
                    self._set_aside(key, file, reason)
        if doubted and not is_sound:
            raise AwayError(next(iter(doubted.values()))[1])

    def _handed_over(self, key: str, file: Path) -> str:
        """Send a file; why it failed, if that may be the peer's fault."""
        try:
            self._sent(key, file, file.stem)
        except RefusedError as error:
            self._set_aside(key, file, str(error))
        except DoubtError as error:
            self._tries[file] += 1
            self.moved()
            return str(error)
        else:
            self._tries.pop(file, None)
            self._spool.delivered(key, file)
        return ""

    def _set_aside(self, key: str, file: Path, reason: str) -> None:
        self._tries.pop(file, None)
        self._spool.refused(key, file, reason)


class Retrier(_Sender):
    """Tries again what one peer did not take, each over an association of its own and beside what is new."""

    does = "retry"

    def _work(self) -> None:
        aside = self._spool.due(self._peer.name)
        if aside is None:
            self.pause(min(LOOK_S, 10 * self._shortest_s))
            return
        try:
            self._sent(aside.key, aside.file, aside.kind)
        except (RefusedError, DoubtError) as error:
            self._put_off(aside, str(error))
        else:
            self._spool.taken(aside)

    def _put_off(self, aside: Aside, reason: str) -> None:
        told("dicom.not-taken", key=aside.key, level=logging.WARNING, kind=aside.kind, reason=reason)
        self._spool.put_off(aside, reason)
