"""The DICOM node under load, killed twice, with a real PACS behind it; then under attack.

    python benchmarks/serve_dicom.py model.plainfilm

1,000 C-STORE over 10 associations into `plainfilm serve`; the node is killed (SIGKILL) when half are sent, and again when half
are answered, and started anew; senders send again what got no success. The answers go to Orthanc. Then 200 hostile connections.
Needs root, for a network namespace, and Debian's orthanc and orthanc-dicomweb. The radiographs are made.
"""

import argparse
import os
import queue
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from made_dicom import echoed, files_below, free_port, instance, pdata, request, sent
from made_orthanc import Orthanc, missing, own_network
from measuring import finish, resident_mb
from plainfilm.data import phantom
from waiting import until

ASSOCIATIONS = 10
SIDE = 512
DIFFERENT = 40


class _Running:
    """`plainfilm serve` as a process of its own."""

    def __init__(self, bundle: Path, folder: Path, port: int, pacs_port: int) -> None:
        self.port = port
        self._command = [sys.executable, "-m", "plainfilm.cli", "serve", str(bundle), "--port", str(free_port())]
        self._command += ["--dicom-port", str(port), "--ae-title", "PLAINFILM", "--spool", str(folder / "spool")]
        self._command += ["--peer", f"PACS=127.0.0.1:{pacs_port}"]
        self._log = (folder / "node.log").open("a")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)
        until(lambda: self._is_up(), 90)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def state(self) -> dict[str, float]:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        threads = int(status.split("Threads:")[1].split()[0])
        handles = len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))
        return {"resident_mb": round(resident_mb(self.process.pid)), "threads": threads, "handles": handles}

    def _is_up(self) -> bool:
        if self.process.poll() is not None:
            sys.exit(f"the node ended with {self.process.returncode}: {Path(self._log.name).read_text()[-2000:]}")
        return echoed(self.port) == 0


def films() -> list[np.ndarray]:
    visits = phantom.plan(DIFFERENT, duplicates=0)
    return [np.asarray(Image.fromarray(phantom.render(visit).pixels).resize((SIDE, SIDE))) for visit in visits]


def image(number: int, pixels: np.ndarray) -> Any:
    made = instance(f"load {number}", PatientID=f"P{number}", PatientName=f"Load^{number}")
    made.Rows, made.Columns = pixels.shape
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelData = 7, pixels.tobytes()
    made["PixelData"].VR = "OB"
    return made


