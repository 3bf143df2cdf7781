"""Networks in ONNX Runtime, on the processors that this process may use, or on another device that answers alike."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.errors import UsageError
from plainfilm.model import devices
from plainfilm.model.cpus import processors
from plainfilm.model.onnx_safety import writing
from plainfilm.reasons import reason_of

BATCH = 8  # images at a time; larger batches leave the processors' caches: measured 5 to 10 % slower at 32
_OF_ONE = 2  # images at a time of a processor that has a batch of its own: measured 10 % slower at 8
_LARGE = 384  # pixels, above which images go one by one: a transformer at 518 px took as long a film by ones as by twos, and 0.4 GB less
_HEAVY = 64 << 20  # bytes, above which weights are given apart: ONNX Runtime copies those in the network twice
_FEW = 32  # images for which a network is not prepared a second time, which takes some 40 ms
_ON_DEVICE = 256  # images at a time of another device, halved until its memory holds them
_ALIKE = 1e-3  # of the processor's numbers, by the largest of an output
_ZERO = 1e-6  # of an output that is zero to these pictures
_FULL = ("alloc", "out of memory", "memory")  # in what execution providers say where their memory is full
_LOG = logging.getLogger("plainfilm.device")


def pictures(size: int) -> NDArray[np.uint8]:
    """Make two pictures uint8 (2, size, size), no radiograph of anyone: seeded noise, and noise on a slope."""
    noise = np.random.default_rng(0).integers(0, 256, (2, size, size)).astype(np.float64)
    noise[1] = 0.5 * noise[1] + np.linspace(0, 127, size)[:, None]
    return noise.astype(np.uint8)


def open_network(
    network: bytes | Path,
    *,
    threads: int | None = None,
    has_packed_weights: bool = False,
    device: str = devices.CPU,
) -> Any:
    """Open an ONNX network, given whole or as a file, as an `InferenceSession`; what goes wrong is raised, not logged as well.

    Weights that are kept in 8 bits, of a network that computes in 32, are unpacked once if it says so, and not at each run.
    """
    import onnxruntime as ort

    def opened(content: bytes | Path, apart: Mapping[str, NDArray[Any]]) -> Any:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or processors()
        options.log_severity_level = 4
        if has_packed_weights:
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        if apart:
            options.enable_mem_pattern = False  # a pattern took 0.19 GB of a transformer at 518 px, and no time less
            options.add_external_initializers(list(apart), [*map(ort.OrtValue.ortvalue_from_numpy, apart.values())])
        return ort.InferenceSession(content, options, providers=devices.providers(device))

    if isinstance(network, bytes) and len(network) > _HEAVY and device == devices.CPU:
        with contextlib.suppress(Exception):  # a weight that no operator takes cannot be given apart
            return opened(*writing.parted(network, outside=True))
    return opened(network, {})


class ImageNetwork:
    """An ONNX network that looks at gray "images" uint8 (n, h, w): few with all processors together, many side by side.

    Side by side each processor has a batch of its own, and none waits for another in the middle of one. That is a tenth faster, and
    twice as fast where something else works beside it. The answers are the same, but for the last bits of some networks.

    Parameters
    ----------
    network
        Whole, or its file, or what reads it: then it is let go once it is opened, and read again where it is prepared a second time.
    threads
        Processors to use; by default all that this process may use.
    has_packed_weights
        As for `open_network`.
    device
        As `devices.current` chooses it. What it answers to two pictures is compared with the processor's answers first.

    Attributes
    ----------
    session : onnxruntime.InferenceSession
    device : str
        What it runs on: the processor where the device could not be used or answers otherwise, which is logged.

    Raises
    ------
    UsageError
        A device that was asked for by its name cannot be used.
    """

    def __init__(
        self,
        network: bytes | Path | Callable[[], bytes],
        *,
        threads: int | None = None,
        has_packed_weights: bool = False,
        device: devices.Chosen = devices.PROCESSOR,
    ) -> None:
        self._threads = threads or processors()
        self._network, self._has_packed_weights = network, has_packed_weights
        self.session, self._seen = self._opened(threads=self._threads), 0
        self.device, self._at_once = devices.CPU, _ON_DEVICE
        if device.name != devices.CPU:
            self._move(device.name, is_demanded=device.is_demanded)

    def _opened(self, *, threads: int, device: str = devices.CPU) -> Any:
        network = self._network() if callable(self._network) else self._network
        return open_network(network, threads=threads, has_packed_weights=self._has_packed_weights, device=device)

    def _move(self, device: str, *, is_demanded: bool) -> None:
        """Go over to a device, if it can be used and answers as the processor does."""
        try:
            there, trouble = self._opened(threads=self._threads, device=device), ""
            apart = max(map(_apart, *(session.run(None, self._shown()) for session in (there, self.session))))
            if there.get_providers()[0] != devices.KNOWN[device].provider + devices.PROVIDER:
                trouble = "its driver or its libraries are missing"
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no class of their own
            trouble = reason_of(error)
        if trouble and is_demanded:
            raise UsageError(
                f"Expected the device {device} to run networks; received none that can ({trouble}). See plainfilm doctor, or leave --device out."
            )
        if trouble:
            _LOG.warning("The device %s cannot be used (%s); networks run on the processor.", device, trouble)
        elif apart <= _ALIKE:
            self.session, self.device = there, device
        else:
            said = f"by {apart:.1g} where {_ALIKE:.0e} is allowed"
            _LOG.warning(
                "The device %s answers otherwise than the processor, %s; this network runs on the processor.",
                device,
                said,
            )

    def _shown(self) -> dict[str, NDArray[np.uint8]]:
        return {"images": pictures(int(self.session.get_inputs()[0].shape[1]))}

    def width(self, name: str) -> int:
        """Give the last side of an output."""
        return next(int(each.shape[-1]) for each in self.session.get_outputs() if each.name == name)

    def run(self, images: NDArray[np.uint8], *names: str, side: int | None = None) -> list[NDArray[np.float32]]:
        """Give outputs by their names, or all, for images uint8 (n, h, w), which are made (side, side) if that is given."""
        if self.device != devices.CPU:
            parts = list(self._on_device(images, list(names) or None, side))
            return [np.concatenate(part) for part in zip(*parts, strict=True)] if parts else self._nothing(names)
        self._seen += len(images)
        is_many = self._seen > _FEW and len(images) >= 2 * self._threads > 2
        length = _OF_ONE if is_many or self._threads == 1 else BATCH
        length = 1 if (side or images.shape[-1]) > _LARGE else length
        batches = [images[at : at + length] for at in range(0, len(images), length)]
        work = partial(_answers, self._alone if is_many else self.session, list(names) or None, side)
        parts = list(self._pool.map(work, batches) if is_many else map(work, batches))
        return [np.concatenate(part) for part in zip(*parts, strict=True)] if parts else self._nothing(names)

    def _on_device(
        self, images: NDArray[np.uint8], names: list[str] | None, side: int | None
    ) -> Iterator[list[NDArray[np.float32]]]:
        """Answer for as many images at once as the memory of the device holds, which is found by trying."""
        at = 0
        while at < len(images):
            try:
                answers = _answers(self.session, names, side, images[at : at + self._at_once])
            except Exception as error:  # ONNX Runtime's errors have no class of their own
                if self._at_once == 1 or not any(word in str(error).lower() for word in _FULL):
                    raise
                self._at_once //= 2
                continue
            yield answers
            at += self._at_once

    def _nothing(self, names: Sequence[str]) -> list[NDArray[np.float32]]:
        shapes = {
            each.name: [length if isinstance(length, int) else 0 for length in each.shape[1:]]
            for each in self.session.get_outputs()
        }
        return [np.empty((0, *shapes[name]), np.float32) for name in names or shapes]

    @cached_property
    def _alone(self) -> Any:
        return self._opened(threads=1)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, "network")


def _apart(received: NDArray[Any], expected: NDArray[Any]) -> float:
    """How far apart two outputs lie at most, by the largest number expected; NaN where one is not finite."""
    if received.shape != expected.shape or not np.isfinite(received).all():
        return float("nan")
    return float(np.abs(received - expected).max(initial=0) / max(_ZERO, np.abs(expected).max(initial=0)))


def _answers(
    session: Any, names: list[str] | None, side: int | None, images: NDArray[np.uint8]
) -> list[NDArray[np.float32]]:
    fitting = images if side is None else np.stack([shrunk(image, side) for image in images])
    return list(session.run(names, {"images": fitting}))


def shrunk(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize an image uint8 (h, w) to (side, side), averaging over what a pixel covers."""
    from PIL import Image  # not needed to open a network

    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))
