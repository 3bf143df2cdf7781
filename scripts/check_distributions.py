"""Hold a wheel and a source archive against what a release must be: exit code 1, and a line for each thing that is wrong.

    python scripts/check_distributions.py dist

Needs nothing but Python. In a checkout it compares the archive with what git tracks, and the version with a tag of this commit.
"""

import re
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "src"
MOST_BYTES = 20_000_000
KINDS = {
    ".py",
    ".typed",
    ".onnx",
    ".md",
    ".html",
    ".css",
    ".js",
    ".svg",
    ".toml",
    ".json",
    ".txt",
    ".ico",
    ".woff2",
    ".png",
    ".npz",
}
FOREIGN = re.compile(
    r"(^|/)(tests?|benchmarks|examples|docs|scripts|__pycache__)/|\.(h5|hdf5|dcm|plainfilm|jpe?g|log|csv|pyc|pem)$"
)


def tracked() -> set[str]:
    """Name what git tracks; nothing where this is no checkout."""
    said = _git("ls-files", "-z")
    return {name for name in said.split("\0") if name and (ROOT / name).exists()}


def wrong_with_wheel(wheel: Path) -> Iterator[str]:
    """Say what a wheel holds too much or too little of."""
    with zipfile.ZipFile(wheel) as archive:
        held = {each.filename: each.CRC for each in archive.infolist()}
        names = set(held)
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        about = Parser().parsestr(archive.read(metadata).decode())
    about_files = {name for name in names if ".dist-info/" in name}
    code = names - about_files
    yield from (
        f"{name} is in the wheel" for name in sorted(code) if not name.startswith("plainfilm/") or FOREIGN.search(name)
    )
    yield from (
        f"{name} is in the wheel, of a kind not known" for name in sorted(code) if Path(name).suffix not in KINDS
    )
    wanted = {
        path.relative_to(SOURCES).as_posix() for path in SOURCES.rglob("*") if path.is_file() and path.suffix != ".pyc"
    }
    yield from (f"{name} is not in the wheel" for name in sorted(wanted - code))
    yield from (
        f"{name} is another in the wheel" for name in sorted(wanted & code) if held[name] != crc(SOURCES / name)
    )
    for needed in ("plainfilm/py.typed", "plainfilm/model/lungs.onnx", "plainfilm/reporting/templates/audit.html"):
        if needed not in code:
            yield f"{needed} is not in the wheel"
    if not any(name.endswith("licenses/LICENSE") for name in about_files):
        yield "the licence is not in the wheel"
    if wheel.stat().st_size > MOST_BYTES:
        yield f"the wheel has {wheel.stat().st_size:,} bytes, more than {MOST_BYTES:,}"
    yield from wrong_with_version(about["Version"])
    yield from wrong_with_description(about.get_payload())


def crc(path: Path) -> int:
    """CRC-32 of a file, as a ZIP states it."""
    return zlib.crc32(path.read_bytes())


def wrong_with_version(version: str) -> Iterator[str]:
    """Hold the version against the changelog, the citation and a tag of this commit."""
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(\d[^\]]*)\]", changes, re.MULTILINE)
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    for where, found in (("CHANGELOG.md", newest), ("CITATION.cff", cited)):
        if found is None or found[1] != version:
            yield f"{where} names {found and found[1]}, the wheel {version}"
    tags = [tag for tag in _git("tag", "--points-at", "HEAD").split() if tag.startswith("v")]
    if tags and tags != [f"v{version}"]:
        yield f"this commit is tagged {', '.join(tags)}, the wheel is {version}"
    if tags and re.search(r"^## \[Unreleased\]\s+(?!## )\S", changes, re.MULTILINE):
        yield "CHANGELOG.md has unreleased changes at a tagged commit"
    if tags and (changed := _git("status", "--porcelain").splitlines()):
        yield f"{', '.join(line[3:] for line in changed)}: not committed, and this commit is tagged"


def wrong_with_description(text: str) -> Iterator[str]:
    """Name links and pictures of README that lead nowhere from a package index."""
    for target in re.findall(r"\]\(([^)\s]+)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text):
        if not target.startswith(("https://", "#")):
            yield f"README.md leads to {target}, which a package index does not have: write the whole address"


def wrong_with_archive(archive: Path) -> Iterator[str]:
    """Name what git tracks and a source archive lacks, or the other way round."""
    with tarfile.open(archive) as opened:
        held = {name.partition("/")[2] for name in opened.getnames()}
    if expected := tracked():
        yield from (f"{name} is not in the source archive" for name in sorted(expected - held))
        yield from (
            f"{name} is in the source archive, and not tracked" for name in sorted(held - expected - {"PKG-INFO"})
        )


def wrong(folder: Path) -> Iterator[str]:
    """Say all that is wrong with the wheel and the source archive in a folder."""
    wheels, archives = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    if (len(wheels), len(archives)) != (1, 1):
        yield f"expected one wheel and one source archive in {folder}, found {len(wheels)} and {len(archives)}"
    for wheel in wheels:
        yield from wrong_with_wheel(wheel)
    for archive in archives:
        yield from wrong_with_archive(archive)


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 and (ROOT / ".git").exists() else ""


if __name__ == "__main__":
    found = [*wrong(Path(sys.argv[1]))]
    print(*found or [f"{sys.argv[1]} holds what a release must."], sep="\n")
    sys.exit(bool(found))
