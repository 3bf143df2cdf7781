"""Synthetic radiographs as DICOM instances, an examiner that needs no model, and nodes to talk to, for the tests of the DICOM node."""

import dataclasses
import hashlib
import os
import shutil
import socket
import struct
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage, generate_uid
from pynetdicom import AE, evt

from made_bundles import RUN, metrics
from made_files import dataset, dicom_bytes, film
from plainfilm.evidence.inference.context import About
from plainfilm.results.predictions import GroupedPrediction, Prediction
from plainfilm.serve.explaining import Examined, Identity

MODEL = hashlib.sha256(b"a made model").hexdigest()
ABOUT = About(
    classes=("COVID", "NORMAL"),
    positive="COVID",
    threshold=0.41,
    calibrated_at=0.34,
    prevalence=0.34,
    metrics=metrics(worth=RUN["worth"] | {"level": "caution", "sentence": "It is worth what it was tested on."}),
)


def uid(name: str) -> str:
    return str(generate_uid(entropy_srcs=["plainfilm tests", name]))


def instance(name: str = "one", **elements: Any) -> Dataset:
    """A small CR image of a study of its own; elements given as None are left out."""
    given = {
        "SOPClassUID": ComputedRadiographyImageStorage,
        "SOPInstanceUID": uid(name),
        "StudyInstanceUID": uid(f"study {name}"),
        "SeriesInstanceUID": uid(f"series {name}"),
        "PatientID": "P-1",
        "PatientName": "Muster^Anna",
        "PatientBirthDate": "19700102",
        "PatientSex": "F",
        "StudyDate": "20261125",
        "StudyTime": "081500",
        "StudyID": "S1",
        "AccessionNumber": "A1",
        "ReferringPhysicianName": "",
        "Modality": "CR",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "PatientOrientation": ["L", "F"],
    }
    made = dataset(film())
    for keyword, value in {**given, **elements}.items():
        if value is None:
            if keyword in made:
                delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    return made


def instance_bytes(name: str = "one", **elements: Any) -> bytes:
    return dicom_bytes(instance(name, **elements))


class FakeExaminer:
    """Answers at once: by default COVID; `level` another, `raising` an error; counts what it was asked."""

    def __init__(
        self, *, level: str = "ok", label: str = "COVID", seconds: float = 0, raising: Exception | None = None
    ) -> None:
        self.identity = Identity(name="COVID or NORMAL, made", version="0.1.0+abcdef012345", sha256=MODEL)
        self.about = ABOUT
        self.asked: list[str] = []
        self.gate = threading.Event()  # ends the seconds early
        self._level, self._label, self._seconds, self._raising = level, label, seconds, raising

    def examine(self, data: bytes, *, name: str) -> Examined:  # noqa: ARG002 - as Examiner
        self.asked.append(hashlib.sha256(data).hexdigest())
        self.gate.wait(self._seconds)
        if self._raising:
            raise self._raising
        return examined(self._level, self._label)

    def check_studies(self) -> None:
        """It knows how."""

    def of_study(self, films: Sequence[Prediction]) -> tuple[Prediction, About]:
        told = {name: getattr(films[0], name) for name in ("label", "level", "probabilities")}
        joined = GroupedPrediction(file="study", films=tuple(film.file for film in films), used=len(films), **told)
        return joined, dataclasses.replace(self.about, by="study")

    def deciding(self, films: Sequence[Prediction]) -> int | None:
        """The last film speaks most."""
        return len(films) - 1


