"""The golden images of a bundle, and what its network must answer to them: checked without preparing the network for speed."""

import io
import tokenize
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.bundle_zip import Damaged
from plainfilm.model.cpus import processors
from plainfilm.model.onnx_safety.check import Checked
from plainfilm.model.onnx_safety.running import Plain

MOST_IMAGES = 8
_TOLERANCE = 1e-3  # of a logit; other processors add in another order
_LONGEST_HEADER = 1000  # bytes


def to_npy(array: NDArray[Any]) -> bytes:
    """Write an array as an .npy file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()


def from_npy(data: bytes, dtype: np.dtype[Any], sides: int) -> NDArray[Any]:
    """Read an .npy file (NEP 1) of version 1.0 as a view: of this dtype, in C order, with so many sides and no byte more.

    Raises
    ------
    Damaged
        Any other file.
    """
    file = io.BytesIO(data[: 10 + _LONGEST_HEADER])
    try:
        version = np.lib.format.read_magic(file)
        shape, is_fortran, found = np.lib.format.read_array_header_1_0(file, max_header_size=_LONGEST_HEADER)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise Damaged("its golden arrays cannot be read") from error
    if (
        version != (1, 0)
        or is_fortran
        or found != dtype
        or len(shape) != sides
        or not all(0 < side <= len(data) for side in shape)
    ):
        raise Damaged("its golden arrays are of another type or shape")
    size = dtype.itemsize
    for side in shape:
        size *= side
    if len(data) - file.tell() != size:
        raise Damaged("its golden arrays have another size than they say")
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape)


@dataclass(frozen=True, slots=True)
class Golden:
    """Images uint8 (n, s, s), and what a network must answer to them: logits float32 (n, outputs)."""

    pictures: NDArray[np.uint8]
    expected: NDArray[np.float32]


def read(network: Checked, shown: bytes, answers: bytes, *, outputs: tuple[int, ...]) -> Golden:
    """Read golden images and answers, .npy files both, and check that they fit a network.

    Parameters
    ----------
    network
        As checked.
    outputs
        How many logits may be.

    Raises
    ------
    Damaged
        They do not.
    """
    pictures = from_npy(shown, np.dtype("u1"), 3)
    expected = from_npy(answers, np.dtype("<f4"), 2)
    if pictures.shape[1:] != (network.image_size,) * 2 or len(pictures) > MOST_IMAGES:
        raise Damaged("its golden images do not fit its network")
    if network.widths["logits"] not in outputs:
        raise Damaged("its network does not answer for its classes")
    if expected.shape != (len(pictures), network.widths["logits"]):
        raise Damaged("its golden answers do not fit its network")
    return Golden(pictures, expected)


def check(network: Checked, golden: Golden) -> None:
    """Check that a network answers to its golden images as it did where it was made.

    The images go through one by one, node after node in the order of the file, and the weights stay where they lie in
    memory: so it takes no more than `network.activations` beside the file itself.

    Raises
    ------
    Damaged
        It answers otherwise.
    """
    plain = Plain(network, threads=processors())
    for picture, answer in zip(golden.pictures, golden.expected, strict=True):
        if not agree(plain.run(picture[None], "logits"), answer[None]):
            raise Damaged("its network gives other answers here than where it was made")


def agree(received: NDArray[np.float32], expected: NDArray[np.float32]) -> bool:
    """Whether two answers are the same, but for the order of additions."""
    return (
        received.shape == expected.shape
        and bool(np.isfinite(received).all())
        and np.allclose(received, expected, rtol=1e-3, atol=_TOLERANCE)
    )
