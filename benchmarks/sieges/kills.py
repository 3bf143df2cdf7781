"""Kills at chosen system calls and at random times, over all commands that write: old or new whole, and the next command works.

A process that has imported everything forks for each case, so that a kill costs the command and not Python's start. Three kills
in four come before the k-th call that changes files, k drawn among those of a run that ends; the others after a random time.
`demo` is left out: it is three of these commands, one after the other, and takes a minute.
"""

import contextlib
import hashlib
import itertools
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sieges.row import Row, Told

DEFAULT = 200
SIZE = 32
QUICK = {"backbone.input_size": SIZE, "training.epochs": 1}
_EVENTS = frozenset("open os.rename os.remove os.mkdir os.rmdir os.link os.utime os.truncate fcntl.flock".split())


@dataclass(frozen=True, slots=True)
class Case:
    """A command: what it writes, how it runs, whether it shares the cache with a second one, how often it is drawn."""

    name: str
    out: str
    act: Callable[[Path], object]
    weight: int
    overwrites: bool = True
    steps: bool = False  # as on a system that cannot exchange two names
    grows: bool = False  # kept as it comes, and gone on with: not whole before its end
    mark: str = ""  # that may lie in a new whole one until the next command of its kind takes it away
    partner: bool = False  # a second process does the same with an --out of its own and the same, empty cache


def run(told: Told) -> Row:
    """Kill, look, go on; each case from the same state."""
    os.environ |= {
        "PLAINFILM_CACHE": str(told.scratch / "cache"),
        "KERAS_BACKEND": "jax",
        "OMP_NUM_THREADS": "1",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    }
    draw, cases, kinds = random.Random(told.seed), told.cases or DEFAULT, _kinds()
    siege = Siege(told.scratch)
    wrong, ended = Counter[str](), Counter[str]()
    for number, case in enumerate(draw.choices(kinds, [each.weight for each in kinds], k=cases)):
        found, fault = siege.kill(case, draw, at_call=number % 4 != 3, again=number % 5 == 0)
        ended[found] += 1
        if fault:
            wrong[f"{case.name}: {fault}"] += 1
            print(f"    case {number}, {case.name}: {fault}", flush=True)
        if number % 10 == 9:
            print(f"    {number + 1} of {cases}: {dict(ended)}, {wrong.total()} wrong", flush=True)
    shares = ", ".join(f"{count} {name}" for name, count in sorted(ended.items()))
    return Row(
        tried=f"kills over {len(kinds)} commands, three in four at a chosen call, forked from one process",
        cases=cases,
        found=f"{cases - wrong.total()} of {cases} ({shares}){'; ' + str(dict(wrong)) if wrong else ''}",
        promised=f"{cases} of {cases}: old or new whole, the next command works, nothing is left that grows",
        holds=not wrong,
    )


