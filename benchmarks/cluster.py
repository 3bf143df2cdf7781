"""One host against two, kills of workers, hosts and driver, and what the engine itself costs.

    python benchmarks/cluster.py [scaling] [kills] [empty] --out cluster.json

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

import plainfilm
from cluster_jobs import Decode, Encode, Left, Nothing, Predict, decode, digest, encode, nothing, predict
from measuring import SHARED, finish
from plainfilm.data.shard_files import KNOWN
from plainfilm.data.shards import ShardJob
from plainfilm.data.store import Store
from plainfilm.engines import certificates
from plainfilm.engines.dask.client import Dask
from plainfilm.engines.engine import Engine
from plainfilm.engines.here import Here
from plainfilm.evidence.inference.pieces import PieceJob
from plainfilm.model import bundle as bundles
from plainfilm.model import encoder
from plainfilm.model.backbones import BACKBONES
from plainfilm.model.encoder import SegmentJob
from plainfilm.model.kernels import kernel_class
from plainfilm.model.shared_bundle import SharedBundle

HERE = Path(__file__).resolve()
PORT, SHARD, EMPTY, SIZE = 8786, 512, 1954, 256
ENDINGS = {"decode": KNOWN, "encode": ".f4", "predict": ".piece"}
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


def driven(keys: Path, *words: object) -> Any:
    """Run a part of this script on host 0; give what it prints as JSON."""
    run = ["ip", "netns", "exec", "pf-0", sys.executable, str(HERE), "--keys", str(keys), *map(str, words)]
    done = subprocess.run(run, check=True, stdout=subprocess.PIPE, env=_environment())
    return json.loads(done.stdout)


# ---- what runs on host 0


def work(engine: Engine, kind: str, told: argparse.Namespace) -> dict[str, Any]:
    """Decode all films, encode the store or answer for the films, in shards of `rows`."""
    function, jobs, check = {
        "decode": (decode, _decodes, None),
        "encode": (encode, _encodes, kernel_class),
        "predict": (predict, _predicts, kernel_class),
    }[kind]
    given = jobs(told)
    begun, own = time.perf_counter(), time.process_time()
    done: list[Left] = list(engine.map(function, given, check=check))
    return {
        "seconds": time.perf_counter() - begun,
        "driver_cpu_s": time.process_time() - own,
        "job_cpu_s": sum(left.cpu_s for left in done),
        "shards": len(done),
        "digest": digest(done),
    }


def _decodes(told: argparse.Namespace) -> list[Decode]:
    cut = [tuple((file, "", None) for file in files) for files in _cut(told)]
    places = [str(told.shards / f"{number:032}") for number in range(len(cut))]
    return [
        Decode(n, ShardJob(n, path, own, SIZE, "stretch", 1))
        for n, (path, own) in enumerate(zip(places, cut, strict=True))
    ]


def _cut(told: argparse.Namespace) -> list[tuple[str, ...]]:
    files = [str(file.absolute()) for file in sorted(told.films.rglob("*.jpg"))]
    return [tuple(files[at : at + told.rows]) for at in range(0, len(files) // told.rows * told.rows, told.rows)]


def _predicts(told: argparse.Namespace) -> list[Predict]:
    shared = SharedBundle.of(bundles.load(told.bundle), told.bundle, None)
    return [
        Predict(n, PieceJob(n, str(told.shards / f"{n}.piece"), shared, files, None, None, 1))
        for n, files in enumerate(_cut(told))
    ]


def _encodes(told: argparse.Namespace) -> list[Encode]:
    backbone = BACKBONES["efficientnet_lite0"]
    opened = encoder.open_encoder(backbone, encoder.preprocessing(backbone, image_size=SIZE))
    with Store(told.store) as store:
        common = {
            "store": str(told.store.absolute()),
            "fingerprint": store.fingerprint,
            "length": told.rows,
            "network": str(opened.path.absolute()),
            "key": opened.key,
            "name": opened.name,
            "preprocessing": opened.preprocessing,
            "weights_sha256": opened.weights_sha256,
        }
        starts = range(0, len(store) // told.rows * told.rows, told.rows)
    return [
        Encode(n, SegmentJob(number=n, path=str(told.shards / f"{n}.f4"), start=start, **common))
        for n, start in enumerate(starts)
    ]


def drive(told: argparse.Namespace) -> None:
    """Do what this script was started on host 0 for."""
    with Dask(DRIVER, certificates=told.keys) as engine:
        if told.drive == "empty":
            names = tuple(f"/films/patient{number:06}/study1/view1_frontal.jpg" for number in range(SHARD))
            begun, own = time.perf_counter(), time.process_time()
            count = sum(1 for _ in engine.map(nothing, (Nothing(number, names) for number in range(EMPTY))))
            answer = {"seconds": time.perf_counter() - begun, "driver_cpu_s": time.process_time() - own, "jobs": count}
        else:
            answer = work(engine, told.drive, told)
    print(json.dumps(answer))


# ---- the parts


def kinds(told: argparse.Namespace) -> list[str]:
    """Name the kinds of jobs: those that were asked for, of those that there is a bundle for."""
    return [kind for kind in told.kind or ENDINGS if kind != "predict" or told.bundle]


def _bundle(told: argparse.Namespace) -> list[object]:
    return ["--bundle", told.bundle] if told.bundle else []


def scaling(told: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """One host against two, decoding, encoding and predicting, and what of the processors' time was the engine's."""
    answer: dict[str, Any] = {}
    small = _few(told.films, scratch / "few", 2 * told.rows)
    stores = {films: _stored(films, scratch / f"{films.name}.h5") for films in (told.films, small)}
    for kind in kinds(told):
        rows = []
        for hosts in (1, 2):
            with cluster(told.quota, hosts) as (held, scheduler, workers):

                def driven_over(films: Path, held: Hosts = held, kind: str = kind) -> Any:
                    shards = Path(tempfile.mkdtemp(dir=scratch))
                    words = ["--films", films, "--store", stores[films], "--shards", shards, "--rows", told.rows]
                    return driven(held.keys, "--drive", kind, *words, *_bundle(told))

                driven_over(small)  # imports, and the network: once a worker
                before = cpu_s(scheduler), sum(map(cpu_s, workers))
                row = driven_over(told.films) | {"hosts": hosts}
                row |= {
                    "scheduler_cpu_s": cpu_s(scheduler) - before[0],
                    "worker_cpu_s": sum(map(cpu_s, workers)) - before[1],
                }
                spent = row["worker_cpu_s"] + row["scheduler_cpu_s"] + row["driver_cpu_s"]
                row["share_of_engine"] = 1 - row["job_cpu_s"] / spent
                row["share_of_engine_on_workers"] = 1 - row["job_cpu_s"] / row["worker_cpu_s"]
                rows.append(row)
                print(kind, row, flush=True)
        if rows[0]["digest"] != rows[1]["digest"]:
            sys.exit(f"{kind}: two hosts give other bits than one")
        ratio = rows[0]["seconds"] / rows[1]["seconds"]
        equal = (
            ratio * rows[1]["job_cpu_s"] / rows[0]["job_cpu_s"]
        )  # a busy machine makes the same work dearer at times
        answer[kind] = {"rows": rows, "ratio": ratio, "ratio_at_equal_cpu": equal}
    return answer


def kills(told: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Kill a worker, a host or the driver at a moment drawn, and hold what is left in the end against what one machine leaves."""
    told.films = _few(told.films, scratch / "few", 8 * told.rows)
    told.store = _stored(told.films, scratch / "few.h5")
    told.shards = Path(tempfile.mkdtemp(dir=scratch))
    wanted = {kind: work(Here(), kind, told)["digest"] for kind in kinds(told)}
    drawn, cases = random.Random(told.seed), list[dict[str, Any]]()
    with cluster(2.0, 2) as (held, _, workers):
        for case in range(told.cases):
            victim, found = drawn.choice(["worker", "host", "driver"]), dict[str, str]()
            told.shards = Path(tempfile.mkdtemp(dir=scratch))
            words = ["--films", told.films, "--store", told.store, "--shards", told.shards, "--rows", told.rows]
            words += _bundle(told)
            for kind in kinds(told):
                killer = threading.Thread(
                    target=_kill, args=(victim, kind, held, workers, told.shards, drawn.randrange(8))
                )
                killer.start()
                try:
                    found[kind] = driven(held.keys, "--drive", kind, *words)["digest"]
                except subprocess.CalledProcessError:  # the driver was killed: the same command again
                    found[kind] = driven(held.keys, "--drive", kind, *words)["digest"]
                killer.join()
            cases.append({"victim": victim, "equal": found == wanted})
            print(case, cases[-1], flush=True)
            shutil.rmtree(told.shards)
    return {"cases": len(cases), "equal": sum(each["equal"] for each in cases), "each": cases}


