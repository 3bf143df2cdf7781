"""One host against two, kills of workers, hosts and driver, and what the engine itself costs.

    python benchmarks/cluster.py scaling kills empty --films ../shared/data/mixed --out cluster.json

A host is a network namespace of Linux with a share of one processor (--quota): what else runs on the machine then counts little. Needs root,
iproute2, the extras `cluster` and `sign`, and a folder of films. Scheduler and driver have a host of their own, without a quota.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from cluster_jobs import Decode, Encode, Left, Nothing, decode, digest, encode, nothing
from measuring import SHARED, finish
from plainfilm.engines import certificates
from plainfilm.engines.dask.client import Dask
from plainfilm.engines.engine import Engine
from plainfilm.engines.here import Here

HERE = Path(__file__).resolve()
PORT, SHARD, EMPTY = 8786, 512, 1954
GROUPS = Path("/sys/fs/cgroup")
DRIVER = f"tls://10.77.0.10:{PORT}"


class Hosts:
    """Three hosts on one switch that nothing else reaches: 0 for scheduler and driver, 1 and 2 with a share of a processor each."""

    def __init__(self, quota: float) -> None:
        self._quota, self._processes = quota, list[subprocess.Popen[bytes]]()
        self.keys = Path(tempfile.mkdtemp()) / "keys"

    def __enter__(self) -> "Hosts":
        self.__exit__()
        certificates.make(self.keys)
        _ip("netns add pf-switch", "-n pf-switch link add bridge type bridge", "-n pf-switch link set bridge up")
        for host in range(3):
            _ip(f"netns add pf-{host}", f"link add pf{host} netns pf-switch type veth peer name eth0 netns pf-{host}")
            _ip(
                f"-n pf-switch link set pf{host} master bridge up", f"-n pf-{host} addr add 10.77.0.1{host}/24 dev eth0"
            )
            _ip(f"-n pf-{host} link set eth0 up", f"-n pf-{host} link set lo up")
            if host:
                _bound(f"pf-{host}", self._quota)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            end(process)
        for name in ("pf-0", "pf-1", "pf-2", "pf-switch"):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def start(self, host: int, *words: str | int) -> "subprocess.Popen[bytes]":
        """Run a command of plainfilm on a host, and wait for what it says first."""
        group = (
            f"echo $$ > {_group(f'pf-{host}') / 'cgroup.procs'}; exec taskset -c {(host - 1) % (os.cpu_count() or 1)}"
            if host
            else "exec"
        )
        run = [sys.executable, "-m", "plainfilm", *map(str, words), "--certificates", str(self.keys)]
        process = subprocess.Popen(
            ["sh", "-c", f'{group} ip netns exec pf-{host} "$@"', "sh", *run],
            stdout=subprocess.PIPE,
            env=_environment(),
        )
        self._processes.append(process)
        if process.stdout is None or not process.stdout.readline():
            sys.exit(f"{' '.join(run)} did not start")
        return process


def _ip(*commands: str) -> None:
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)


def _group(name: str) -> Path:
    is_one = (GROUPS / "cgroup.controllers").exists()
    return (GROUPS if is_one else GROUPS / "cpu") / name


def _bound(name: str, quota: float) -> None:
    """Let what runs in a control group have a share of one processor, and that before others (cgroups(7), both versions)."""
    folder = _group(name)
    folder.mkdir(exist_ok=True)
    if (folder / "cpu.cfs_quota_us").exists():
        (folder / "cpu.cfs_period_us").write_text("100000")
        (folder / "cpu.cfs_quota_us").write_text(str(round(quota * 100_000)))
        (folder / "cpu.shares").write_text("65536")
    else:
        (folder / "cpu.max").write_text(f"{round(quota * 100_000)} 100000")
        (folder / "cpu.weight").write_text("10000")


def _environment() -> dict[str, str]:
    paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def end(process: "subprocess.Popen[bytes]", kind: int = signal.SIGTERM) -> None:
    """End a command and all that it has started, as when its host is lost where `kind` is SIGKILL."""
    with contextlib.suppress(psutil.NoSuchProcess):
        tree = psutil.Process(process.pid)
        for each in [*tree.children(recursive=True), tree] if kind == signal.SIGKILL else [tree]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(kind)
    process.wait()


def cpu_s(process: "subprocess.Popen[bytes]") -> float:
    """Processor seconds of a command and of all that it has started and that still runs."""
    with contextlib.suppress(psutil.NoSuchProcess):
        tree = psutil.Process(process.pid)
        return sum(sum(each.cpu_times()[:4]) for each in [tree, *tree.children(recursive=True)])
    return 0.0


@contextlib.contextmanager
def cluster(
    quota: float, hosts: int
) -> Iterator[tuple[Hosts, "subprocess.Popen[bytes]", list["subprocess.Popen[bytes]"]]]:
    """Start a scheduler and a worker of one process on each host."""
    with Hosts(quota) as held:
        scheduler = held.start(0, "scheduler", "--host", "10.77.0.10", "--port", PORT)
        workers = [held.start(host, "worker", DRIVER, "--processes", 1) for host in range(1, hosts + 1)]
        yield held, scheduler, workers


def driven(keys: Path, *words: str) -> Any:
    """Run a part of this script on host 0; give what it prints as JSON."""
    run = ["ip", "netns", "exec", "pf-0", sys.executable, str(HERE), "--keys", str(keys), *words]
    done = subprocess.run(run, check=True, stdout=subprocess.PIPE, env=_environment())
    return json.loads(done.stdout)


# ---- what runs on host 0


def work(engine: Engine, kind: str, films: Path, shards: Path, rows: int) -> dict[str, Any]:
    """Decode all films, or encode what is decoded, in shards of `rows`; seconds from the first result, which has warmed its worker, on."""
    files = sorted(map(str, films.rglob("*.jpg")))
    cut = [tuple(files[at : at + rows]) for at in range(0, len(files) // rows * rows, rows)]
    if kind == "decode":
        results = engine.map(decode, [Decode(n, own, str(shards / f"{n}.npy")) for n, own in enumerate(cut)])
    else:
        jobs = [Encode(n, str(shards / f"{n}.npy"), str(shards / f"{n}.features.npy")) for n in range(len(cut))]
        results = engine.map(encode, jobs)
    begun, own = time.perf_counter(), time.process_time()
    done: list[Left] = list(results)
    return {
        "seconds": time.perf_counter() - begun,
        "driver_cpu_s": time.process_time() - own,
        "job_cpu_s": sum(left.cpu_s for left in done),
        "shards": len(done),
        "digest": digest(done),
    }


def drive(told: argparse.Namespace) -> None:
    """Do what this script was started on host 0 for."""
    with Dask(DRIVER, certificates=told.keys) as engine:
        if told.drive == "empty":
            names = tuple(f"/films/patient{number:06}/study1/view1_frontal.jpg" for number in range(SHARD))
            begun, own = time.perf_counter(), time.process_time()
            count = sum(1 for _ in engine.map(nothing, (Nothing(number, names) for number in range(EMPTY))))
            answer = {"seconds": time.perf_counter() - begun, "driver_cpu_s": time.process_time() - own, "jobs": count}
        else:
            answer = work(engine, told.drive, told.films, told.shards, told.rows)
    print(json.dumps(answer))


# ---- the parts


def scaling(told: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """One host against two, decoding and encoding, and what of the processors' time was the engine's."""
    answer: dict[str, Any] = {}
    small = _few(told.films, scratch / "few", 2 * told.rows)
    for kind in ("decode", "encode"):
        rows = []
        for hosts in (1, 2):
            with cluster(told.quota, hosts) as (held, scheduler, workers):
                few = ["--films", str(small), "--shards", str(_folder(scratch / "few-shards"))]
                common = ["--rows", str(told.rows)]
                for first in ("decode", "encode")[: 1 + (kind == "encode")]:
                    driven(held.keys, "--drive", first, *few, *common)
                before = cpu_s(scheduler), sum(map(cpu_s, workers))
                row = driven(
                    held.keys,
                    "--drive",
                    kind,
                    "--films",
                    str(told.films),
                    "--shards",
                    str(_folder(scratch / "shards")),
                    *common,
                )
                row |= {
                    "hosts": hosts,
                    "scheduler_cpu_s": cpu_s(scheduler) - before[0],
                    "worker_cpu_s": sum(map(cpu_s, workers)) - before[1],
                }
                rows.append(row)
                print(kind, row, flush=True)
        if rows[0]["digest"] != rows[1]["digest"]:
            sys.exit(f"{kind}: two hosts give other bits than one")
        answer[kind] = {"rows": rows, "ratio": rows[0]["seconds"] / rows[1]["seconds"]}
    return answer


def kills(told: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Kill a worker, a host or the driver at a moment drawn, and hold what is left in the end against what one machine leaves."""
    small = _few(told.films, scratch / "few", 8 * told.rows)
    wanted = {
        kind: work(Here(), kind, small, _folder(scratch / "alone"), told.rows)["digest"]
        for kind in ("decode", "encode")
    }
    drawn, equal = random.Random(told.seed), list[dict[str, Any]]()
    for case in range(told.cases):
        victim = drawn.choice(["worker", "host", "driver"])
        shards = _folder(scratch / f"case-{case}")
        found = {}
        with cluster(2.0, 2) as (held, _, workers):
            for kind in ("decode", "encode"):
                words = ["--drive", kind, "--films", str(small), "--shards", str(shards), "--rows", str(told.rows)]
                stop = threading.Thread(target=_kill, args=(victim, kind, held, workers, shards, drawn.randrange(1, 8)))
                stop.start()
                try:
                    found[kind] = driven(held.keys, *words)["digest"]
                except subprocess.CalledProcessError:  # the driver was killed: the same command again
                    found[kind] = driven(held.keys, *words)["digest"]
                stop.join()
        equal.append({"victim": victim, "equal": found == wanted})
        print(case, equal[-1], flush=True)
        shutil.rmtree(shards)
    return {"cases": len(equal), "equal": sum(each["equal"] for each in equal), "each": equal}