class _Senders:
    """Ten senders that share the images; what got no success is sent again, over a new association."""

    def __init__(self, port: int, images: list[Any]) -> None:
        self.succeeded, self.statuses = 0, Counter[Any]()
        self._port, self._left, self._guard = port, queue.Queue[Any](), threading.Lock()
        for each in images:
            self._left.put(each)
        self._threads = [threading.Thread(target=self._send) for _ in range(ASSOCIATIONS)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        while batch := self._taken(20):
            try:
                statuses = sent(self._port, *batch)
            except (OSError, RuntimeError):
                statuses = []
            statuses += [None] * (len(batch) - len(statuses))
            for each, status in zip(batch, statuses, strict=True):
                if status != 0:
                    self._left.put(each)
            with self._guard:
                self.succeeded += statuses.count(0)
                self.statuses.update(statuses)
            if statuses.count(0) < len(batch):
                time.sleep(0.5)

    def _taken(self, most: int) -> list[Any]:
        batch = []
        while len(batch) < most:
            try:
                batch.append(self._left.get_nowait())
            except queue.Empty:
                break
        return batch

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


def counted(pacs: Orthanc) -> dict[str, int]:
    """Count reports and captures in the PACS, and studies that have more than one report."""
    reports, captures = pacs.of_modality("SR"), pacs.of_modality("OT")
    studies = Counter(each["ParentSeries"] for each in reports)
    images = Counter(pacs.ask(f"/instances/{each['ID']}/study")["ID"] for each in reports)
    doubles = sum(count > 1 for count in images.values()) + sum(count > 1 for count in studies.values())
    return {"reports": len(reports), "captures": len(captures), "doubles": doubles}


def load(node: _Running, pacs: Orthanc, count: int) -> dict[str, Any]:
    """Send all, kill twice, and wait for the last answer."""
    drawn = films()
    images = [image(number, drawn[number % DIFFERENT]) for number in range(count)]
    start = time.perf_counter()
    senders = _Senders(node.port, images)
    until(lambda: senders.succeeded >= count // 2, 600)
    node.kill()
    node.start()
    senders.join()
    sent_s = time.perf_counter() - start
    until(lambda: _instances(pacs) >= count, 1200)  # half of the reports and captures
    node.kill()
    node.start()
    until(lambda: _instances(pacs) >= 2 * count, 2400)
    seconds = time.perf_counter() - start
    time.sleep(5)  # what came twice would come now
    sent_again = sum(senders.statuses.values()) - count
    return {"sent_s": sent_s, "answered_s": seconds, "sent_again": sent_again, **counted(pacs), **node.state()}


def _instances(pacs: Orthanc) -> int:
    time.sleep(0.5)
    return int(pacs.ask("/statistics")["CountInstances"])


# --- hostile ----------------------------------------------------------------------------------------------------------------


def raw(port: int, *pieces: bytes, wait_s: float = 0) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connected:
        try:
            for piece in pieces:
                connected.sendall(piece)
                time.sleep(wait_s)
            connected.settimeout(2)
            while connected.recv(65536):
                pass
        except OSError:
            pass


def noise(port: int, rng: random.Random) -> None:
    raw(port, rng.randbytes(rng.randint(1, 4000)))


def random_pdus(port: int, rng: random.Random) -> None:
    bodies = [rng.randbytes(rng.randint(0, 400)) for _ in range(5)]
    raw(port, *(struct.pack(">BBI", rng.randint(0, 9), 0, len(body)) + body for body in bodies))


def wrong_length(port: int, rng: random.Random) -> None:
    raw(port, struct.pack(">BBI", rng.randint(1, 7), 0, rng.choice([5, 70, 1 << 20, 0xFFFFFFFF])) + bytes(20))


def broken_request(port: int, rng: random.Random) -> None:
    whole = bytearray(request())
    for _ in range(rng.randint(1, 10)):
        whole[rng.randrange(6, len(whole))] = rng.randrange(256)
    raw(port, bytes(whole))


def broken_message(port: int, rng: random.Random) -> None:
    raw(port, request(), *(pdata(rng.randbytes(200), rng.randrange(4)) for _ in range(4)))


def endless_message(port: int, _: random.Random) -> None:
    raw(port, request(), *([pdata(bytes(16000), 0)] * 7000))


def slow(port: int, _: random.Random) -> None:
    raw(port, *(bytes([byte]) for byte in request()[:8]), wait_s=0.2)


def strangers(port: int, rng: random.Random) -> None:
    echoed(port, called=rng.choice(["OTHER", "A" * 16]), calling=rng.choice(["PACS", "EVIL"]))
    raw(port, request(called=b"../../../etc/pwd", calling=b"<script>"))


def scripts(port: int, rng: random.Random) -> None:
    evil = {"PatientName": "<script>alert(1)</script>", "PatientID": "'\";--", "StudyDescription": "<img src=x>"}
    sent(port, instance(f"attack {rng.random()}", **evil, AccessionNumber="A" * 900, SpecificCharacterSet="NONE"))


def traversals(port: int, rng: random.Random) -> None:
    path = rng.choice(["../../../../tmp/evil", "/etc/passwd", "1.2.3/../../evil"])
    for keyword in ("SOPInstanceUID", "StudyInstanceUID"):
        sent(port, instance(f"attack {rng.random()}", **{keyword: path}))


ATTACKS = (
    noise,
    random_pdus,
    wrong_length,
    broken_request,
    broken_message,
    endless_message,
    slow,
    strangers,
    scripts,
    traversals,
)


def attack(node: _Running, folder: Path, workers: int = 8) -> dict[str, Any]:
    """Make each attack twenty times, eight at a time."""
    before = node.state()
    todo: queue.Queue[tuple[Callable[[int, random.Random], None], int]] = queue.Queue()
    for kind in ATTACKS:
        for number in range(20):
            todo.put((kind, number))
    done = Counter[str]()

    def work() -> None:
        while True:
            try:
                kind, number = todo.get_nowait()
            except queue.Empty:
                return
            try:
                kind(node.port, random.Random(f"{kind.__name__} {number}"))
                done["made"] += 1
            except Exception as error:  # noqa: BLE001 - the attacker's own troubles are counted
                done[type(error).__name__] += 1

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers = until(lambda: echoed(node.port) == 0, 60)
    until(lambda: set(files_below(folder / "spool")) <= {"journal", "judging", "lock"}, 120)
    time.sleep(20)  # threads of dead associations end
    outside = [name for name in files_below(folder) if not name.startswith(("spool/", "orthanc/", "node.log"))]
    return {
        "connections": dict(done),
        "echoes": answers,
        "files outside": outside,
        "before": before,
        "after": node.state(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--log", type=Path, help="keep the node's log here")
    options = parser.parse_args()
    if missing():
        sys.exit(missing())
    for name in ("pynetdicom", "pydicom"):
        __import__("logging").getLogger(name).disabled = True
    with tempfile.TemporaryDirectory() as name, own_network():
        folder = Path(name)
        pacs = Orthanc(folder / "orthanc", {})
        try:
            node = _Running(options.bundle.resolve(), folder, free_port(), pacs.dicom_port)
            found = {"count": options.count, "load": load(node, pacs, options.count), "hostile": attack(node, folder)}
            found["exit"] = node.stop()
            log = (folder / "node.log").read_text()
            found["tracebacks"] = log.count("Traceback")
            found["names in the log"] = sum(log.count(word) for word in ("Load^", "Muster", "<script>", "evil"))
            if options.log:
                options.log.write_text(log)
        finally:
            pacs.close()
    finish(found, options.out)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
