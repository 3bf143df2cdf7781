"""Do the tests bite? Change a line of a module that must not fail silently, run its tests, and count how often they notice.

The changes are those of mutmut's operators (`mutmut.mutation.mutators`). Left out are those that no test should see: type
annotations, decorators, docstrings, and the texts of messages (strings that end in a full stop, whatever is raised, `_TEXTS`).
The sample is the first `--count` in the order of SHA-256(seed, module, change), so that a change of one module hardly alters
which mutants of the others are drawn. Mutants in `EQUIVALENT` are passed over. Each runs in a copy of the sources, in a process
forked from this one, which has loaded what takes long to load. POSIX only.
"""

import argparse
import difflib
import functools
import gc
import hashlib
import importlib
import itertools
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import hypothesis
import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper, WhitespaceInclusivePositionProvider
from mutmut.mutation.mutators import mutation_operators

from equivalent_mutants import EQUIVALENT

ROOT = Path(__file__).parents[1]
STATISTICS, AUDIT, SAFETY = "evidence/statistics", "evidence/audit", "model/onnx_safety"
_BUNDLES = ("model/test_bundle.py", "model/test_hostile_bundles.py")
# Module -> its tests, those first that are likeliest to notice.
TESTS = {
    **{
        f"{STATISTICS}/{name}.py": (f"{STATISTICS}/test_{name}.py", f"{STATISTICS}/test_metrics.py", STATISTICS)
        for name in ("calibration", "curves", "differences", "discrimination", "intervals", "metrics")
    },
    "data/split.py": ("data/test_split.py",),
    "data/duplicates.py": ("data/test_duplicates.py",),
    f"{AUDIT}/verdict.py": (f"{AUDIT}/test_verdict.py",),
    "serve/middleware.py": ("serve/test_middleware.py",),
    "serve/dicom/spool.py": ("serve/dicom/test_dicom_spool.py",),
    "model/bundle.py": (*_BUNDLES, "model/test_signing.py"),
    "model/manifest.py": (*_BUNDLES, "model/test_signing.py"),
    "model/bundle_zip.py": _BUNDLES,
    **{
        f"{SAFETY}/{name}.py": (SAFETY, *_BUNDLES)
        for name in ("calls", "check", "fields", "operators", "reading", "shapes", "writing")
    },
}  # fmt: skip
_TEXTS = frozenset({"__all__", "_ADVICE", "REFUSED"})  # names of constants that are texts of messages, or names
_LOADED = (
    "_hypothesis_pytestplugin", "pytest_timeout",
    "hypothesis.extra.numpy", "hypothesis.strategies", "keras", "onnx", "onnxruntime", "scipy.fft", "scipy.ndimage", "scipy.optimize",
    "scipy.sparse.csgraph", "scipy.special", "scipy.stats", "sklearn.calibration", "sklearn.metrics",
)  # fmt: skip
_ANOTHER = 99  # exit status: the tests imported another plainfilm than the copy
_BESIDE_S = 60  # seconds of a processor beside ten times what the tests take unchanged: then it is an endless loop


@dataclass(frozen=True)
class Mutant:
    """One change: `module` below src/plainfilm, its new `source`, and the lines that differ."""

    module: str
    source: str
    lines: str

    def __str__(self) -> str:
        return f"{self.module}: {self.lines}"


def _source(module: str) -> str:
    return (ROOT / "src/plainfilm" / module).read_text(encoding="utf-8")


def mutants(module: str) -> Iterator[Mutant]:
    source = _source(module)
    tree = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    ranges, lines = tree.resolve(WhitespaceInclusivePositionProvider), source.splitlines(keepends=True)
    starts = list(itertools.accumulate(map(len, lines), initial=0))
    for node in _counted(tree.module):
        first, last = ranges[node].start, ranges[node].end
        start, end = starts[first.line - 1] + first.column, starts[last.line - 1] + last.column
        before, after = starts[first.line - 1], starts[min(last.line, len(lines))]
        for kind, operator in mutation_operators:
            for new in operator(node) if isinstance(node, kind) else ():
                code = tree.module.code_for_node(new)
                changed = source[before:start] + code + source[end:after]
                yield Mutant(module, source[:start] + code + source[end:], _difference(source[before:after], changed))