def _kill(victim: str, kind: str, held: Hosts, workers: list["subprocess.Popen[bytes]"], shards: Path, at: int) -> None:
    """Wait for so many shards, and kill."""
    ending = ".features.npy" if kind == "encode" else ".npy"
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        if len([each for each in shards.glob(f"*{ending}") if kind == "encode" or "features" not in each.name]) >= at:
            break
        time.sleep(0.01)
    if victim == "driver":
        for process in psutil.process_iter(["cmdline"]):
            if (
                process.info["cmdline"]
                and "--drive" in process.info["cmdline"]
                and str(shards) in process.info["cmdline"]
            ):
                process.kill()
    elif victim == "host":
        end(workers[0], signal.SIGKILL)
        workers[0] = held.start(1, "worker", DRIVER, "--processes", 1)
    else:
        below = psutil.Process(workers[0].pid).children(recursive=True)
        for process in [each for each in below if "spawn_main" in " ".join(each.cmdline())][:1]:
            process.kill()


def empty(told: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """As many shards as a million films have, without work: what scheduler, worker and driver take."""
    del scratch
    with cluster(2.0, 2) as (held, scheduler, workers):
        before = cpu_s(scheduler), sum(map(cpu_s, workers)), _peak_mb(scheduler)
        row = driven(held.keys, "--drive", "empty", "--films", str(told.films), "--shards", ".", "--rows", "1")
        row |= {
            "scheduler_cpu_s": cpu_s(scheduler) - before[0],
            "worker_cpu_s": sum(map(cpu_s, workers)) - before[1],
            "scheduler_mb_before": before[2],
            "scheduler_mb_after": _peak_mb(scheduler),
        }
    each = (row["scheduler_cpu_s"] + row["worker_cpu_s"] + row["driver_cpu_s"]) / row["jobs"]
    return row | {"cpu_ms_a_shard": 1000 * each}


def _peak_mb(process: "subprocess.Popen[bytes]") -> float:
    tree = psutil.Process(process.pid)
    return max(each.memory_info().rss for each in [tree, *tree.children(recursive=True)]) / 1e6


def _few(films: Path, folder: Path, count: int) -> Path:
    """Make a folder of links to the first films of another."""
    folder.mkdir()
    for file in sorted(films.rglob("*.jpg"))[:count]:
        (folder / file.name).symlink_to(file.resolve())
    return folder


def _folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "parts", nargs="*", choices=["scaling", "kills", "empty", []], metavar="PART", help="scaling, kills, empty"
    )
    parser.add_argument("--films", type=Path, default=SHARED / "data" / "mixed")
    parser.add_argument("--rows", type=int, default=64, help="films a shard")
    parser.add_argument("--quota", type=float, default=0.15, help="of one processor, a host")
    parser.add_argument("--cases", type=int, default=10, help="of kills")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--out", type=Path)
    for name in ("--drive", "--keys", "--shards"):
        parser.add_argument(name, type=Path if name != "--drive" else str, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.drive:
        drive(told)
        return
    with tempfile.TemporaryDirectory() as scratch:
        answer = {part: globals()[part](told, Path(tempfile.mkdtemp(dir=scratch))) for part in told.parts}
    finish(answer, told.out)


if __name__ == "__main__":
    main()