def examined(level: str = "ok", label: str = "COVID", side: int = 256) -> Examined:
    view = np.tile(np.linspace(0, 255, side - 40).astype(np.uint8), (side, 1))
    if level == "unreadable":
        prediction = Prediction(file="x", label=None, probabilities={}, level=level, reasons=("received damaged data",))
        return Examined(prediction=prediction, view=None, attribution=None, explained=None)
    chances = {label: 0.93, "NORMAL": 0.07}
    if level == "refused":
        prediction = Prediction(
            file="x", label=None, probabilities=chances, level=level, reasons=("unlike the training images",)
        )
        return Examined(prediction=prediction, view=view, attribution=None, explained=None)
    prediction = Prediction(
        file="x", label=label, probabilities=chances, level=level, notes=("lateral",), at_prevalence=0.93, in_lungs=0.62
    )
    attribution = np.outer(np.linspace(0, 1, side), np.linspace(0, 1, side - 40)).astype(np.float32)
    return Examined(prediction=prediction, view=view, attribution=attribution, explained=label)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Archive:
    """A PACS in miniature: keeps what it is sent, answers with `status`."""

    def __init__(self, title: str = "PACS", port: int = 0, classes: tuple[str, ...] = (), secured: Any = None) -> None:
        from pydicom.uid import ComprehensiveSRStorage, SecondaryCaptureImageStorage

        self.status = 0x0000
        self.got: list[Dataset] = []
        self._guard = threading.Lock()
        entity = AE(title)
        for sop_class in classes or (ComprehensiveSRStorage, SecondaryCaptureImageStorage):
            entity.add_supported_context(sop_class)
        handlers = [(evt.EVT_C_STORE, self._keep)]
        self._server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers, ssl_context=secured)
        self.port = self._server.server_address[1]

    def _keep(self, event: Any) -> int:
        if self.status == 0:
            with self._guard:
                self.got.append(event.dataset)
        return self.status

    def reports(self) -> list[Dataset]:
        with self._guard:
            return [each for each in self.got if each.Modality == "SR"]

    def close(self) -> None:
        self._server.shutdown()


def sent(port: int, *datasets: Dataset, calling: str = "PACS", called: str = "PLAINFILM") -> list[int | None]:
    """Send instances over one association; the status of each."""
    entity = AE(calling)
    for each in datasets:
        syntax = each.file_meta.TransferSyntaxUID
        if not any(
            c.abstract_syntax == each.SOPClassUID and syntax in c.transfer_syntax for c in entity.requested_contexts
        ):
            entity.add_requested_context(each.SOPClassUID, syntax)
    association = entity.associate("127.0.0.1", port, ae_title=called)
    if not association.is_established:
        return []
    try:
        return [association.send_c_store(each).get("Status") for each in datasets]
    finally:
        association.release()


def echoed(port: int, *, calling: str = "PACS", called: str = "PLAINFILM", source: str = "127.0.0.1") -> int | None:
    entity = AE(calling)
    entity.add_requested_context("1.2.840.10008.1.1")
    association = entity.associate("127.0.0.1", port, ae_title=called, bind_address=(source, 0))
    if not association.is_established:
        return None
    try:
        status: int | None = association.send_c_echo().get("Status")
        return status
    finally:
        association.release()


def request(called: bytes = b"PLAINFILM", calling: bytes = b"PACS", *, tail: bytes = b"") -> bytes:
    """An A-ASSOCIATE-RQ for C-STORE of CR in Implicit VR Little Endian (PS3.8 9.3.2)."""

    def item(kind: int, data: bytes) -> bytes:
        return struct.pack(">BBH", kind, 0, len(data)) + data

    syntaxes = item(0x30, b"1.2.840.10008.5.1.4.1.1.1") + item(0x40, b"1.2.840.10008.1.2")
    items = item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, b"\x01\0\0\0" + syntaxes)
    items += item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3")) + tail
    body = struct.pack(">HH", 1, 0) + called.ljust(16) + calling.ljust(16) + bytes(32) + items
    return struct.pack(">BBI", 1, 0, len(body)) + body


def pdata(data: bytes, control: int) -> bytes:
    value = struct.pack(">IBB", len(data) + 2, 1, control) + data
    return struct.pack(">BBI", 4, 0, len(value)) + value


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def has(*programs: str) -> bool:
    return all(shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") for program in programs)
