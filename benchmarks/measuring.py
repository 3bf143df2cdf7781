"""What the benchmarks share: running a command, its seconds and its peak memory, and where the shared data lie."""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[2] / "shared"


@dataclass(frozen=True, slots=True)
class Measured:
    """A finished command: wall seconds, peak resident memory of it and its children together (MB), its stdout, and their seconds of processor time."""

    seconds: float
    peak_mb: float
    stdout: str
    processor_s: float


def plainfilm(*arguments: str | Path, cache: Path, **environment: str) -> Measured:
    """Run the command line of this checkout with its own cache."""
    return run([sys.executable, "-m", "plainfilm.cli", *map(str, arguments)], PLAINFILM_CACHE=str(cache), **environment)


def run(command: Sequence[str], **environment: str) -> Measured:
    """Run a command to its end; a failure ends the benchmark with what it wrote."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    with Watch(process.pid) as watch:
        stdout, stderr = process.communicate()
        seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{stderr[-2000:]}")
    return Measured(seconds, watch.peak_mb, stdout, watch.processor_s)


class Watch:
    """The peak memory of a process and its descendants, in MB, and their processor time; read twice a second, since reading oftener slows what is measured."""

    def __init__(self, pid: int, every_s: float = 0.5) -> None:
        self._ran_s: dict[int, float] = {}
        self.peak_mb, self._pid, self._every_s, self._stopped = 0.0, pid, every_s, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._stopped.wait(self._every_s):
            self.peak_mb = max(self.peak_mb, resident_mb(self._pid))
            self._ran_s |= {each: ran for each in tree(self._pid) if (ran := ran_s(each))}

    @property
    def processor_s(self) -> float:
        """Seconds of all processes together, each as it was last seen: what it did within half a second of its end may lack."""
        return sum(self._ran_s.values())

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()


def resident_mb(pid: int) -> float:
    """Resident memory of a process and its descendants together."""
    return sum(own_mb(each) for each in tree(pid))


def tree(pid: int) -> list[int]:
    """Give a process and its descendants, itself first."""
    found = [pid]
    for parent in found:
        with suppress(OSError):  # it ends while we look
            for children in Path(f"/proc/{parent}/task").glob("*/children"):
                found += map(int, children.read_text().split())
    return found


def processor_s(pid: int) -> float:
    """Seconds of processor time of a process and those of its descendants that live."""
    return sum(map(ran_s, tree(pid)))


def ran_s(pid: int) -> float:
    """Seconds in user and system mode, proc_pid_stat(5), fields 14 and 15."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def own_mb(pid: int) -> float:
    """Proportional set size: pages that processes share are counted once."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Least, median and largest."""
    return {"least": min(values), "median": statistics.median(values), "largest": max(values)}


def finish(figures: Mapping[str, Any], out: Path | None) -> None:
    """Print figures as JSON and write them to `out`."""
    text = json.dumps(figures, indent=1)
    print(text)
    if out:
        out.write_text(text + "\n", encoding="utf-8")
