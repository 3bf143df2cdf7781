"""What runs in a process of its own: bytes of strangers in by stdin, pixels or a refusal out by stdout.

Answers are JSON and raw pixels, never pickles: a decoder that a file has taken over cannot reach the server through them.
"""

import contextlib
import json
import os
import signal
import struct
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import images
from plainfilm.errors import ImageError

QUESTION = struct.Struct(">IQ")  # bytes of the JSON that says what to do, bytes of the file
ANSWER = struct.Struct(">IQ")  # bytes of the JSON, bytes of the pixels
ENDING = (signal.SIGINT, signal.SIGTERM)  # the terminal and systemd tell all processes; the server decides
BUFFER_BYTES = 1 << 18
_MEMORY_BYTES = 4 << 30  # 50 megapixels of 16 bits in double precision, and what they were compressed from


def main() -> None:
    """Answer until stdin ends, which it does when the server is gone."""
    for kind in ENDING:
        signal.signal(kind, signal.SIG_IGN)
    _confine()
    questions, answers = os.fdopen(0, "rb", BUFFER_BYTES), _only_answers()
    while head := questions.read(QUESTION.size):
        asked, length = QUESTION.unpack(head)
        told, pixels = _answer(json.loads(questions.read(asked)), questions.read(length))
        text = json.dumps(told).encode()
        answers.write(ANSWER.pack(len(text), pixels.nbytes) + text)
        answers.write(pixels.data)
        answers.flush()


def _answer(asked: dict[str, Any], data: bytes) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    try:
        if "longest_px" in asked:
            shown = images.displayed(data, longest_px=asked["longest_px"])
            return {"shape": shown.shape}, np.ascontiguousarray(shown)
        film = images.decode(data, size=asked["size"], fit=asked["fit"])
    except ImageError as error:
        return {"code": error.code, "sentence": str(error)}, np.empty(0, np.uint8)
    told = {"shape": film.pixels.shape, "provenance": film.provenance, "remarks": film.remarks, "sha256": film.sha256}
    return told, np.ascontiguousarray(film.pixels)


def _only_answers() -> BinaryIO:
    """Keep stdout for answers: what a decoder prints goes nowhere."""
    answers = os.fdopen(os.dup(1), "wb", BUFFER_BYTES)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return answers


def _confine() -> None:
    """Bound memory, write no file and no core dump: where the system knows how, and has not set narrower bounds itself."""
    try:
        import resource
    except ImportError:  # Windows
        return
    most = {resource.RLIMIT_AS: _MEMORY_BYTES, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    for kind, value in most.items():
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    main()
