"""NIH ChestX-ray14 and CheXpert, as they are published, from the folder to a report of a training."""

import csv

import numpy as np
import pytest
from PIL import Image

import made_sets
import plainfilm
from plainfilm.data.store import Store

QUICK = {"backbone.input_size": 64, "backbone.depth": 3, "training.epochs": 10}
PLACES = {"Effusion": (44, 6), "Pleural Effusion": (44, 6), "Cardiomegaly": (30, 30), "Edema": (10, 38)}
pytestmark = pytest.mark.slow


def film(path, has, rng):
    """A film of noise with a bright square for each finding."""
    pixels = rng.normal(90, 18, (64, 64))
    for name in has:
        y, x = PLACES[name]
        pixels[y : y + 14, x : x + 14] += 70
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


def drawn(names, patients, rng):
    """Two films a patient, each with its findings."""
    for patient in range(1, patients + 1):
        for number in range(2):
            yield patient, number, [name for name in names if rng.random() < 0.4]


def write(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def nih14(root):
    rng, lists, rows = np.random.default_rng(0), {"train_val": [], "test": []}, []
    for patient, number, has in drawn(("Effusion", "Cardiomegaly"), 45, rng):
        name = f"{patient:08}_{number:03}.png"
        film(root / f"images_{1 + patient % 2:03}/images/{name}", has, rng)
        rows.append([name, "|".join(has) or "No Finding", number, patient, "058Y", "MF"[patient % 2], "PA", 64, 64, 0.14, 0.14, ""])  # fmt: skip
        lists["test" if patient > 36 else "train_val"].append(name)
    header = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"  # fmt: skip
    lines = "\n".join(",".join(map(str, row)) for row in rows)
    (root / "Data_Entry_2017.csv").write_text(f"{header}\n{lines}\n")
    for name, own in lists.items():
        (root / f"{name}_list.txt").write_text("\n".join(own))


def chexpert(root):
    rng, rows = np.random.default_rng(1), {"train": [], "valid": []}
    for patient, number, has in drawn(("Pleural Effusion", "Edema"), 60, rng):
        part = "valid" if patient > 50 else "train"
        path = f"CheXpert-v1.0-small/{part}/patient{patient:05}/study1/view{number + 1}_frontal.jpg"
        film(root / path, has, rng)
        states = {
            name: 1.0 if name in has else (0.0 if rng.random() < 0.8 else -1.0)
            for name in ("Pleural Effusion", "Edema")
        }
        states |= {"No Finding": 1.0} if not has else {}
        rows[part].append(
            [path, "Female", 68, "Frontal", "AP", *(states.get(name, "") for name in made_sets.CHEXPERT_FINDINGS)]
        )
    for part, own in rows.items():
        write(root / f"CheXpert-v1.0-small/{part}.csv", [made_sets.CHEXPERT_HEADER, *own])


@pytest.mark.parametrize(
    ("preset", "make", "findings"),
    [("nih14", nih14, {"Effusion", "Cardiomegaly"}), ("chexpert", chexpert, {"Pleural Effusion", "Edema"})],
)
def test_a_public_set_trains_as_it_is(preset, make, findings, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    make(tmp_path / "set")
    plainfilm.ingest(tmp_path / "set", tmp_path / "s.h5", preset=preset, size=64, workers=1)
    with Store(tmp_path / "s.h5") as store:
        assert (store.task, set(store.classes)) == ("findings", findings)
        patients = {part: set(store.patient[store.rows(part)].tolist()) for part in ("train", "validation", "test")}
        assert not patients["train"] & patients["test"]
    run = plainfilm.train(tmp_path / "s.h5", tmp_path / "run", settings=QUICK, audit=False)
    assert set(run.result.findings) == findings
    assert all(own.splits["test"].auroc.value > 0.7 for own in run.result.findings.values())
    assert all(name in (run.folder / "report.html").read_text() for name in findings)
