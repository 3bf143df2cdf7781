"""Hundreds of hostile requests against a running server, and what is left of it afterwards.

    python benchmarks/serve_hostile.py --bundle run/model.plainfilm --n 600 --out hostile.json

Loopback alone; seeded; ends by itself. The requests are those of tests/hostile_requests.py. Exits with 1 if anything is not as it was.
Needs Linux, and the extras `serve` and `dev`.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from measuring import finish, resident_mb

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from PIL import Image

import hostile_requests as hostile
from made_files import encoded, gray_film
from made_requests import Answer, Started, asked, descendants, form, head, post, started

GROWTH_MB = 400.0  # of the server with its decoding processes, from before to after
ALLOWED = {100, *range(200, 300), 400, 401, 403, 404, 405, 408, 411, 413, 415, 501, 503, 505}


def prediction(port: int) -> Any:
    """What a sound film is answered, without the request's own name."""
    body = form([("film.png", encoded(Image.fromarray(gray_film(300, 260)), "PNG"))])
    answer = _patient(port, post(hostile.PREDICT, body))
    return answer.status, {**answer.json, "request_id": ""}


def _patient(port: int, request: bytes) -> Answer:
    """Ask until there is room: files that were sent before may still be decoded."""
    for _ in range(60):
        answer = asked(port, request)
        if answer.status != 503:
            break
        time.sleep(1.0)
    return answer


def attack(port: int, seed: int, n: int, *, abreast: int, with_heavy: bool) -> tuple[dict[str, Counter[int]], list[str], float]:  # fmt: skip
    """Send n cases; give statuses by kind, answers that lack a header, and the slowest answer of `/health` meanwhile."""
    statuses, bare, slowest = defaultdict(Counter), [], 0.0
    with ThreadPoolExecutor(abreast) as pool:
        sent = [
            (name, pool.submit(hostile.send, case, port))
            for name, case in hostile.cases(seed, n, with_heavy=with_heavy)
        ]
        while not all(future.done() for _, future in sent):
            begun = time.perf_counter()
            answer = asked(port, head("GET", "/api/v1/health"))
            slowest = max(slowest, time.perf_counter() - begun)
            statuses["health, meanwhile"][answer.status] += 1
            time.sleep(0.2)
        for name, future in sent:
            seen = future.result()
            statuses[name].update(seen.statuses or [0])
            bare += [f"{name}: {top[:60]!r}" for top in seen.bare]
    return statuses, bare, slowest


def faults(server: Started, before: Any, statuses: dict[str, Counter[int]], bare: Sequence[str], places: Path) -> dict[str, Any]:  # fmt: skip
    """What is not as it should be, by what it is about; empty where all is well."""
    port, log = server.port, server.log.read_text()
    wrong = {
        "the server ended": server.process.poll(),
        "statuses": {name: odd for name, seen in statuses.items() if (odd := sorted(set(seen) - ALLOWED - {0}))},
        "answers without nosniff": list(bare),
        "health": asked(port, head("GET", "/api/v1/health")).json != {"status": "ok"},
        "ready": asked(port, head("GET", "/api/v1/ready")).json != {"status": "ready"},
        "the prediction changed": prediction(port) != before,
        "files were written": [str(path) for path in places.rglob("*") if path.is_file()],
        "zombies": [pid for pid, state in descendants(server.process.pid) if state == "Z"],
        "the log tells what was sent": hostile.MARKER.lower() in log.lower(),
        "lines that are no objects": [line[:100] for line in log.splitlines() if not _is_object(line)][:5],
        "errors in the log": [line for line in log.splitlines() if '"level": "error"' in line][:5],
    }
    return {name: found for name, found in wrong.items() if found}


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--n", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--abreast", type=int, default=12)
    parser.add_argument("--out", type=Path)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        places = Path(scratch) / "places"
        for name in ("home", "temporary", "here"):
            (places / name).mkdir(parents=True)
        environment = {"HOME": str(places / "home"), "TMPDIR": str(places / "temporary")}
        log = Path(scratch) / "log"
        with started(told.bundle.resolve(), log, env=environment, cwd=places / "here") as server:
            pid = server.process.pid
            for _ in range(5):
                before = prediction(server.port)
            memory, begun = [resident_mb(pid)], time.perf_counter()
            statuses, bare, slowest = attack(server.port, told.seed, told.n, abreast=told.abreast, with_heavy=True)
            seconds = time.perf_counter() - begun
            wrong = faults(server, before, statuses, bare, places)
            memory.append(resident_mb(pid))
            if memory[1] - memory[0] > GROWTH_MB:
                wrong["memory"] = memory
            below = descendants(pid)
            if (code := server.stop()) != 0:
                wrong["exit"] = code
            if left := [each for each, _ in below if Path(f"/proc/{each}").exists()]:
                wrong["processes left"] = left
    figures = {
        "requests": told.n,
        "seconds": seconds,
        "by_status": dict(sorted(sum(statuses.values(), Counter()).items())),
        "by_kind": {name: dict(sorted(seen.items())) for name, seen in sorted(statuses.items())},
        "memory_mb": {"before": memory[0], "after": memory[1]},
        "slowest_health_s": slowest,
        "wrong": wrong,
    }
    finish(figures, told.out)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
