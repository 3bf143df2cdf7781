"""Requests as bytes, and servers to send them to: the command in a process, or its parts in a thread with small limits."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waiting import WAIT_S

BOUNDARY = "plainfilm-tests"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json["error"]["code"]


def part(data: bytes, *, name: str = "files", file_name: str | None = "film.png") -> bytes:
    shown = "" if file_name is None else f'; filename="{file_name}"'
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{shown}\r\n\r\n'.encode() + data + b"\r\n"


def form(files: Iterable[tuple[str, bytes]], /, **fields: str) -> bytes:
    """A multipart body."""
    parts = [part(data, file_name=name) for name, data in files]
    parts += [part(value.encode(), name=name, file_name=None) for name, value in fields.items()]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def head(method: str, path: str, headers: Mapping[str, object] = {}) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in {"Host": "127.0.0.1", **headers}.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def post(path: str, body: bytes, headers: Mapping[str, object] = {}) -> bytes:
    """A whole POST of a multipart body."""
    told = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Content-Length": len(body), **headers}
    return head("POST", path, told) + body


@contextmanager
def connected(port: int, *, seconds: float = WAIT_S, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    """Connect to this machine from one of its addresses: on Linux all of 127.0.0.0/8 are."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds, source_address=(source, 0)) as link:
        yield link


def received(link: socket.socket, *, is_head: bool = False) -> Answer:
    """One answer of a connection, by its Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = link.recv(1 << 16)
        if not piece:
            raise EOFError(data[:200])
        data += piece
    top, _, body = data.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(": ")
        assert name not in headers, f"{name} twice"
        headers[name] = value
    length = 0 if is_head else int(headers.get("content-length", 0))
    while len(body) < length:
        piece = link.recv(1 << 16)
        if not piece:
            raise EOFError(body[:200])
        body += piece
    return Answer(int(first.split()[1]), headers, body[:length])


def asked(port: int, request: bytes, *, is_head: bool = False, source: str = "127.0.0.1") -> Answer:
    """Send a request on a connection of its own and give the answer, which may come before all was sent."""
    with connected(port, source=source) as link:
        with suppress(BrokenPipeError, ConnectionResetError):
            link.sendall(request)
        return received(link, is_head=is_head)


def closes(link: socket.socket) -> bool:
    """Whether the other side ends the connection."""
    try:
        return link.recv(1 << 16) == b""
    except ConnectionResetError:
        return True


@dataclass
class Started:
    """`plainfilm serve` in a process; `log` is its stderr."""

    process: subprocess.Popen[str]
    told: dict[str, Any]
    log: Path

    @property
    def address(self) -> str:
        return self.told["address"]

    @property
    def port(self) -> int:
        return int(re.search(r":(\d+)$", self.address)[1])

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def stop(self, kind: int = signal.SIGTERM) -> int:
        self.process.send_signal(kind)
        return self.process.wait(WAIT_S)


@contextmanager
def started(bundle: Path, log: Path, *words: object, **more: Any) -> Iterator[Started]:
    """Run the command on a free port; killed at the end, if it still runs."""
    environment = {name: value for name, value in os.environ.items() if name != "PLAINFILM_TOKEN"}
    environment |= more.pop("env", {})
    command = [sys.executable, "-m", "plainfilm", "serve", str(bundle), "--port", "0", "--json", *map(str, words)]
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True, env=environment, **more)
    with process:
        try:
            line = process.stdout.readline()
            assert line, log.read_text()
            yield Started(process, json.loads(line), log)
        finally:
            process.kill()


def own_places(folder: Path) -> dict[str, Any]:
    """Empty folders to live in: home, temporary files, working folder; what `started` is told of them."""
    for name in ("home", "temporary", "here"):
        (folder / name).mkdir(parents=True)
    return {"env": {"HOME": str(folder / "home"), "TMPDIR": str(folder / "temporary")}, "cwd": folder / "here"}


def descendants(pid: int) -> list[tuple[int, str]]:
    """Processes below one, each with its state; Z is a zombie."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(parent) == pid:
                found += [(int(entry.name), state), *descendants(int(entry.name))]
    return found


class InThread:
    """uvicorn with our connections and an application, in a thread of this process."""

    def __init__(self, app: Any) -> None:
        import uvicorn

        from plainfilm.serve import http_limits

        options = {**http_limits.options(http_limits.Connections()), "timeout_graceful_shutdown": 1}
        self._server = uvicorn.Server(
            uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, server_header=False, **options)
        )
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def __enter__(self) -> "InThread":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(WAIT_S)
        self._socket.close()
        assert not self._thread.is_alive()
