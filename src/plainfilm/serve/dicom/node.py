"""The node: takes radiographs in, has them judged, sends the answers out, and goes on where it was stopped."""

import datetime
import logging
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from plainfilm.errors import UsageError
from plainfilm.serve.dicom import peers, store_scp
from plainfilm.serve.dicom.background_task import Task
from plainfilm.serve.dicom.delivery import Courier, Retrier
from plainfilm.serve.dicom.dicomweb_poller import EVERY_S, Poller, Spared
from plainfilm.serve.dicom.log import told
from plainfilm.serve.dicom.narrative import Examines
from plainfilm.serve.dicom.secured import Certificates
from plainfilm.serve.dicom.set_aside import FIRST_S
from plainfilm.serve.dicom.spool import Spool
from plainfilm.serve.dicom.spool_room import SpoolLimits
from plainfilm.serve.dicom.store_scp import Reception
from plainfilm.serve.dicom.studies import Studies
from plainfilm.serve.dicom.worker import Worker
from plainfilm.serve.listening import check_port

_LOOK_S = 2.0


class DicomNode:
    """A DICOM node for one model.

    Parameters
    ----------
    examiner
        What judges.
    host, port
        Where it listens; port 0 for any that is free.
    ae_title
        What it is called, 1 to 16 characters.
    spool
        Folder for what is on its way; of this node alone.
    peers
        NAME=HOST:PORT, NAME=tls://HOST:PORT or NAME=URL, at least one. Only they may send.
    answer_to
        Name of the peer that gets all answers; by default each sender gets its own.
    poll
        Name of a peer with a URL to be asked for new radiographs.
    poll_every_s, poll_since
        How often, and for studies since which day (default: yesterday).
    certificates
        With one of its own the node listens over TLS alone; peers over TLS are called with them.
    limits
        Of the spool.
    by
        "study": one report a study, instead of a report and a picture an image.
    quiet_s
        Seconds without another image, after which a study is answered; by default `studies.QUIET_S`.
    pause_s
        Before the second try to reach a peer that is away; 60 times as long before that of what was set aside.

    Raises
    ------
    UsageError
        A name, peer, title or port that cannot be meant.
    PlainfilmError
        Another node has the spool, it cannot be written, or the port is taken.
    """

    def __init__(
        self,
        examiner: Examines,
        *,
        host: str = "127.0.0.1",
        port: int,
        ae_title: str,
        spool: Path,
        peers: Iterable[str],
        answer_to: str | None = None,
        poll: str | None = None,
        poll_every_s: float = EVERY_S,
        poll_since: Callable[[], datetime.date] | None = None,
        certificates: Certificates | None = None,
        limits: SpoolLimits | None = None,
        pause_s: float = 1.0,
        by: Literal["study"] | None = None,
        quiet_s: float | None = None,
    ) -> None:
        check_port(port, "--dicom-port")
        title, certificates = _checked(ae_title), certificates or Certificates()
        self._peers = _known(peers, answer_to, poll)
        self._answer_to, self._is_stopped = answer_to, False
        self._looked, self._found = -_LOOK_S, ""
        studies = _studies(examiner, by, quiet_s)
        model = examiner.identity.key
        _silence()
        self.spool = Spool(spool, model=model, limits=limits, again_s=FIRST_S * pause_s)
        try:
            self._reception = Reception(
                self.spool,
                host=host,
                port=port,
                ae_title=title,
                callers=self._peers,
                secured=certificates.inward(),
            )
        except BaseException:
            self.spool.close()
            raise
        self._listening = threading.Thread(target=self._reception.listen, name="listen-dicom", daemon=True)
        self._worker = Worker(self.spool, examiner, addressed=self._addressee, studies=studies)
        self._senders = [
            kind(self.spool, peer, ae_title=title, pause_s=pause_s, secured=certificates.outward())
            for peer in self._peers.values()
            for kind in (Courier, Retrier)
        ]
        self._tasks: list[Task] = [*self._senders, self._worker]
        self._spared = Spared()
        if poll:
            poller = Poller(self.spool, self._peers[poll], every_s=poll_every_s, since=poll_since)
            self._tasks, self._spared = [*self._tasks, poller], poller.spared

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return self._reception.port

    def start(self) -> None:
        """Begin; what an earlier node left in the spool comes first."""
        for name in sorted(self.spool.addressees() - self._peers.keys()):
            told("dicom.unknown-addressee", level=logging.WARNING, name=name)
        for task in self._tasks:
            task.start()
        self._listening.start()
        told("dicom.started", port=self.port, counts=self.counts())

    def stop(self, grace_s: float = 20.0) -> None:
        """Take nothing more, finish the judgement and the delivery under way, and leave the rest in the spool."""
        if self._is_stopped:
            return
        self._is_stopped = True
        until = time.monotonic() + grace_s
        self._reception.close()
        for task in self._tasks:
            task.stop()
        self.spool.wake()
        for task in self._tasks:
            task.join(max(0.0, until - time.monotonic()))
        told("dicom.stopped", counts=self.counts())
        self.spool.close()

    @property
    def is_alive(self) -> bool:
        """Whether it listens, judges, delivers and polls."""
        return self._listening.is_alive() and all(task.is_alive for task in self._tasks)

    def trouble(self) -> str:
        """Why work does not move, or nothing more can be taken, in a sentence that names no patient; nothing where all is well."""
        if not self._listening.is_alive():
            return "listen-dicom has ended"
        return next(filter(None, (task.trouble() for task in self._tasks)), "") or self._spool_trouble()

    def _spool_trouble(self) -> str:
        """What stands against the spool, looked for once in `_LOOK_S`: anybody may ask whether we are ready."""
        if time.monotonic() - self._looked > _LOOK_S:
            self._looked, self._found = time.monotonic(), self.spool.trouble()
        return self._found

    def answer_by(self, examiner: Examines) -> None:
        """Let another model answer for what is not begun; what comes again from now on is judged again, by this one."""
        self._worker.answer_by(examiner)
        self.spool.model = examiner.identity.key

    def counts(self) -> dict[str, int]:
        """Since the start: instances `received` and `judged`, answers `delivered`, new tries (`retried`); now: `waiting`, `undelivered`, `failed`."""
        return {
            **self.spool.counts(),
            "retried": self.spool.retried,
            "not_fetched": len(self._spared),
            "judged": self._worker.judged,
            "delivered": sum(sender.delivered for sender in self._senders),
        }

    def _addressee(self, sender: str) -> str:
        """Say who is answered: whom we were told to, the sender, or else the first peer there is."""
        return self._answer_to or (sender if sender in self._peers else next(iter(self._peers)))


