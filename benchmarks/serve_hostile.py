"""Hundreds of hostile requests against a running server, and what is left of it afterwards.

    python benchmarks/serve_hostile.py --bundle run/model.plainfilm --n 600 --out hostile.json

Loopback alone; seeded; ends by itself. The requests are those of tests/hostile_requests.py. Exits with 1 if anything is not as it was.
Needs Linux, and the extras `serve` and `dev`.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measuring import finish, resident_mb

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import hostile_requests as hostile
from made_requests import asked, head, own_places, started
from unharmed import harm, harm_at_the_end, prediction

GROWTH_MB = 400.0  # of the server with its decoding processes, from before to after
ALLOWED = {100, *range(200, 300), 400, 401, 403, 404, 405, 408, 411, 413, 415, 431, 501, 503, 505}


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
        with started(told.bundle.resolve(), Path(scratch) / "log", **own_places(places)) as server:
            pid = server.process.pid
            for _ in range(5):
                before = prediction(server.port)
            memory, begun = [resident_mb(pid)], time.perf_counter()
            statuses, bare, slowest = attack(server.port, told.seed, told.n, abreast=told.abreast, with_heavy=True)
            seconds = time.perf_counter() - begun
            odd = {name: sorted(set(seen) - ALLOWED - {0}) for name, seen in statuses.items()}
            wrong = harm(server, before, places, tries=60)  # of its films some may still be decoded
            wrong |= {f"statuses of {name}": found for name, found in odd.items() if found}
            if bare:
                wrong["answers without nosniff"] = bare
            memory.append(resident_mb(pid))
            if memory[1] - memory[0] > GROWTH_MB:
                wrong["memory"] = memory
            wrong |= harm_at_the_end(server)
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
