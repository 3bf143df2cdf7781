"""The app as a process of its own, and a client that comes in as a browser does; tests and benchmarks share it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from waiting import WAIT_S

RESTING = ("done", "failed", "stopped", "interrupted")


class Client:
    """Asks an app with the cookie that a one-time address gave."""

    def __init__(self, address: str, *, comes_in: bool = True) -> None:
        told = urlsplit(address)
        self.host, self.port = str(told.hostname), int(told.port or 0)
        self.cookie = ""
        if comes_in:
            status, headers, _ = self.ask("GET", f"/?{told.query}")
            assert status == 303, status
            self.cookie = headers["set-cookie"].partition(";")[0]

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request; headers have _ for -."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=WAIT_S)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, ({"cookie": self.cookie} if self.cookie else {}) | sent)
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        content = answer.read()
        connection.close()
        return answer.status, told, content

    def get(self, path: str) -> Any:
        """What is told under an address."""
        return json.loads(self.ask("GET", path)[2])

    def post(self, path: str, told: Any = None) -> Any:
        """What a request with a body in JSON is answered."""
        return json.loads(self.ask("POST", path, json.dumps(told or {}).encode(), content_type="application/json")[2])

    def job(self, name: str) -> Any:
        """A job as it is now."""
        return next((each for each in self.get("/api/state")["jobs"] if each["id"] == name), None)

    def rested(self, name: str) -> Any:
        """A job once it waits and runs no more."""
        number, end = 0, time.monotonic() + WAIT_S
        while time.monotonic() < end:
            told = self.get(f"/api/state?since={number}")
            number = told["number"]
            job = next((each for each in told["jobs"] if each["id"] == name), None)
            if job is not None and job["state"] in RESTING:
                return job
        raise AssertionError("it did not rest in time")

    def looked(self, *sources: Path, **options: Any) -> Any:
        """What a listing comes to."""
        look = self.post("/api/look", {"sources": [str(each) for each in sources], "options": options})["look"]
        number = 0
        while True:
            told = self.get(f"/api/look/{look}?since={number}")
            if told["state"] != "running":
                return told
            number = told["number"]

    def dropped(self, into: str, name: str, content: bytes) -> tuple[int, Any]:
        """What a dropped file is answered."""
        status, _, answer = self.ask("POST", f"/api/drop?into={quote(into)}&name={quote(name)}", content)
        return status, json.loads(answer)


class App:
    """`plainfilm app` as a process, until it is left."""

    def __init__(self, root: Path, *words: str, log: Path) -> None:
        self.log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "plainfilm", "app", "--root", str(root), "--no-browser", "--json", *words],
                stdout=subprocess.PIPE,
                stderr=errors,
                env=os.environ | {"PLAINFILM_CACHE": str(log.parent / "cache")},
            )
        began = time.monotonic()
        line = self.process.stdout.readline() if self.process.stdout else b""
        self.started_s = time.monotonic() - began
        assert line, log.read_text()
        self.told = json.loads(line)

    def __enter__(self) -> "App":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def client(self) -> Client:
        """Come in by the one-time address."""
        return Client(self.told["address"])

    def end(self, kind: signal.Signals = signal.SIGTERM) -> int:
        """End it, and give its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(kind)
        code = self.process.wait(WAIT_S)
        if self.process.stdout:
            self.process.stdout.close()
        return code
