"""The server: one radiograph's latency, the saturated rate, and three times the capacity for two minutes.

    python benchmarks/serve.py --bundle run/model.plainfilm --out serve.json

The server has one core, the client another. Requests come at times of their own (Poisson), not when the last was answered.
Needs ../shared, two cores, and Linux. For the DICOM node see serve_dicom.py.
"""

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from measuring import SHARED, finish, resident_mb

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from made_requests import Started, form, post, started

SERVER, CLIENT = {1}, {0}
RATE, SECONDS = (
    5.0,
    30.0,
)  # of single radiographs, for their latency: over REST and in process alike, for a rested core is slower
ALONE = """
import json, os, random, sys, time
os.sched_setaffinity(0, {core})
import numpy as np, onnxruntime as ort, plainfilm
from PIL import Image
files = json.load(open(sys.argv[2]))
predictor = plainfilm.load(sys.argv[1])
size = predictor.bundle.classifier.image_size
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(predictor.bundle.classifier.network, options, providers=["CPUExecutionProvider"])
def bare(batch):
    images = []
    for file in batch:
        image = Image.open(file)
        image.draft("L", (size, size))
        images.append(np.asarray(image.convert("L").resize((size, size), Image.Resampling.BICUBIC)))
    session.run(["logits"], {"images": np.stack(images)})
bare(files[:8]); predictor.predict(files[0])
best = 0.0
for batch in (1, 8):
    start = time.perf_counter()
    for at in range(0, len(files), batch):
        bare(files[at : at + batch])
    best = max(best, len(files) / (time.perf_counter() - start))
start = time.perf_counter()
for file in files:
    predictor.predict(file)
unpaused = (time.perf_counter() - start) / len(files)
draw, taken = random.Random(1), []
end = time.perf_counter() + {seconds}
while time.perf_counter() < end:
    time.sleep(draw.expovariate({rate}))
    file = draw.choice(files)
    start = time.perf_counter()
    predictor.predict(file)
    taken.append(time.perf_counter() - start)
print(json.dumps({"bare_per_s": best, "predict_ms": 1000 * sorted(taken)[len(taken) // 2], "unpaused_predict_ms": 1000 * unpaused}))
"""


