"""Looks over the machine: what plainfilm needs, whether it is there, and what to do where it is not."""

import importlib
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from plainfilm.data.files import cache_folder
from plainfilm.errors import WeightsError
from plainfilm.model import weights
from plainfilm.model.cpus import processors
from plainfilm.results.inspection import Finding

_LEAST_FREE_GB = 2.0
_PARTS = (
    ("Keras and TensorFlow", "keras", "train"),
    ("ONNX Runtime", "onnxruntime", "run networks"),
    ("h5py", "h5py", "read stores"),
    ("Pillow", "PIL", "read images"),
    ("pydicom", "pydicom", "read DICOM"),
    ("GDCM", "gdcm", "read JPEG, JPEG-LS and RLE in DICOM"),
    ("pylibjpeg", "pylibjpeg", "read JPEG 2000 in DICOM"),
    ("OpenJPEG", "openjpeg", "read JPEG 2000 in DICOM"),
)


def examine() -> Iterator[Finding]:
    """Look at Python, libraries, processors, memory, the cache folder and weights; each in turn, so that a slow one shows."""
    version = sys.version_info
    yield Finding(
        name="Python",
        ok=(3, 11) <= version < (3, 14),
        found=".".join(map(str, version[:3])),
        advice="Use Python 3.11 to 3.13.",
    )
    for name, module, purpose in _PARTS:
        yield _library(name, module, purpose)
    yield Finding(name="Processors", ok=processors() >= 1, found=f"{processors()} may be used")
    yield _memory()
    yield _cache()
    yield from _weights()


def _library(name: str, module: str, purpose: str) -> Finding:
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        return Finding(
            name=name,
            ok=False,
            found=f"missing ({error})",
            advice=f"It is needed to {purpose}. Install plainfilm again.",
        )
    return Finding(name=name, ok=True, found=str(getattr(found, "__version__", "installed")))


def _memory() -> Finding:
    if not hasattr(os, "sysconf"):
        return Finding(name="Memory", ok=True, found="unknown on this system")
    size_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return Finding(
        name="Memory", ok=size_gb >= _LEAST_FREE_GB, found=f"{size_gb:.0f} GB", advice="Training needs about 1.5 GB."
    )


def _cache() -> Finding:
    folder = cache_folder()
    advice = "Set PLAINFILM_CACHE to a folder that you can write to, on a disk with some GB free."
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Finding(name="Cache", ok=False, found=f"{folder}: {error.strerror}", advice=advice)
    free_gb = shutil.disk_usage(folder).free / 1e9
    used_mb = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    return Finding(
        name="Cache",
        ok=free_gb >= _LEAST_FREE_GB,
        found=f"{folder} ({used_mb:,.0f} MB used, {free_gb:,.0f} GB free on the disk)",
        advice=advice,
    )


def _weights() -> Iterator[Finding]:
    try:
        listed = list(weights.listing())
    except WeightsError as error:
        yield Finding(name="Weights", ok=False, found=str(error), advice="Install plainfilm again.")
        return
    for row in listed:
        here = row.present != "no"
        found = f"{row.present}: {Path(row.path).name}" if here else "not here; fetched when first used"
        yield Finding(name=f"Weights {row.name}", ok=True, found=found)
