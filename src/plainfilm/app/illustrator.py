"""A process that draws pictures for the page while somebody looks at them: the app itself decodes nothing.

Requests come as JSON lines, answers go as a JSON line with the number of bytes that follow, or with the one line that says why there are none.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

from plainfilm.errors import PlainfilmError
from plainfilm.serve.http_errors import Refused

IDLE_S = 60.0
_ASKING_S = 60.0
_MOST_BYTES = 1 << 24
SIZES_PX = range(32, 1025)


class Illustrator:
    """The process, started when it is first asked and ended when nobody has asked for a while. Of one event loop."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = asyncio.Lock()
        self._asked = 0.0

    async def draw(self, request: dict[str, Any]) -> bytes:
        """Give a picture as PNG; requests wait for one another.

        Raises
        ------
        Refused
            404 with the line that says why there is none.
        """
        async with self._turn:
            self._asked = time.monotonic()
            process = self._started()
            try:
                async with asyncio.timeout(_ASKING_S):
                    told, content = await asyncio.to_thread(_ask, process, request)
            except (OSError, ValueError, KeyError, TimeoutError):
                self._kill()
                raise Refused(
                    404,
                    "picture",
                    "Expected a picture; received none in time. Try again, or look at the file elsewhere.",
                ) from None
        if "line" in told:
            raise Refused(404, "picture", str(told["line"]))
        return content

    def rest(self) -> None:
        """End the process if nobody has asked for a while."""
        if self._process is not None and not self._turn.locked() and time.monotonic() - self._asked > IDLE_S:
            self._kill()

    def end(self) -> None:
        """End the process."""
        self._kill()

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "plainfilm.app.illustrator"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


def _ask(process: "subprocess.Popen[bytes]", request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    if process.stdin is None or process.stdout is None:
        raise OSError("no pipes")
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    told = json.loads(process.stdout.readline())
    length = int(told.get("bytes", 0))
    content = process.stdout.read(min(length, _MOST_BYTES))
    if len(content) != length:
        raise OSError("cut short")
    return told, content


def _serve(asked: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until nobody asks any more."""
    from plainfilm.workflows.pictures import Pictures

    pictures = Pictures()
    for line in asked:
        request, content = json.loads(line), b""
        try:
            content = _drawn(pictures, request)
            told: dict[str, Any] = {"bytes": len(content)}
        except PlainfilmError as error:
            told = {"line": str(error)}
        except Exception:  # noqa: BLE001 - of a file that is not ours; the next one may be drawn
            told = {"line": "Expected a radiograph; received a file that cannot be drawn. Look at it elsewhere."}
        answers.write(json.dumps(told).encode() + b"\n" + content)
        answers.flush()
    pictures.close()


def _drawn(pictures: Any, request: dict[str, Any]) -> bytes:
    longest_px = int(request["size"])
    if "store" in request:
        store = Path(request["store"])
        drawn: bytes = pictures.of_store(
            store, sha256=request.get("sha256", ""), file=request.get("file", ""), longest_px=longest_px
        )
    else:
        drawn = pictures.of_file(Path(request["path"]), longest_px=longest_px)
    return drawn


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
