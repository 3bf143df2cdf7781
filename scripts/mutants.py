"""Do the tests bite? Change a line of a module that must not fail silently, run its tests, and count how often they notice.

The changes are those of mutmut's operators (`mutmut.mutation.mutators`). Left out are those that no test should see: type
annotations, decorators, docstrings, and the texts of messages (strings that end in a full stop, whatever is raised, `_TEXTS`).
The sample is the first `--count` in the order of SHA-256(seed, module, change), so that a change of one module hardly alters
which mutants of the others are drawn. Mutants in `EQUIVALENT` are passed over. Each runs in a copy of the sources.
"""

import argparse
import difflib
import hashlib
import itertools
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
from equivalent_mutants import EQUIVALENT
from libcst.metadata import MetadataWrapper, WhitespaceInclusivePositionProvider
from mutmut.mutation.mutators import mutation_operators

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
_BESIDE_S = 120.0  # beside ten times what the tests take unchanged: then it is an endless loop


@dataclass(frozen=True)
class Mutant:
    """One change: `module` below src/plainfilm, its new `source`, and the lines that differ."""

    module: str
    source: str
    lines: str

    def __str__(self) -> str:
        return f"{self.module}: {self.lines}"


def mutants(module: str) -> Iterator[Mutant]:
    source = (ROOT / "src/plainfilm" / module).read_text(encoding="utf-8")
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
        self._folder, self._times = folder, itertools.count(1)
        for name in ("src", "tests", "benchmarks"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        self._environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
        code = "import plainfilm; print(plainfilm.__file__)"
        seen = subprocess.run(
            [sys.executable, "-c", code], env=self._environment, cwd=folder, capture_output=True, text=True, check=True
        )
        if not Path(seen.stdout).is_relative_to(folder):
            raise SystemExit(f"Expected the tests to import the copy in {folder}; they import {seen.stdout}.")

    def passes(self, module: str, source: str, limit_s: float | None) -> bool:
        """Run the tests of a module with another source; False if one fails, or none ends in time."""
        path = self._folder / "src/plainfilm" / module
        original = path.read_bytes()
        self._write(path, source.encode())
        shutil.rmtree(self._folder / ".hypothesis", ignore_errors=True)
        options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "-m", "not slow"]
        command = [sys.executable, "-m", "pytest", *options, *dict.fromkeys(f"tests/{name}" for name in TESTS[module])]
        try:
            run = subprocess.run(
                command, env=self._environment, cwd=self._folder, capture_output=True, check=False, timeout=limit_s
            )
        except subprocess.TimeoutExpired:
            return False
        else:
            return run.returncode == 0
        finally:
            self._write(path, original)

    def _write(self, path: Path, source: bytes) -> None:
        """Write a file with a time of its own, so that Python never takes bytecode of another mutant for its."""
        path.write_bytes(source)
        os.utime(path, (0, next(self._times)))


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
    sample = [mutant for mutant in order if str(mutant) not in EQUIVALENT][: told.count]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(told.jobs) as threads:
        copies = queue.SimpleQueue[Copy]()
        for job in range(told.jobs):
            copies.put(Copy(Path(folder, str(job))))

        def passes(module: str, source: str, limit_s: float | None = None) -> bool:
            copy = copies.get()
            try:
                return copy.passes(module, source, limit_s)
            finally:
                copies.put(copy)

        def unchanged_s(module: str) -> float:
            begun = time.monotonic()
            if not passes(module, (ROOT / "src/plainfilm" / module).read_text(encoding="utf-8")):
                raise SystemExit(f"Expected tests that pass before a change; those of {module} fail.")
            return time.monotonic() - begun

        one_of_each = {TESTS[mutant.module]: mutant.module for mutant in sample}
        taken = dict(zip(one_of_each, threads.map(unchanged_s, one_of_each.values()), strict=True))
        survived = []
        tried = threads.map(
            lambda mutant: passes(mutant.module, mutant.source, 10 * taken[TESTS[mutant.module]] + _BESIDE_S), sample
        )
        for number, (mutant, lives) in enumerate(zip(sample, tried, strict=True), 1):
            survived += [mutant] if lives else []
            print(f"{number} of {len(sample)}: {'survived' if lives else 'killed'}: {mutant}", flush=True)
    killed = len(sample) - len(survived)
    print(
        f"\n{len(order):,} mutants of {len(told.modules)} modules; seed {told.seed}, {len(sample)} drawn: {killed} killed, {100 * killed / max(1, len(sample)):.1f} %."
    )
    print(*(f"survived: {mutant}" for mutant in survived), sep="\n")


if __name__ == "__main__":
    main()
