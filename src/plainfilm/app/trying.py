"""Trying a classifier: `plainfilm serve` at a port of its own, as long as somebody asks it."""

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path

from plainfilm.app.spoken import own_line
from plainfilm.harmless import harmless
from plainfilm.serve.http_errors import Refused

IDLE_S = 900.0
_STARTING_S, _ENDING_S = 180.0, 30.0
_MOST = 3


class Tries:
    """Servers of classifiers by bundle; each ends when nobody has asked it for a while.

    One `open` at a time; `rest` may be called meanwhile.
    """

    def __init__(self) -> None:
        self._served: dict[Path, _Try] = {}

    def open(self, bundle: Path) -> str:
        """Give the address of a server of a bundle, started if need be; its fragment holds the token, which no log sees.

        Raises
        ------
        Refused
            409 with the one line of a server that did not start.
        """
        self.rest()
        found = self._served.get(bundle)
        if found is None:
            while len(self._served) >= _MOST:
                self._served.pop(min(self._served, key=lambda each: self._served[each].heard)).end()
            found = self._served[bundle] = _Try(bundle)
        try:
            return found.address()
        except Refused:
            self._served.pop(bundle, found)  # if `rest` has not found it first
            found.end()
            raise

    def rest(self) -> None:
        """End servers that have ended or that nobody has asked for a while."""
        for bundle, each in list(self._served.items()):
            if each.is_over:
                self._served.pop(bundle, each)
                each.end()

    def end(self) -> None:
        """End all."""
        while self._served:
            self._served.popitem()[1].end()


class _Try:
    def __init__(self, bundle: Path) -> None:
        self._token = secrets.token_urlsafe(32)
        self._lines = list[str]()
        self.heard = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "plainfilm.app.leash", "serve", str(bundle), "--port", "0", "--json"],
            env=os.environ | {"PLAINFILM_TOKEN": self._token, "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.PIPE,  # never written to: what is started ends with us
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        self._started, self._address = threading.Event(), ""
        for follow in (self._starts, self._listens):
            threading.Thread(target=follow, name="try", daemon=True).start()

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None or time.monotonic() - self.heard > IDLE_S

    def address(self) -> str:
        self._started.wait(_STARTING_S)
        if not self._address:
            raise Refused(
                409,
                "try",
                harmless(own_line([*self._lines]))
                or "Expected the classifier to start; received nothing in time. Run plainfilm serve in a terminal.",
            )
        self.heard = time.monotonic()
        return f"{self._address}/#token={self._token}"

    def _starts(self) -> None:
        if self._process.stdout is not None:
            try:
                self._address = str(json.loads(self._process.stdout.readline())["address"])
            except (ValueError, KeyError, TypeError):
                self._process.wait()
                time.sleep(0.1)  # until its last line was heard
            self._started.set()

    def _listens(self) -> None:
        if self._process.stderr is None:
            return
        with self._process.stderr as said:
            for line in said:
                if '"event": "request"' in line:
                    self.heard = time.monotonic()
                else:
                    self._lines[:] = [*self._lines[-20:], line.rstrip()]

    def end(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