def _counted(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Give the nodes whose change a test should see."""
    if isinstance(node, cst.Annotation | cst.Decorator | cst.Raise) or _is_text(node) or _target(node) in _TEXTS:
        return
    yield node
    for child in node.children:
        yield from _counted(child)


def _is_text(node: cst.CSTNode) -> bool:
    if isinstance(node, cst.SimpleString | cst.ConcatenatedString | cst.FormattedString):
        return cst.Module([]).code_for_node(node).strip("\"')").endswith(".")
    return isinstance(node, cst.Expr) and isinstance(node.value, cst.SimpleString)


def _target(node: cst.CSTNode) -> str:
    target = (
        node.target
        if isinstance(node, cst.AnnAssign)
        else node.targets[0].target
        if isinstance(node, cst.Assign)
        else None
    )
    return target.value if isinstance(target, cst.Name) else ""


def _difference(old: str, new: str) -> str:
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm=""))[2:]
    return " ".join(line[0] + " " + line[1:].strip() for line in lines if line[0] in "+-")


def drawn(seed: int, modules: list[str]) -> list[Mutant]:
    """All mutants of some modules in the order of drawing; equal changes at several places count as several."""
    found, times = [], dict[str, int]()
    for mutant in itertools.chain.from_iterable(map(mutants, modules)):
        times[str(mutant)] = place = times.get(str(mutant), -1) + 1
        found.append((hashlib.sha256(f"{seed} {mutant} {place}".encode()).digest(), mutant))
    return [mutant for _, mutant in sorted(found, key=lambda pair: pair[0])]


class Copy:
    """A copy of sources and tests, in which one module at a time is changed."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._times, self._restore = folder, itertools.count(1), lambda: None
        for name in ("src", "tests", "benchmarks"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)

    def begin(self, mutant: Mutant, limit_s: int) -> int:
        """Start the tests of a module with another source; give the process."""
        path = self._folder / "src/plainfilm" / mutant.module
        self._restore()
        self._restore = functools.partial(self._write, path, path.read_bytes())
        self._write(path, mutant.source.encode())
        process = os.fork()
        if not process:
            self._run(TESTS[mutant.module], limit_s)
        return process

    def _write(self, path: Path, source: bytes) -> None:
        """Write a file with a time of its own, so that Python never takes bytecode of another mutant for its."""
        path.write_bytes(source)
        os.utime(path, (0, next(self._times)))

    def _run(self, tests: Sequence[str], limit_s: int) -> NoReturn:
        """Run tests in this process and end it: 0 where all pass."""
        code = 1
        try:
            os.chdir(self._folder)
            os.environ["PYTHONPATH"] = sys.path[0] = str(self._folder / "src")
            resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(nowhere, stream)
            hypothesis.settings.register_profile("mutants", database=None)
            hypothesis.settings.load_profile("mutants")
            plugins = ["-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin", "-p", "pytest_timeout"]
            options = ["-x", "-q", "--assert=plain", "--hypothesis-seed=0", "-m", "not slow", *plugins]
            code = pytest.main([*options, *dict.fromkeys(f"tests/{name}" for name in tests)])
            if not Path(sys.modules["plainfilm"].__file__ or "").is_relative_to(self._folder):
                code = _ANOTHER
        finally:
            os._exit(code)


@dataclass(frozen=True)
class Tried:
    """What became of a mutant, in how many seconds of a processor."""

    mutant: Mutant
    survived: bool
    cpu_s: float


def tried(mutants_: Sequence[Mutant], copies: Sequence[Copy], limit_s: Callable[[Mutant], int]) -> Iterator[Tried]:
    """Run the tests of each mutant, as many at a time as there are copies; in the order of ending."""
    free, running = list(copies), dict[int, tuple[Copy, Mutant]]()
    waiting = list(reversed(mutants_))
    while waiting or running:
        while waiting and free:
            copy, mutant = free.pop(), waiting.pop()
            running[copy.begin(mutant, limit_s(mutant))] = copy, mutant
        process, status, used = os.wait4(-1, 0)
        copy, mutant = running.pop(process)
        free.append(copy)
        if status == _ANOTHER << 8:
            raise SystemExit(
                f"Expected the tests of {mutant.module} to import the copy; they import another plainfilm."
            )
        yield Tried(mutant, status == 0, used.ru_utime + used.ru_stime)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "modules", nargs="*", default=list(TESTS), metavar="MODULE", help="below src/plainfilm, as data/split.py"
    )
    told = parser.parse_args()
    order = drawn(told.seed, told.modules)
    if told.modules == list(TESTS) and (gone := EQUIVALENT.keys() - set(map(str, order))):
        raise SystemExit(f"Expected equivalent mutants that can still be made; take out of the list: {min(gone)}")
    sample = [mutant for mutant in order if str(mutant) not in EQUIVALENT][: told.count]
    os.environ |= {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for name in _LOADED:
        importlib.import_module(name)
    gc.freeze()
    with tempfile.TemporaryDirectory() as folder:
        copies = [Copy(Path(folder, str(job))) for job in range(told.jobs)]
        unchanged = {TESTS[each.module]: Mutant(each.module, _source(each.module), "unchanged") for each in sample}
        taken = {}
        for each in tried(list(unchanged.values()), copies, lambda _: 3600):
            if not each.survived:
                raise SystemExit(f"Expected tests that pass before a change; those of {each.mutant.module} fail.")
            taken[TESTS[each.mutant.module]] = each.cpu_s
            print(f"{each.mutant}: {each.cpu_s:.1f} s", flush=True)
        survived = []
        for number, each in enumerate(
            tried(sample, copies, lambda mutant: int(10 * taken[TESTS[mutant.module]]) + _BESIDE_S), 1
        ):
            survived += [each.mutant] if each.survived else []
            print(
                f"{number} of {len(sample)}: {'survived' if each.survived else 'killed'}, {each.cpu_s:.1f} s: {each.mutant}",
                flush=True,
            )
    killed, total = len(sample) - len(survived), len(order)
    print(
        f"\n{total:,} mutants of {len(told.modules)} modules, seed {told.seed}: {killed} of {len(sample)} killed, {killed / len(sample):.1%}."
    )
    print(*(f"survived: {mutant}" for mutant in survived), sep="\n")


if __name__ == "__main__":
    main()