@dataclass(slots=True)
class Seen:
    """What a client saw: seconds of each accepted answer, and how many of each status."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    retry_after: int = 0


def served(bundle: Path, log: Path) -> AbstractContextManager[Started]:
    """Run the server on its core."""
    return started(bundle, log, preexec_fn=partial(os.sched_setaffinity, 0, SERVER))


def body(files: Sequence[Path]) -> bytes:
    """A whole POST of files."""
    return post("/api/v1/predict", form([(file.name, file.read_bytes()) for file in files]))


class Client:
    """Keeps connections open and sends whole requests on them."""

    def __init__(self, port: int) -> None:
        self._port, self._idle = port, []

    async def ask(self, request: bytes) -> tuple[int, bytes, float]:
        """Send a request; give status, head and seconds."""
        start = time.perf_counter()
        reader, writer = await self._connection()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head)[1])
        await reader.readexactly(length)
        if b"connection: close" in head:
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(head[9:12]), head, time.perf_counter() - start

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():  # the server closes those that rest for 15 s
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)


async def open_rate(
    client: Client, requests: Sequence[bytes], rate: float, seconds: float, seen: Seen, seed: int
) -> None:
    """Send requests at random times, `rate` a second, whether or not the last were answered."""
    draw, under_way = random.Random(seed), set()
    begin = due = time.perf_counter()
    while due < begin + seconds:
        due += draw.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(_note(client, draw.choice(requests), seen))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)


async def _note(client: Client, request: bytes, seen: Seen) -> None:
    status, head, seconds = await client.ask(request)
    seen.statuses[status] += 1
    if status == 200:
        seen.seconds.append(seconds)
    elif status == 503:
        seen.retry_after += b"retry-after" in head


async def closed_loop(client: Client, requests: Sequence[bytes], abreast: int, seconds: float) -> float:
    """Requests answered a second where `abreast` clients never rest."""
    done, end = 0, time.perf_counter() + seconds

    async def one(number: int) -> None:
        nonlocal done
        while time.perf_counter() < end:
            status, _, _ = await client.ask(requests[(number + done) % len(requests)])
            done += status == 200

    start = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(abreast)))
    return done / (time.perf_counter() - start)


async def latency(port: int, requests: Sequence[bytes], rate: float, seconds: float) -> dict[str, float]:
    """Median and 95th percentile of single radiographs at a low open rate."""
    seen = Seen()
    await open_rate(Client(port), requests, rate, seconds, seen, 1)
    ordered = sorted(seen.seconds)
    return {"median_ms": 1000 * statistics.median(ordered), "p95_ms": 1000 * ordered[int(0.95 * len(ordered))], "n": len(ordered)}  # fmt: skip


async def overload(port: int, pid: int, requests: Sequence[bytes], rate: float, seconds: float) -> dict[str, Any]:
    """Three times the capacity; meanwhile `/health` twice a second on connections of their own."""
    seen, health, memory = Seen(), [], []
    asked = b"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    async def watch() -> None:
        while True:
            status, _, taken = await Client(port).ask(asked)
            health.append(taken if status == 200 else float("inf"))
            memory.append(resident_mb(pid))
            await asyncio.sleep(0.5)

    watching = asyncio.create_task(watch())
    await open_rate(Client(port), requests, rate, seconds, seen, 2)
    watching.cancel()
    tenth = max(1, len(memory) // 10)
    return {
        "offered_per_s": rate,
        "statuses": dict(seen.statuses),
        "without_retry_after": seen.statuses[503] - seen.retry_after,
        "accepted_per_s": len(seen.seconds) / seconds,
        "accepted_slowest_s": max(seen.seconds),
        "health_slowest_s": max(health),
        "health_median_s": statistics.median(health),
        "memory_mb": {"second tenth": statistics.mean(memory[tenth : 2 * tenth]), "last tenth": statistics.mean(memory[-tenth:])},
    }  # fmt: skip


def alone(bundle: Path, files: Sequence[Path], scratch: Path) -> dict[str, float]:
    """`load().predict` at the same pace, and bare ONNX Runtime with Pillow, on the server's core."""
    listed = scratch / "files.json"
    listed.write_text(json.dumps([str(file) for file in files]))
    program = ALONE
    for name, value in {"core": SERVER, "rate": RATE, "seconds": SECONDS}.items():
        program = program.replace(f"{{{name}}}", repr(value))
    done = subprocess.run([sys.executable, "-c", program, bundle, listed], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--files", type=Path, default=SHARED / "data" / "mixed", help="folder of radiographs")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--overload-s", type=float, default=120.0)
    parser.add_argument("--log", type=Path, default=Path("serve.log"))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found = sorted(path for path in asked.files.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    files = random.Random(0).sample(found, min(asked.n, len(found)))
    ones = [body([file]) for file in files]
    eights = [body(files[at : at + 8]) for at in range(0, len(files) - 7, 8)]
    os.sched_setaffinity(0, CLIENT)
    rows = []
    for _ in range(asked.rounds):
        with served(asked.bundle, asked.log) as server:
            port = server.port
            asyncio.run(closed_loop(Client(port), ones, 1, 2.0))
            rest = asyncio.run(latency(port, ones, RATE, SECONDS))
            unpaused = 1000 / asyncio.run(closed_loop(Client(port), ones, 1, 5.0))
            single = asyncio.run(closed_loop(Client(port), ones, 16, 10.0))
            eight = 8 * asyncio.run(closed_loop(Client(port), eights, 4, 10.0))
        own = alone(asked.bundle, files, asked.log.parent)
        rows.append({**own, **rest, "one_a_request_per_s": single, "eight_a_request_per_s": eight, "latency_ratio": rest["median_ms"] / own["predict_ms"],
                     "unpaused_ms": unpaused, "unpaused_ratio": unpaused / own["unpaused_predict_ms"],
                     "rate_share": single / own["bare_per_s"], "rate_share_of_eights": eight / own["bare_per_s"]})  # fmt: skip
        print(json.dumps(rows[-1]), file=sys.stderr)
    figures: dict[str, Any] = {"rounds": rows}
    if asked.overload_s:
        capacity = statistics.median(row["one_a_request_per_s"] for row in rows)
        with served(asked.bundle, asked.log) as server:
            asyncio.run(closed_loop(Client(server.port), ones, 1, 2.0))
            figures["overload"] = asyncio.run(
                overload(server.port, server.process.pid, ones, 3 * capacity, asked.overload_s)
            )
    finish(figures, asked.out)


if __name__ == "__main__":
    main()