def _studies(examiner: Examines, by: str | None, quiet_s: float | None) -> Studies | None:
    """Give what holds the films of studies, where a study has one report."""
    if by is None:
        if quiet_s is not None:
            raise UsageError(
                "Expected --dicom-by study with --dicom-wait; received none. Add it, or leave --dicom-wait out."
            )
        return None
    examiner.check_studies()
    return Studies() if quiet_s is None else Studies(quiet_s)


def _checked(title: str) -> str:
    return peers.checked_title(title, what="--ae-title")


def _known(texts: Iterable[str], answer_to: str | None, poll: str | None) -> dict[str, peers.Peer]:
    found = peers.known(texts)
    for flag, name in (("--answer-to", answer_to), ("--poll", poll)):
        if name is not None and name not in found:
            raise UsageError(
                f"Expected {flag} to name a peer ({', '.join(found)}); received {name!r}. Name one of them."
            )
    if poll is not None and not found[poll].url:
        raise UsageError(
            f"Expected --poll to name a peer with a DICOMweb address; received {poll!r}. Give it as NAME=URL."
        )
    return found


def _silence() -> None:
    """Keep the libraries from quoting patients: pydicom warns with the values that it finds odd."""
    store_scp.quiet()
    warnings.filterwarnings("ignore", module=r"(pydicom|pynetdicom|highdicom)(\..*)?")
