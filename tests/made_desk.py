"""A desk with all that the docs' commands name: folders, a store, a run, every kind of report; small, and made once."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import made_dicom
import made_networks
import plainfilm
from plainfilm.data import phantom

SETTINGS = {"backbone.input_size": 96, "backbone.depth": 3, "training.epochs": 2}
QUICKER: Mapping[str, Sequence[str]] = {
    "train": [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")] + ["--no-audit"],
    "tune": ["--epochs", "2"],
    "demo": ["--images", "40"],
}
FEWER = {"--seeds": "2", "--trials": "4", "--folds": "2"}  # a value beside the flag is replaced


def quicker(words: Sequence[str], folder: Path) -> list[str]:
    """A command of the docs as the tests run it: fewer epochs and trials, and what an earlier command wrote replaced."""
    given = [FEWER.get(before, word) for before, word in zip(["", *words], words, strict=False)]
    has_own_network = "--backbone" in words  # of a size of its own
    added = [] if has_own_network else [*QUICKER.get(words[0], ())]
    if "--finetune" in words:
        added += ["--set", "finetuning.epochs=2"]
    if words[0] == "tune" and "--trials" not in words:
        added += ["--trials", "3"]
    out = words[words.index("--out") + 1] if "--out" in words else ""
    if words[0] in {"train", "audit", "relabel", "compare", "evaluate"} and (folder / out).is_dir():
        added.append("--overwrite")
    return [*given, *added]


def put_store_and_run(desk: Path) -> None:
    """Radiographs of two hospitals, a store of the first, and a signed run on it."""
    phantom.write_phantoms(desk / "FOLDER", n=72, shortcut="hospital")
    phantom.write_phantoms(desk / "OTHER_HOSPITAL", n=30, seed=9)
    plainfilm.ingest(desk / "FOLDER", desk / "my.h5", workers=1)
    put_keys(desk)
    plainfilm.train(desk / "my.h5", desk / "run", settings=SETTINGS, sign=desk / "hospital.pem")


def put_keys(desk: Path) -> None:
    """A hospital's key to sign with, and its public half."""
    key, pem = Ed25519PrivateKey.generate(), serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (desk / "hospital.pem").write_bytes(private)
    (desk / "hospital.pub").write_bytes(public)


def put_reports(desk: Path) -> None:
    """What the other verbs write of the store and the run."""
    bundle = desk / "run" / "model.plainfilm"
    plainfilm.audit(desk / "my.h5", desk / "audit", model=bundle)
    plainfilm.compare(desk / "my.h5", desk / "both", recipes=["default", "hidden-layer"], seeds=2, settings=SETTINGS)
    plainfilm.tune(desk / "my.h5", desk / "search", trials=4, epochs=2)
    plainfilm.evaluate(bundle, desk / "OTHER_HOSPITAL", desk / "elsewhere")


def put_names(desk: Path) -> None:
    """Films, bundles and labels under the names that the docs use."""
    films = sorted((desk / "FOLDER").rglob("*.jpg"))
    for name in ("film.png", "a.png", "films/1.png", "films/2.png", "folder/1.png"):
        (desk / name).parent.mkdir(exist_ok=True)
        shutil.copy(films[len(name) % len(films)], desk / name)
    for name in ("b.dcm", "new/1.dcm", "new/2.dcm"):
        (desk / name).parent.mkdir(exist_ok=True)
        (desk / name).write_bytes(made_dicom.instance_bytes(name))
    (desk / "NEW_HOSPITAL").mkdir()
    for film in (desk / "OTHER_HOSPITAL").rglob("*.jpg"):
        shutil.copy(film, desk / "NEW_HOSPITAL")
    table = desk / "OTHER_HOSPITAL" / "metadata.csv"
    text = table.read_text(encoding="utf-8").replace(",COVID,", ",COVID-19,")
    table.write_text(text.replace(",NORMAL,", ",Healthy,", 5), encoding="utf-8")
    shutil.copy(desk / "run" / "model.plainfilm", desk / "model.plainfilm")
    made_networks.own_backbone(desk / "mine.onnx", [made_networks.own_mean()], side=224)


def names(desk: Path) -> dict[str, Any]:
    """What the docs' Python takes as given."""
    films = sorted((desk / "FOLDER").rglob("*.jpg"))[:4]
    pixels = np.full((2, 96, 96), 90, np.uint8)
    return {"films": films, "labels": [film.parent.name for film in films], "many": films, "pixels": pixels}