def _kill(victim: str, kind: str, held: Hosts, workers: list["subprocess.Popen[bytes]"], shards: Path, at: int) -> None:
    """Wait for so many shards, and kill."""
    limit = time.monotonic() + 120
    while len(list(shards.glob(f"*{ENDINGS[kind]}"))) < at and time.monotonic() < limit:
        time.sleep(0.01)
    if victim == "driver":
        for process in psutil.process_iter(["cmdline"]):
            if {"--drive", str(shards)} <= {*(process.info["cmdline"] or ())}:
                process.kill()
    elif victim == "host":
        end(workers[0], signal.SIGKILL)
        workers[0] = held.start(1, "worker", DRIVER, "--processes", 1)
    else:
        below = psutil.Process(workers[0].pid).children(recursive=True)
        for process in [each for each in below if "spawn_main" in " ".join(each.cmdline())]:
            process.kill()


def empty(told: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """As many shards as a million films have, without work: what scheduler, worker and driver take."""
    del scratch
    with cluster(2.0, 2) as (held, scheduler, workers):
        before = cpu_s(scheduler), sum(map(cpu_s, workers)), _peak_mb(scheduler)
        row = driven(held.keys, "--drive", "empty", "--films", told.films)
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
    for file in sorted(films.rglob("*.jpg"))[:: len(list(films.rglob("*.jpg"))) // count][:count]:
        link = folder / file.parent.name / file.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file.resolve())
    return folder


def _stored(films: Path, out: Path) -> Path:
    plainfilm.ingest(films, out, size=SIZE)
    return out


PARTS = {"scaling": scaling, "kills": kills, "empty": empty}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--films", type=Path, default=SHARED / "data" / "mixed")
    parser.add_argument("--rows", type=int, default=64, help="films a shard")
    parser.add_argument("--quota", type=float, default=0.15, help="of one processor, a host")
    parser.add_argument("--cases", type=int, default=10, help="of kills")
    parser.add_argument(
        "--bundle", type=Path, help="a model.plainfilm to predict with; without it nothing is predicted"
    )
    parser.add_argument("--kind", action="append", choices=ENDINGS, help="kinds of jobs; all by default")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--drive", choices=[*ENDINGS, "empty"], help=argparse.SUPPRESS)
    for name in ("--keys", "--shards", "--store"):
        parser.add_argument(name, type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.drive:
        drive(told)
        return
    if unknown := set(told.parts) - set(PARTS):
        parser.error(f"Expected a PART among {', '.join(PARTS)}; received {', '.join(sorted(unknown))}.")
    with tempfile.TemporaryDirectory() as scratch:
        parts = told.parts or PARTS
        answer = {part: PARTS[part](told, Path(tempfile.mkdtemp(dir=scratch))) for part in parts}
    finish(answer, told.out)


if __name__ == "__main__":
    main()
