"""What `plainfilm app` costs: its first content, a listing of many files, pictures, and what it adds to a training; and whether its runs are the commands' own.

python benchmarks/app.py --parts start,listing,bits,training --out app.json

`listing` makes empty files (100,000 by default) and asks for the state all the while. `bits` trains by the app and by the commands that it shows, on one store,
and compares the files. `training` trains in pairs, by the terminal and by the app with a page that looks on, and adds up the processor time of the app's processes.
"""

import argparse
import hashlib
import json
import os
import re
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from measuring import finish, own_mb, ran_s, spread

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from made_app import App, Client
from plainfilm.data import phantom


def start(folder: Path, rounds: int) -> dict[str, Any]:
    """From the start of the process to the first page."""
    (folder / "home").mkdir()
    seconds, ran = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        with App(folder / "home", log=folder / "log") as app:
            client = app.client()
            assert client.ask("GET", "/")[0] == 200
            seconds.append(time.perf_counter() - began)
            ran.append(ran_s(app.process.pid))
    return {"first_content_s": spread(seconds), "processor_s": spread(ran), "load": os.getloadavg()[0]}


def listing(folder: Path, files: int) -> dict[str, Any]:
    """A listing of many files: counts as they are found, and the longest answer meanwhile."""
    for name in ("COVID", "NORMAL"):
        (folder / "home" / "films" / name).mkdir(parents=True)
        for number in range(files // 2):
            (folder / "home" / "films" / name / f"{number:06}.jpg").touch()
    with App(folder / "home", log=folder / "log") as app:
        client, waits, counts = app.client(), [], set()
        began = time.perf_counter()
        look = client.post("/api/look", {"sources": [str(folder / "home" / "films")]})["look"]
        posted = time.perf_counter() - began
        is_over = threading.Event()
        asking = threading.Thread(target=_ask_on, args=(client, is_over, waits))
        asking.start()
        number, first = 0, 0.0
        while True:
            told = client.get(f"/api/look/{look}?since={number}")
            number = told["number"]
            counts.add(told["found"])
            first = first or (time.perf_counter() - began if told["found"] else 0.0)
            if told["state"] != "running":
                break
        listed = time.perf_counter() - began
        is_over.set()
        asking.join()
        assert told["listing"]["images"] == files, told
    return {
        "files": files,
        "look_answered_s": round(posted, 3),
        "first_count_s": round(first, 2),
        "listed_s": round(listed, 2),
        "counts_told": len(counts),
        "answers_meanwhile": len(waits),
        "longest_answer_s": round(max(waits), 3),
        "median_answer_s": round(statistics.median(waits), 4),
    }


def _ask_on(client: Client, is_over: threading.Event, waits: list[float]) -> None:
    while not is_over.is_set():
        began = time.perf_counter()
        client.get("/api/state")
        waits.append(time.perf_counter() - began)
        time.sleep(0.02)


def films(folder: Path, count: int) -> None:
    phantom.write_phantoms(folder / "home" / "films", n=count, seed=3)


def bits(folder: Path, count: int) -> dict[str, Any]:
    """A run by the app, and by the commands that it shows."""
    films(folder, count)
    with App(folder / "home", log=folder / "log") as app:
        client = app.client()
        job = client.post("/api/train", {"sources": [str(folder / "home" / "films")], "recipe": "quick"})
        done = client.rested(job["id"])
        assert done["state"] == "done", done["line"]
    project = Path(done["made"]).parent
    store, run = project / "films.h5", project / "run"
    by_app = {"store": _fingerprint(store), "run": _files(run)}
    shutil.move(run, folder / "by_app")
    (project / "films.h5.log").unlink()  # openings of the test set, which a report counts
    ingest, train = (shlex.split(line) for line in done["commands"])
    again = [*ingest[:-1], str(folder / "again.h5")] if ingest[-2] == "--out" else ingest
    _command(again, folder, "another")
    _command(train, folder, "another")
    by_terminal = {"store": _fingerprint(folder / "again.h5"), "run": _files(run)}
    return {
        "the_store_is_the_same": by_app["store"] == by_terminal["store"],
        "the_same": sum(by_terminal["run"].get(name) == told for name, told in by_app["run"].items()),
        "differ": {
            name: str([told, by_terminal["run"].get(name)])[:200]
            for name, told in by_app["run"].items()
            if by_terminal["run"].get(name) != told
        },
    }


def _command(words: list[str], folder: Path, cache: str = "cache") -> float:
    """Run a command as a terminal does; give the processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PLAINFILM_CACHE": str(folder / cache)}
    done = subprocess.run([sys.executable, "-m", *words], env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _fingerprint(store: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "plainfilm", "info", str(store), "--json"], capture_output=True, check=True
    )
    return str(json.loads(done.stdout)["fingerprint"])


def _files(run: Path) -> dict[str, Any]:
    """What each file of a run holds but pages, and but for times: a hash; of a bundle one a member, of its JSON and of metrics.json every value."""
    found: dict[str, Any] = {}
    for path in sorted(run.rglob("*")):
        name = str(path.relative_to(run))
        if path.suffix == ".plainfilm":
            with zipfile.ZipFile(path) as bundle:
                for member in bundle.namelist():
                    found |= _told(f"{name}/{member}", bundle.read(member))
        elif path.is_file() and path.suffix not in {".html", ".md"}:
            found |= _told(name, path.read_bytes())
    return found


def _told(name: str, content: bytes) -> dict[str, Any]:
    if name.endswith(".md"):  # a card tells when it was written, and how long the training took
        content = b"\n".join(line for line in content.splitlines() if not re.search(rb"^\| (Made|Time) \|", line))
    if not name.endswith(".json"):
        return {name: hashlib.sha256(content).hexdigest()}
    return {f"{name}: {key}": value for key, value in _timeless(json.loads(content)).items()}


def _timeless(told: Any) -> Any:
    """Leave out when something was made, how long it took, and the hashes of what tells that."""
    if isinstance(told, dict):
        return {name: _timeless(value) for name, value in told.items() if name not in {"seconds", "created", "members"}}
    return [_timeless(each) for each in told] if isinstance(told, list) else told


def training(folder: Path, count: int, pairs: int) -> dict[str, Any]:
    """Trainings in pairs: what the app's own processes take beside the command's."""
    films(folder, count)
    store = folder / "home" / "films.h5"
    _command(["plainfilm", "ingest", str(folder / "home" / "films"), "--out", str(store)], folder)
    with App(folder / "home", log=folder / "log") as app:
        client = app.client()
        is_over = threading.Event()
        seen: dict[str, Any] = {}
        threading.Thread(target=_look_on, args=(client, is_over, seen), daemon=True).start()
        found: list[dict[str, float]] = []
        for number in range(pairs + 1):
            options = {"settings": [f"seed={number}"]}
            alone = _by_terminal(folder, store, number)
            by_app = _by_app(client, app, store, options, seen)
            if number:  # the first fills caches
                found.append(alone | by_app)
        is_over.set()
    share = [100 * each["app_cpu_s"] / each["alone_cpu_s"] for each in found]
    return {
        "pairs": pairs,
        "films": count,
        "alone_s": spread([each["alone_s"] for each in found]),
        "by_app_s": spread([each["by_app_s"] for each in found]),
        "alone_cpu_s": spread([each["alone_cpu_s"] for each in found]),
        "app_cpu_s": spread([each["app_cpu_s"] for each in found]),
        "app_cpu_percent": spread(share),
        "app_mb": spread([each["app_mb"] for each in found]),
        "click_to_process_s": spread([each["click_to_process_s"] for each in found]),
    }


def _look_on(client: Client, is_over: threading.Event, seen: dict[str, Any]) -> None:
    """Ask as a page does, and keep the jobs that it sees."""
    number = 0
    while not is_over.is_set():
        told = client.get(f"/api/state?since={number}")
        number = told["number"]
        seen |= {job["id"]: job for job in told["jobs"]}


def _by_terminal(folder: Path, store: Path, number: int) -> dict[str, float]:
    began = time.perf_counter()
    words = ["plainfilm", "train", str(store), "--out", str(folder / f"alone-{number}"), "--set", f"seed={number}"]
    took = _command(words, folder)
    return {"alone_s": time.perf_counter() - began, "alone_cpu_s": took}


def _by_app(client: Client, app: App, store: Path, options: dict[str, Any], seen: dict[str, Any]) -> dict[str, float]:
    before, most, spent, began = ran_s(app.process.pid), 0.0, {}, time.perf_counter()
    wall = time.time()
    job = client.post("/api/train", {"project": "films", "store": str(store), "options": options})
    while (told := seen.get(job["id"], job))["state"] in {"waiting", "running"}:
        own = _own_processes(app.process.pid)
        spent |= {pid: ran_s(pid) for pid in own if pid != app.process.pid}
        most = max(most, sum(map(own_mb, own)))
        time.sleep(0.5)
    took = time.perf_counter() - began
    assert told["state"] == "done", told["line"]
    begun = json.loads((store.parent / "plainfilm-projects" / ".app" / "jobs" / job["id"] / "begun.json").read_bytes())[
        "at"
    ]
    cpu = ran_s(app.process.pid) - before + sum(spent.values())
    return {"by_app_s": took, "app_cpu_s": cpu, "app_mb": most, "click_to_process_s": begun - wall}


def _own_processes(app: int) -> list[int]:
    """The app and what minds its job; not the command."""
    done = subprocess.run(["pgrep", "-f", "plainfilm.app.runner"], capture_output=True, text=True, check=False)
    return [app, *map(int, done.stdout.split())]


def pictures(folder: Path, count: int) -> dict[str, Any]:
    """The first picture of a look, whose process starts then, and further ones."""
    films(folder, count)
    with App(folder / "home", log=folder / "log") as app:
        client, seconds = app.client(), []
        listing = client.looked(folder / "home" / "films")["listing"]
        for path in [path for paths in listing["examples"].values() for path in paths]:
            began = time.perf_counter()
            assert client.ask("GET", f"/api/picture?of={quote(path)}")[0] == 200
            seconds.append(time.perf_counter() - began)
    return {"first_picture_s": round(seconds[0], 2), "further_pictures_s": spread(seconds[1:])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default="start,listing,pictures,bits,training")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--films", type=int, default=400)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    parts: dict[str, Callable[[Path], dict[str, Any]]] = {
        "start": lambda folder: start(folder, args.rounds),
        "listing": lambda folder: listing(folder, args.files),
        "pictures": lambda folder: pictures(folder, 60),
        "bits": lambda folder: bits(folder, args.films),
        "training": lambda folder: training(folder, args.films, args.pairs),
    }
    found: dict[str, Any] = {}
    for part in args.parts.split(","):
        with tempfile.TemporaryDirectory() as folder:
            found[part] = parts[part](Path(folder))
            print(part, json.dumps(found[part]), flush=True)
    finish(found, args.out)


if __name__ == "__main__":
    main()
