"""Several bundles behind one server: memory, reloads under load, and one bundle's rate against other code.

    python benchmarks/serve_several.py one.plainfilm two.plainfilm --old ../before --out several.json

Memory is the proportional set size of the server and its processes, each bundle having answered 64 radiographs. Then the first bundle is taken over 50 times,
by turns with the second, while three clients ask without rest. With --old, a checkout of other code, both run on one core, and 16 clients ask one
and the other by turns without rest. Needs Linux, two cores and ../shared, or --files.
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from measuring import SHARED, finish, processor_s, resident_mb, spread
from serve import CLIENT, SERVER, Client, body, closed_loop

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from made_requests import Started, asked, form, post, started

TOKEN = "the-token-of-this-benchmark"
RIGHTS = f'[admin]\nsha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"\nrights = ["predict", "reload"]\n'
WARM = 64


def request(path: str, films: Sequence[Path], token: str = "") -> bytes:
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    return post(path, form([(film.name, film.read_bytes()) for film in films]) if films else b"", bearer)


def memory(bundles: Sequence[str], films: Sequence[Path], log: Path) -> float:
    """MB of a server once each bundle has answered."""
    with started(bundles[0], log, *bundles[1:], "--quiet") as server:
        names = [
            each["served_as"]
            for each in json.loads(asked(server.port, b"GET /api/v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").body)[
                "models"
            ]
        ]
        for name in names:
            for at in range(0, WARM, 8):
                answer = asked(
                    server.port,
                    request(f"/api/v1/models/{name}/predict", [films[(at + n) % len(films)] for n in range(8)]),
                )
                assert answer.status == 200, answer.body
        time.sleep(2)
        return resident_mb(server.process.pid)


def reloads(first: Path, second: Path, films: Sequence[Path], folder: Path, times: int) -> dict[str, Any]:
    """Take a bundle over again and again under load; count each answer's status."""
    served, tokens = folder / "served.plainfilm", folder / "tokens.toml"
    shutil.copy(first, served)
    tokens.write_text(RIGHTS)
    seen, seconds, ended = Counter[int](), list[float](), threading.Event()
    with started(served, folder / "log", "--quiet", "--tokens", tokens) as server:
        ask = request("/api/v1/predict", films[:1], TOKEN)

        def client() -> None:
            while not ended.is_set():
                seen[asked(server.port, ask).status] += 1

        clients = [threading.Thread(target=client) for _ in range(3)]
        for each in clients:
            each.start()
        changed = 0
        for number in range(times):
            shutil.copy(first if number % 2 else second, folder / "new")
            (folder / "new").replace(served)
            begun = time.perf_counter()
            changed += asked(server.port, request("/api/v1/models/served/reload", [], TOKEN)).json["changed"]
            seconds.append(time.perf_counter() - begun)
        ended.set()
        for each in clients:
            each.join()
        return {
            "reloads": changed,
            "answers": dict(seen),
            "reload_median_s": statistics.median(seconds),
            "memory_mb": resident_mb(server.process.pid),
        }


def rate(server: Started, ones: Sequence[bytes], seconds: float) -> dict[str, float]:
    """Radiographs that a server answers a second, and its processor time for each, ms."""
    begun, ran = time.perf_counter(), processor_s(server.process.pid)
    found = asyncio.run(closed_loop(Client(server.port), ones, 16, seconds))
    answers = found * (time.perf_counter() - begun)
    return {"per_s": found, "processor_ms": 1000 * (processor_s(server.process.pid) - ran) / answers}


def pairs(bundle: Path, old: Path, ones: Sequence[bytes], log: Path, count: int, seconds: float) -> dict[str, Any]:
    """Rates of the old and of this code by turns, both running on one core, and the medians of old over new, and of new over old in processor time."""
    before, found = os.sched_getaffinity(0), list[dict[str, dict[str, float]]]()
    on_core = {"preexec_fn": partial(os.sched_setaffinity, 0, SERVER)}
    os.sched_setaffinity(0, CLIENT)
    with (
        started(bundle, log, "--quiet", **on_core, env={"PYTHONPATH": str(old / "src")}) as then,
        started(bundle, log.with_suffix(".new"), "--quiet", **on_core) as now,
    ):
        servers = {"old": then, "new": now}
        for server in servers.values():
            rate(server, ones, seconds)
        for number in range(count):
            order = ("old", "new") if number % 2 else ("new", "old")
            found.append({name: rate(servers[name], ones, seconds) for name in order})
    os.sched_setaffinity(0, before)
    return {
        "pairs": found,
        "old_over_new_per_s": spread([pair["old"]["per_s"] / pair["new"]["per_s"] for pair in found]),
        "new_over_old_processor": spread([pair["new"]["processor_ms"] / pair["old"]["processor_ms"] for pair in found]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", type=Path, nargs=2)
    parser.add_argument("--files", type=Path, default=SHARED / "data" / "mixed", help="folder of radiographs")
    parser.add_argument("--reloads", type=int, default=50)
    parser.add_argument("--only-rate", action="store_true")
    parser.add_argument("--old", type=Path, help="a checkout of other code")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each rate")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = sorted(path for path in given.files.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    films = random.Random(0).sample(found, min(200, len(found)))
    first, second = given.bundles
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        shutil.copy(first, folder / "one.plainfilm")
        shutil.copy(second, folder / "two.plainfilm")
        one, two = str(folder / "one.plainfilm"), str(folder / "two.plainfilm")
        if not given.only_rate:
            alone, both = memory([one], films, folder / "log"), memory([one, two], films, folder / "log")
            figures["memory_mb"] = {"one": alone, "two": both, "ratio": both / alone}
        if given.reloads and not given.only_rate:
            figures["reloads"] = reloads(first, second, films, folder, given.reloads)
        if given.old:
            ones = [body([film]) for film in films]
            figures["rate"] = pairs(first, given.old, ones, folder / "log", given.pairs, given.seconds)
    finish(figures, given.out)


if __name__ == "__main__":
    main()
