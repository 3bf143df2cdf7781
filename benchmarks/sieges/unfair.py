"""An honest client of `plainfilm serve` beside six hostile ones, each with an address of its own, and once more with one address for all.

The hostile ones send costly files slowly, again and again, over several connections each, flood heads, and leave connections open. The
honest one sends small radiographs, one after the other. Measured is the time from the end of its request to the head of an answer.
"""

import random
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from hostile_requests import PREDICT, WORST
from made_files import encoded, gray_film
from made_requests import connected, form, head, own_places, post, received, started
from sieges.row import Row, Told, small_bundle

CASES, HOSTILE, LINES = (
    200,
    6,
    2,
)  # requests of the honest client; hostile clients; connections on which each sends files
PATIENCE_S, AT_ONCE_S, ANSWER_S = 1.0, 0.1, 60.0
_BEFORE_S = 3.0  # that the hostile ones are at work before the honest one comes
_PROMISED = f"median at most {PATIENCE_S:g} s, each 503 within {AT_ONCE_S:g} s, most requests answered"


@dataclass(slots=True)
class Seen:
    """Seconds from the end of a request to its answer, by status; 0 for none at all."""

    seconds: list[tuple[int, float]] = field(default_factory=list)

    def of(self, *statuses: int) -> list[float]:
        """Seconds of some statuses, in order."""
        return sorted(taken for status, taken in self.seconds if status in statuses)

    def told(self) -> str:
        """Say it in words."""
        if not self.seconds:
            return "nothing"
        taken, statuses = [each for _, each in self.seconds], Counter(status for status, _ in self.seconds)
        said = ", ".join(f"{n} × {status or 'no answer'}" for status, n in sorted(statuses.items()))
        late = f", slowest 503 {self.of(503)[-1]:.3f} s" if self.of(503) else ""
        return f"{said}, median {statistics.median(taken):.3f} s, slowest {max(taken):.2f} s{late}"


def run(told: Told) -> Row:
    """Ask for small radiographs beside hostile clients, with an address a client and with one for all."""
    cases, bundle, files = told.cases or CASES, small_bundle(told.scratch), _costly()
    apart = _beside(bundle, told.scratch / "apart", files, cases, told.seed, lambda number: f"127.0.0.{2 + number}")
    alike = _beside(bundle, told.scratch / "alike", files, cases, told.seed, lambda _: "127.0.0.1")
    honest = apart[0]
    holds = (
        statistics.median(taken for _, taken in honest.seconds) <= PATIENCE_S
        and max(honest.of(503), default=0.0) <= AT_ONCE_S
        and len(honest.of(200)) > cases / 2
        and not honest.of(0)
    )
    found = "; ".join(
        f"{name}: honest {seen[0].told()}; hostile {seen[1].told()}"
        for name, seen in (("an address each", apart), ("one address for all", alike))
    )
    tried = f"requests of an honest client beside {HOSTILE} hostile ones"
    return Row(tried=tried, cases=cases, found=found, promised=_PROMISED, holds=holds)


def _beside(
    bundle: Path, scratch: Path, files: Sequence[bytes], cases: int, seed: int, address: Callable[[int], str]
) -> tuple[Seen, Seen]:
    """Give what an honest client sees, and what the hostile ones see of their files."""
    honest, hostile, stopped = Seen(), Seen(), threading.Event()
    scratch.mkdir()
    with started(bundle, scratch / "log", "--quiet", **own_places(scratch / "places")) as server:
        _ask(server.port, "127.0.0.1", _small(0), Seen())  # the first takes longer
        threads = [
            threading.Thread(target=work, args=(server.port, address(number), random.Random(f"{seed} {number} {line}")))
            for number in range(HOSTILE)
            for line, work in enumerate(
                [*[_sender(files, hostile, stopped)] * LINES, _flooder(stopped), _idler(stopped)]
            )
        ]
        for thread in threads:
            thread.start()
        time.sleep(_BEFORE_S)
        draw = random.Random(seed)
        for number in range(cases):
            _ask(server.port, "127.0.0.1", _small(number), honest)
            time.sleep(0.2 * draw.random())
        stopped.set()
        for thread in threads:
            thread.join()
    return honest, hostile


def _costly() -> list[bytes]:
    """Files that are small to send and costly to decode, also as costly as what looks light may be."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (3000, 3000), np.uint8))
    return [
        *(made() for made in WORST.values()),
        encoded(noise, "JPEG2000"),
        encoded(Image.fromarray(gray_film(7000, 7000)), "JPEG", progressive=True, quality=5),
        encoded(Image.fromarray(gray_film(7000, 7000)), "PNG", compress_level=1),
        encoded(Image.new("L", (5400, 5400), 9), "PNG", compress_level=1),
        encoded(Image.fromarray(gray_film(1900, 1900)), "JPEG", progressive=True),
    ]


def _small(number: int) -> bytes:
    film = np.roll(gray_film(400, 360), number, 1)
    return post(PREDICT, form([("film.jpg", encoded(Image.fromarray(film), "JPEG"))]))


def _ask(port: int, address: str, request: bytes, seen: Seen, *, over_s: float = 0.0) -> None:
    """Send a request, its body over some seconds, and note how long after its end the answer came."""
    status, ended = 0, time.perf_counter()
    with suppress(OSError, EOFError), connected(port, seconds=ANSWER_S, source=address) as link:
        with suppress(OSError):  # refused before the end
            for piece in _pieces(request, 20 if over_s else 1):
                link.sendall(piece)
                ended = time.perf_counter()
                if over_s and _is_answered(link, over_s / 20):
                    break
        status = received(link).status
    seen.seconds.append((status, time.perf_counter() - ended))


def _pieces(data: bytes, n: int) -> Iterator[bytes]:
    length = -(-len(data) // n)
    return (data[at : at + length] for at in range(0, len(data), length))


def _is_answered(link: socket.socket, seconds: float) -> bool:
    link.settimeout(seconds)
    try:
        return bool(link.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False
    finally:
        link.settimeout(ANSWER_S)


def _sender(files: Sequence[bytes], seen: Seen, stopped: threading.Event) -> Callable[..., None]:
    def work(port: int, address: str, draw: random.Random) -> None:
        while not stopped.is_set():
            path = draw.choice([PREDICT, PREDICT, "/api/v1/explain"])
            _ask(port, address, post(path, form([("film", draw.choice(files))])), seen, over_s=2 * draw.random())

    return work


def _flooder(stopped: threading.Event) -> Callable[..., None]:
    def work(port: int, address: str, draw: random.Random) -> None:
        while not stopped.is_set():
            lines = {f"X-{number}": "y" * draw.randrange(60) for number in range(draw.choice([100, 500, 3000]))}
            with suppress(OSError, EOFError), connected(port, seconds=ANSWER_S, source=address) as link:
                for _ in range(50):
                    link.sendall(head("GET", "/api/v1/health", lines))
                    received(link)
                    stopped.wait(0.05)

    return work


def _idler(stopped: threading.Event) -> Callable[..., None]:
    def work(port: int, address: str, draw: random.Random) -> None:
        links: list[socket.socket] = []
        for number in count():
            if stopped.is_set():
                break
            with suppress(OSError):
                links.append(socket.create_connection(("127.0.0.1", port), source_address=(address, 0)))
                links[-1].sendall(head("GET", "/api/v1/health") if number % 2 else b"POST /api/v1/predict HTTP/1.1\r\n")
            if len(links) > 200:
                links.pop(draw.randrange(len(links))).close()
            stopped.wait(0.02)
        for link in links:
            link.close()

    return work