class Siege:
    """The folder that all commands run in, with what they read; and what each leaves when nothing stops it."""

    def __init__(self, scratch: Path) -> None:
        from plainfilm.data import phantom
        from plainfilm.model import keras_backend
        from plainfilm.workflows import ingest, train

        keras_backend.load()  # imported once, before all forks; it has computed nothing yet
        self.here, self.old, self.log = scratch / "here", scratch / "old", scratch / "log"
        self.here.mkdir()
        self.old.mkdir()
        self._whole: dict[str, tuple[int, float, set[str]]] = {}
        for act in (
            lambda: phantom.write_phantoms(self.here / "films", n=24, seed=1),
            lambda: phantom.write_phantoms(self.here / "others", n=12, seed=9),
            lambda: ingest.ingest(self.here / "films", self.here / "s.h5", size=SIZE, workers=1),
            lambda: train.train(self.here / "s.h5", self.here / "run", settings=QUICK, audit=False),
        ):
            self._must(act)
        self._inputs = {path.name for path in self.here.iterdir()}

    def run_whole(self, case: Case) -> None:
        """Run a command to its end; count its calls, and keep what it made for those that replace it."""
        self._reset()
        begun, calls = time.perf_counter(), self.here.with_name("calls")
        self._must(lambda: _counted(case, self.here, calls))
        seconds = time.perf_counter() - begun
        for path in self.here.iterdir():
            if path.name not in self._inputs:
                _copy(path, self.old / case.name / path.name)
        self._whole[case.name] = int(calls.read_text()), seconds, _names(self.here / case.out)

    def kill(self, case: Case, draw: random.Random, *, at_call: bool, again: bool) -> tuple[str, str]:
        """Kill a command; give what stands there then, and what is wrong with that, or with what comes after."""
        if case.name not in self._whole:
            self.run_whole(case)
        calls, seconds, _ = self._whole[case.name]
        self._reset(case if case.overwrites else None)
        before = _digest(self.here / case.out)
        with self._shared_cache(case) as partner:
            if at_call:
                status = _wait(_fork(lambda: _dies(case, self.here, draw.randrange(calls)), self.log))
            else:
                status = _wait(_fork(lambda: _prepared(case, self.here), self.log), draw.uniform(0, seconds))
            faults = [partner()]
        if status not in {0, -signal.SIGKILL}:
            return "failed", f"ended with {status}: {self._said()}"
        if not case.steps and not self._is_whole(case, before):
            faults.append("neither old nor new before anyone looked")
        faults += [self._after(lambda: self._look(case, before), "looking")]
        found = "ended" if status == 0 else "old" if _digest(self.here / case.out) == before else "new"
        faults += [self._after(self._next, "the next command")]
        if again:
            faults += [self._after(lambda: _prepared(case, self.here), "the same command")] if case.overwrites else []
        _age(self.here)
        faults += [self._after(self._write, "the command after that"), self._left()]
        return found, next(filter(None, faults), "")

    def _reset(self, case: Case | None = None) -> None:
        for path in self.here.iterdir():
            if path.name not in self._inputs:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if case:
            for path in (self.old / case.name).iterdir():
                _copy(path, self.here / path.name)

    @contextlib.contextmanager
    def _shared_cache(self, case: Case) -> Iterator[Callable[[], str]]:
        """For a case with a partner: empty the cache of features, and let a second process fill it at the same time."""
        cache = Path(os.environ["PLAINFILM_CACHE"])
        if not case.partner:
            yield lambda: ""
            return
        for folder in cache.iterdir():
            if folder.name not in {"encoders", "compiled", "openings"}:
                shutil.rmtree(folder)
        beside = self.here / "partner"
        beside.mkdir()
        _copy(self.here / "s.h5", beside / "s.h5")
        child = _fork(lambda: _prepared(case, beside), self.log.with_name("partner"))

        def ended() -> str:
            status = _wait(child)
            if status == 0 and _names(beside / case.out) == self._whole[case.name][2]:
                shutil.rmtree(beside)
                return ""
            return f"its partner ended with {status}: {_last_line(self.log.with_name('partner'))}"

        yield ended

    def _is_whole(self, case: Case, before: str) -> bool:
        """Whether there is the old, a new one with all its files, or, where nothing is replaced, none."""
        now = _digest(self.here / case.out)
        if now == before or case.grows:
            return True
        return bool(now) and _names(self.here / case.out) - {case.mark} == self._whole[case.name][2]

    def _look(self, case: Case, before: str) -> None:
        """Open what is there, with every check that reading has."""
        from plainfilm.data.files import settle
        from plainfilm.data.store import Store
        from plainfilm.model import bundle

        out = self.here / case.out
        settle(out)
        if not self._is_whole(case, before):
            raise AssertionError("neither old nor new")
        if out.suffix == ".h5" and out.exists():
            with Store(out) as opened:
                opened.images(range(len(opened)))
        for file in out.rglob("*"):
            if file.suffix == ".json":
                json.loads(file.read_bytes())
            if file.suffix == ".plainfilm":
                bundle.load(file)

    def _next(self) -> None:
        """Write something else in the same folder."""
        from plainfilm.workflows import ingest

        ingest.ingest(self.here / "others", self.here / "next.h5", size=SIZE, workers=1, overwrite=True)

    def _write(self) -> None:
        from plainfilm.data.files import written_whole

        with written_whole(self.here / "note") as partial:
            partial.touch()

    def _left(self) -> str:
        goes_on = {".out.epochs", ".out.search"}
        left = [path.name for path in self.here.iterdir() if path.name.startswith(".") and path.name not in goes_on]
        return f"{len(left)} files left, such as {left[0]}" if left else ""

    def _must(self, act: Callable[[], object]) -> None:
        if fault := self._after(act, "preparing"):
            sys.exit(fault)

    def _after(self, act: Callable[[], object], what: str) -> str:
        status = _wait(_fork(act, self.log))
        return f"{what} ended with {status}: {_last_line(self.log)}" if status else ""

    def _said(self) -> str:
        return _last_line(self.log)


def _last_line(log: Path) -> str:
    return (log.read_text(errors="replace").strip().splitlines() or [""])[-1][:200]


