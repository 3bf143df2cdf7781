"""A real PACS for tests and benchmarks: Orthanc, in a network of its own that has only loopback, for it binds to all addresses."""

import contextlib
import ctypes
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from made_dicom import free_port, has
from waiting import WAIT_S, until

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET


def missing() -> str:
    """Say what keeps Orthanc from running here; nothing where it can."""
    if not has("Orthanc"):
        return "needs Orthanc (Debian's orthanc)"
    if not PLUGIN.exists():
        return "needs Orthanc's DICOMweb (Debian's orthanc-dicomweb)"
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode:
        return "needs root to make a network namespace"
    return ""


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """Move this thread, and the threads and processes that it starts, into a new network with loopback alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before:  # noqa: PTH123 - a handle, not a text
        if libc.unshare(_NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            libc.setns(before.fileno(), _NEW_NETWORK)


class Orthanc:
    """A running Orthanc. `modalities` are names with (AE title, host, port); `more` are settings of its own."""

    def __init__(self, folder: Path, modalities: Mapping[str, tuple[str, str, int]], **more: Any) -> None:
        self.dicom_port, self.http_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.dicomweb = f"{self.url}/dicom-web"
        settings = {
            "Name": "PACS",
            "DicomAet": "PACS",
            "DicomPort": self.dicom_port,
            "HttpPort": self.http_port,
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAssociationCloseDelay": 0,
            "DicomModalities": {name: list(where) for name, where in modalities.items()},
            "Plugins": [str(PLUGIN)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            **more,
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self._log = (folder / "orthanc.log").open("w")
        path = f"{os.environ['PATH']}:/usr/sbin"
        self._process = subprocess.Popen(
            ["Orthanc", str(folder / "orthanc.json")],
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "PATH": path},
        )
        until(self._answers)

    def ask(self, path: str, body: Any = None, method: str = "") -> Any:
        """Call the REST API: what it says, from JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, method=method or ("POST" if data else "GET"))
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            return json.loads(answer.read() or b"null")

    def of_modality(self, modality: str) -> list[dict[str, Any]]:
        """Find the instances of a modality, with their UIDs."""
        query = {"Level": "Series", "Query": {"Modality": modality}, "Expand": False}
        series = self.ask("/tools/find", query)
        found: list[dict[str, Any]] = []
        for each in series:
            found += self.ask(f"/series/{each}/instances")
        return found

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(
                f"Orthanc ended with {self._process.returncode}: {Path(self._log.name).read_text()[-2000:]}"
            )
        try:
            self.ask("/system")
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
            return False
        return True
