"""The one place that imports Keras: on JAX, or on TensorFlow where that is quicker or asked for."""

import contextlib
import importlib
import importlib.metadata
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm import extras
from plainfilm.data import cache
from plainfilm.data.files import cache_folder
from plainfilm.model.keyboard_interrupt import held
from plainfilm.results.metrics import KerasBackend

_DISTRIBUTIONS = {"tensorflow": ("tensorflow", "tensorflow-cpu", "tf-nightly"), "jax": ("jax",), "torch": ("torch",)}
SLOW_FINETUNING = (
    "Fine-tuning on a processor runs on JAX here, and takes three to eight times as long as on TensorFlow. "
    "Install that with: pip install 'plainfilm[tensorflow]'"
)


def load(*, finetunes: bool = False, needed: str = "") -> Any:
    """Import Keras, the first time on the backend of `choose`, and give its module.

    Parameters
    ----------
    finetunes
        Whether a backbone's own weights are going to be trained.
    needed
        The backend that alone can do what is asked.

    Raises
    ------
    MissingExtraError
        Keras or the backend is not installed.
    """
    if sys.modules.get("keras"):
        return sys.modules["keras"]
    name = choose(finetunes=finetunes, needed=needed)
    extras.require("training and backbones", "keras", name)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # or JAX takes most of a GPU's memory
    with held(), _environment("KERAS_BACKEND", name):  # an import of jaxlib that Ctrl-C reaches ends the process
        keras = importlib.import_module("keras")
    if name == "tensorflow":
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each head is a graph of its own, which it warns of
    if name == "jax":
        _keep_what_is_compiled()
    return keras


def choose(*, finetunes: bool = False, needed: str = "") -> str:
    """Name the backend that Keras runs on, or would.

    That of Keras where the caller has imported it; else `KERAS_BACKEND`; else `needed`; else what a `keras.json` names,
    but not TensorFlow, which Keras itself writes there; else TensorFlow where a backbone is fine-tuned without a GPU that
    JAX can use; else JAX. TensorFlow stands in for a JAX that is not installed.
    """
    if sys.modules.get("keras"):
        return str(sys.modules["keras"].backend.backend())
    asked = os.environ.get("KERAS_BACKEND") or needed or _configured()
    if asked:
        return asked
    if extras.find("tensorflow") is None:
        return "jax"
    if extras.find("jax") is None:
        return "tensorflow"
    return "tensorflow" if finetunes and not _jax_has_gpu() else "jax"


def is_slow_to_finetune() -> bool:
    """Whether Keras, once loaded, trains convolutions on JAX without a GPU."""
    return choose() == "jax" and not _jax_has_gpu()


def has_gpu() -> bool:
    """Whether Keras, once loaded, has a GPU to train on."""
    name = choose()
    if name == "jax":
        return _jax_has_gpu()
    if name != "tensorflow":
        return False
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _jax_has_gpu() -> bool:
    if extras.find("jax_plugins") is None:  # in which JAX looks for all accelerators: spares importing it
        return False
    import jax

    return str(jax.default_backend()) == "gpu"


def on_cpu() -> Any:
    """Give a context in which Keras computes on the processor, where a head is trained soonest."""
    return load().device("cpu:0")


@contextlib.contextmanager
def unfilled() -> Iterator[None]:
    """Build layers that get all their weights afterwards: they begin with zeros, not with numbers that nobody sees.

    JAX would compile the drawing anew for each shape: measured 7 s of processor time for MobileNet, against 0.1. Keras has
    no way to say so, so its initializers are replaced for as long as the block lasts.
    """
    kinds = [getattr(load().initializers, name) for name in ("VarianceScaling", "TruncatedNormal", "Zeros", "Ones")]
    before = [kind.__call__ for kind in kinds]
    for kind in kinds:
        kind.__call__ = _zeros
    try:
        yield
    finally:
        for kind, own in zip(kinds, before, strict=True):
            kind.__call__ = own


def _zeros(_self: Any, shape: tuple[int, ...], dtype: str | None = None, **_more: Any) -> NDArray[Any]:
    return np.zeros(shape, dtype or "float32")


def used(device: str) -> KerasBackend:
    """Describe the backend that Keras runs on, and the device that was trained on."""
    name = choose()
    return KerasBackend(name=name, version=_version(name), device=device)


def _version(name: str) -> str:
    for distribution in _DISTRIBUTIONS.get(name, (name,)):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"


def settings_folder() -> Path:
    """Give the folder where Keras keeps its settings and weights: `KERAS_HOME`, or its own in the user's home."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def _configured() -> str:
    try:
        named = json.loads((settings_folder() / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError, RuntimeError):
        return ""
    return named if isinstance(named, str) and named in {"jax", "torch"} else ""


def _keep_what_is_compiled() -> None:
    """Keep what JAX compiles in plainfilm's cache, unless the caller keeps it elsewhere."""
    import jax

    if jax.config.jax_compilation_cache_dir is not None:
        return
    _seal_what_is_compiled()
    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _seal_what_is_compiled() -> None:
    """Let JAX keep its entries as ours are: its own are neither written at once nor made anew where they are damaged.

    It has no public way to say so; a release without these names keeps them its own way.
    """
    try:
        from jax._src import compilation_cache
        from jax._src.compilation_cache_interface import CacheInterface
    except ImportError:
        return

    class Sealed(CacheInterface):  # type: ignore[misc]  # JAX's types are not followed
        def __init__(self, folder: str) -> None:
            self._path = Path(folder)  # a name that the interface asks for

        def get(self, key: str) -> bytes | None:
            return cache.read(self._path / f"{key}-cache")

        def put(self, key: str, value: bytes) -> None:
            if not cache.has(self._path / f"{key}-cache"):
                cache.write(self._path / f"{key}-cache", value)

    compilation_cache.get_file_cache = lambda folder: (Sealed(folder), folder)


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
