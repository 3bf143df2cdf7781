"""What runs in a process of its own: paths or bytes of strangers in by stdin, pixels or a refusal out by stdout.

Answers are JSON and raw pixels, never pickles: a decoder that a file has taken over cannot reach its parent through them.
"""

import json
import os
import struct
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import confinement, images
from plainfilm.engines import child
from plainfilm.errors import ImageError

QUESTION = struct.Struct(">IQ")  # bytes of the JSON that says what to do, bytes of the file
ANSWER = struct.Struct(">IQ")  # bytes of the JSON, bytes of the pixels
Task = Callable[[], images.Radiograph | NDArray[np.uint8] | dict[str, str]]
READY = b"ready"
_HEADER_BYTES = 256 << 20  # of memory, for a file of which a megabyte is looked at


def main(*, reads_files: bool = True) -> None:
    """Answer until stdin ends, which it does when the parent is gone. What is bounded is told first."""
    child.outlive_signals()
    questions, answers = os.fdopen(0, "rb", child.BUFFER_BYTES), child.only_answers()
    bounded = confinement.confine(reads_files=reads_files)
    child.follow_parent()
    first = json.dumps({"bounded": bounded}).encode()
    answers.write(READY + ANSWER.pack(len(first), 0) + first)
    answers.flush()
    while head := questions.read(QUESTION.size):
        asked, length = QUESTION.unpack(head)
        for told, pixels in map(_answer, _tasks(json.loads(questions.read(asked)), questions.read(length))):
            text = json.dumps(told).encode()
            answers.write(ANSWER.pack(len(text), pixels.nbytes) + text)
            answers.write(pixels.data)
            answers.flush()


def _tasks(asked: dict[str, Any], data: bytes) -> Iterator[Task]:
    if "longest_px" in asked:
        yield partial(images.displayed, data, longest_px=asked["longest_px"])
    elif "header" in asked:
        yield from (
            partial(_header, file) for file in ([path for path, _ in asked["paths"]] if "paths" in asked else [data])
        )
    elif "paths" in asked:
        read = partial(images.read, size=asked["size"], fit=asked["fit"])
        yield from (partial(read, path, depth=depth) for path, depth in asked["paths"])
    else:
        yield partial(images.decode, data, size=asked["size"], fit=asked["fit"], depth=asked.get("depth"))


def _header(file: str | bytes) -> dict[str, str]:
    with confinement.memory_within(_HEADER_BYTES):
        return images.header(file)


def _answer(task: Task) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    try:
        made = task()
    except ImageError as error:
        return {"code": error.code, "sentence": str(error)}, np.empty(0, np.uint8)
    except Exception:  # noqa: BLE001 - a fault of ours, for the parent to raise
        return {"fault": traceback.format_exc()}, np.empty(0, np.uint8)
    if isinstance(made, dict):
        return {"header": made}, np.empty(0, np.uint8)
    if isinstance(made, np.ndarray):
        return {"shape": made.shape}, np.ascontiguousarray(made)
    told = {"provenance": made.provenance, "remarks": made.remarks, "sha256": made.sha256}
    return told, np.ascontiguousarray(made.pixels)


if __name__ == "__main__":
    main()