def _kinds() -> list[Case]:
    from plainfilm.data import phantom
    from plainfilm.model import export
    from plainfilm.workflows import audit, compare, evaluate, ingest, train, tune

    def trained(here: Path, out: str = "out", **told: Any) -> object:
        return train.train(here / "s.h5", here / out, settings=QUICK, audit=False, **told)

    def tuned(here: Path, **told: Any) -> object:
        return tune.tune(here / "s.h5", here / "out", trials=2, backbones=["efficientnet_lite0"], input_sizes=[SIZE], views=0, epochs=1, folds=1, **told)  # fmt: skip

    def answered(here: Path) -> object:
        from plainfilm.evidence.inference import predictor
        from plainfilm.evidence.inference.overlays import Overlays
        from plainfilm.workflows.predict import load

        opened = load(here / "run" / "model.plainfilm")
        paths, _ = predictor.paths([here / "others"])
        return list(opened.stream(paths, workers=1, explain=Overlays(here / "out", opened)))

    bundle = Path("run") / "model.plainfilm"
    return [
        Case("ingest", "out.h5", lambda here: ingest.ingest(here / "films", here / "out.h5", size=SIZE, workers=1, overwrite=True), 14),
        Case("phantom", "out", lambda here: phantom.write_phantoms(here / "out", n=8, overwrite=True), 8),
        Case("train", "out", lambda here: trained(here, overwrite=True), 10),
        Case("train, new", "out", trained, 5, overwrites=False),
        Case("train, in steps", "out", lambda here: trained(here, overwrite=True), 8, steps=True),
        Case("train, shared cache", "out", trained, 6, overwrites=False, partner=True),
        Case("audit", "out", lambda here: audit.audit(here / "s.h5", here / "out", overwrite=True), 10),
        Case("audit, in steps", "out", lambda here: audit.audit(here / "s.h5", here / "out", overwrite=True), 8, steps=True),
        Case("audit, shared cache", "out", lambda here: audit.audit(here / "s.h5", here / "out"), 6, overwrites=False, partner=True),
        Case("evaluate", "out", lambda here: evaluate.evaluate(here / bundle, here / "others", here / "out", workers=1, overwrite=True), 7),
        Case("compare", "out", lambda here: compare.compare(here / "s.h5", here / "out", recipes=["default"], seeds=1, settings=QUICK, overwrite=True), 7),
        Case("tune", "out", lambda here: tuned(here, overwrite=True), 5, mark=tune._UNFINISHED),
        Case("tune, new", "out", tuned, 3, overwrites=False, grows=True),
        Case("export", "out.onnx", lambda here: export.export(here / bundle, "onnx", here / "out.onnx", overwrite=True), 5),
        Case("export of two files", "out.xml", lambda here: export.export(here / bundle, "openvino", here / "out.xml", overwrite=True), 5, steps=True),
        Case("predict with pictures", "out", answered, 3, grows=True),
    ]  # fmt: skip


def _prepared(case: Case, here: Path) -> None:
    from plainfilm.data import files

    os.fsync = lambda _handle: None  # a kill loses nothing that was written; only a loss of power would
    if case.steps:
        files._exchange = lambda _one, _other: False
    case.act(here)


def _dies(case: Case, here: Path, at: int) -> None:
    left = itertools.count(at, -1)
    _hear(here, lambda: next(left) == 0 and os.kill(os.getpid(), signal.SIGKILL))
    _prepared(case, here)


def _counted(case: Case, here: Path, note: Path) -> None:
    heard = itertools.count()
    _hear(here, lambda: next(heard))
    _prepared(case, here)
    note.write_text(str(next(heard)))


def _hear(here: Path, called: Callable[[], object]) -> None:
    """Hear each call that changes a file below the scratch folder, by Python's audit events, and each exchange of two names."""
    from plainfilm.data import files

    scratch, exchange = str(here.parent), files._exchange

    def heard(event: str, told: tuple[Any, ...]) -> None:
        if event not in _EVENTS:
            return
        is_reading = event == "open" and not (isinstance(told[2], int) and told[2] & (os.O_WRONLY | os.O_RDWR))
        is_inside = not isinstance(told[0], str | Path) or str(told[0]).startswith(scratch) or "/" not in str(told[0])
        if is_inside and not is_reading:
            called()

    def exchanged(one: Path, other: Path) -> bool:
        called()
        return exchange(one, other)

    files._exchange = exchanged
    sys.addaudithook(heard)


def _fork(act: Callable[[], object], log: Path) -> int:
    child = os.fork()
    if child:
        return child
    with contextlib.suppress(BaseException):
        handle = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        try:
            act()
            os._exit(0)
        finally:
            traceback.print_exc()
    os._exit(1)


def _wait(child: int, kill_after_s: float | None = None) -> int:
    """Wait for a child, or kill it after some seconds; its exit code, or less than 0 the signal."""
    ends = time.monotonic() + kill_after_s if kill_after_s is not None else None
    while ends is not None:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= ends:
            os.kill(child, signal.SIGKILL)
            break
        time.sleep(0.001)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _names(path: Path) -> set[str]:
    return {str(file.relative_to(path)) for file in path.rglob("*")} if path.is_dir() else set()


def _digest(path: Path) -> str:
    """SHA-256 over all that is in a file or folder, "" where there is none."""
    if not path.exists():
        return ""
    digest = hashlib.sha256()
    for file in sorted([path, *path.rglob("*")]):
        digest.update(f"{file.relative_to(path)} ".encode() + (file.read_bytes() if file.is_file() else b""))
    return digest.hexdigest()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)


def _age(folder: Path) -> None:
    """Let an hour pass for what was left: a claim that was killed while it was made says nothing, and goes with time."""
    then = time.time() - 3600
    for file in folder.glob(".*.*.claim"):
        os.utime(file, (then, then))
