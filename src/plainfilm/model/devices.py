"""The devices that networks run on: which ONNX Runtime offers here, which was asked for, and which is taken."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType

from plainfilm.arguments import DEVICES
from plainfilm.errors import UsageError

CPU = "cpu"
VARIABLE = "PLAINFILM_DEVICE"
PROVIDER = "ExecutionProvider"  # ends the names that ONNX Runtime gives them


@dataclass(frozen=True, slots=True)
class Device:
    """An execution provider of ONNX Runtime: its name, the distribution that brings it, and its options.

    `options` keep it at float32, for what a device rounds to by itself is no longer what the processor answers, and from trying
    algorithms anew for each length of a batch, which would also let two runs differ in their last bits.
    """

    provider: str
    brought_by: str
    options: Mapping[str, str] = field(default_factory=dict)


KNOWN: Mapping[str, Device] = MappingProxyType(
    {
        "cuda": Device("CUDA", "onnxruntime-gpu", {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}),
        "rocm": Device("MIGraphX", "onnxruntime-migraphx"),
        "openvino": Device(
            "OpenVINO", "onnxruntime-openvino", {"load_config": '{"CPU": {"INFERENCE_PRECISION_HINT": "f32"}}'}
        ),
        "directml": Device("Dml", "onnxruntime-directml"),
        "coreml": Device("CoreML", "onnxruntime"),
    }
)
_BY_THEMSELVES = ("cuda", "rocm")  # that `auto` takes; the others are taken where they are asked for


@dataclass(frozen=True, slots=True)
class Chosen:
    """A device to run on, and whether it was asked for by its name: another one in its place would be a surprise then."""

    name: str
    is_demanded: bool


PROCESSOR = Chosen(CPU, is_demanded=True)
_asked: ContextVar[str | None] = ContextVar("device", default=None)


@contextmanager
def using(asked: str | None) -> Iterator[None]:
    """Let what is opened until the block ends run on the device asked for; None leaves it to PLAINFILM_DEVICE, or to `auto`."""
    before = _asked.set(asked or _asked.get())
    try:
        yield
    finally:
        _asked.reset(before)


def offered() -> tuple[str, ...]:
    """Name the devices that the installed ONNX Runtime has execution providers for, the processor last."""
    import onnxruntime as ort

    here = set(ort.get_available_providers())
    return (*(name for name, device in KNOWN.items() if device.provider + PROVIDER in here), CPU)


def check() -> None:
    """Raise UsageError where a device was asked for by its name and is not here; ONNX Runtime is not loaded otherwise."""
    if _said() not in {"auto", CPU}:
        current()


def current() -> Chosen:
    """Choose the device that what is opened now runs on.

    Raises
    ------
    UsageError
        No such device, or one that the installed ONNX Runtime has no execution provider for.
    """
    said = _said()
    if said not in DEVICES:
        raise UsageError(f"Expected --device {', '.join(DEVICES)}; received {said}. Name one of them.")
    if said == CPU:
        return PROCESSOR
    here = offered()
    if said == "auto":
        return Chosen(next((name for name in _BY_THEMSELVES if name in here), CPU), is_demanded=False)
    if said not in here:
        raise UsageError(
            f"Expected --device {' or '.join(here)}, which ONNX Runtime offers here; received {said}. "
            f"Put {KNOWN[said].brought_by} in the place of onnxruntime (docs/install.md), or leave --device out."
        )
    return Chosen(said, is_demanded=True)


def _said() -> str:
    return _asked.get() or os.environ.get(VARIABLE) or "auto"


def beside_cluster(device: str) -> UsageError:
    """Say that a device cannot be used beside a cluster."""
    return UsageError(
        f"Expected --device cpu with --cluster, whose jobs run on processors; received {device}. Leave one of them out."
    )


def providers(device: str) -> list[str | tuple[str, dict[str, str]]]:
    """Give the execution providers of a session on a device, as ONNX Runtime takes them; the processor does what it cannot."""
    every: list[str | tuple[str, dict[str, str]]] = [f"CPU{PROVIDER}"]
    if device != CPU:
        every.insert(0, (KNOWN[device].provider + PROVIDER, dict(KNOWN[device].options)))
    return every
