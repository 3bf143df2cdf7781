"""Made frontal chest radiographs, well and sick, from three invented hospitals: for the demo, tests and planted shortcuts.

`plan` draws who is filmed where, `render` makes one radiograph of it, `write_phantoms` a folder that ingest can read.
"""

import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plainfilm.data.files import reserved
from plainfilm.data.rendering.anatomy import make_anatomy
from plainfilm.data.rendering.exposure import Disease, Posture, expose
from plainfilm.data.rendering.hospitals import HOSPITALS, SHORTCUTS, Hospital, develop
from plainfilm.errors import CatalogError, UsageError
from plainfilm.harmless import write_table
from plainfilm.reasons import reason_of

__all__ = ["HOSPITALS", "SHORTCUTS", "Hospital", "Phantom", "Visit", "encode", "plan", "render", "write_phantoms"]

CLASSES = ("COVID", "NORMAL")
COLUMNS = ("file_name", "label", "source", "patient_id", "sex", "age", "view")


@dataclass(frozen=True, slots=True)
class Visit:
    """One radiograph to make: everything that `render` needs, in a few values."""

    name: str  # of the file, without folder or ending
    patient: str
    body_seed: int  # the same on every radiograph of a patient
    seed: int  # of this radiograph
    hospital: Hospital
    sick: bool
    sex: str  # "F" or "M"
    age: int  # years
    view: str  # "PA" or "AP"
    shortcut: str | None = None
    flag: bool = False  # the shortcut's sign is on this radiograph
    copy: str = ""  # "" | "exact" | "near": a duplicate of another radiograph

    @property
    def label(self) -> str:
        """Name of the class."""
        return CLASSES[0] if self.sick else CLASSES[1]


@dataclass(frozen=True, slots=True)
class Phantom:
    """One synthetic radiograph and the truth about it."""

    visit: Visit
    pixels: NDArray[np.uint8]  # (height, width), bones bright
    lungs: NDArray[np.bool_]  # (height, width), heart shadow included, cut at the diaphragm
    severity: float  # 0 (well) to 1
    quality: int  # JPEG quality that the hospital saves with


def plan(
    n: int, *, seed: int = 0, shortcut: str | None = None, strength: float = 1.0, duplicates: int | None = None
) -> tuple[Visit, ...]:
    """Draw patients and their radiographs.

    Sick and well patients come in pairs from the same hospital with as many radiographs each, so that neither the source nor
    anything else but the lungs tells the class, unless a shortcut is planted.

    Parameters
    ----------
    n : radiographs in all, at least 4
    shortcut : one of SHORTCUTS, or None
    strength : in [0, 1]; share of patients whose sign follows the class, the others' is drawn by a coin
    duplicates : how many of the n are exact or near copies of another one; None: one in forty

    Raises
    ------
    UsageError : n, strength or duplicates out of range, or an unknown shortcut
    """
    copies = n // 40 if duplicates is None else duplicates
    _check(n, shortcut, strength, copies)
    rng = np.random.default_rng(seed)
    visits: list[Visit] = []
    number = 0
    while len(visits) < n - copies:
        place = HOSPITALS[number // 2 % len(HOSPITALS)]
        films = int(rng.choice([1, 2, 3], p=[0.75, 0.17, 0.08]))
        both = [
            _patient(
                rng,
                number=number + k,
                place=place,
                sick=k == 0,
                films=films,
                shortcut=shortcut,
                strength=strength,
            )
            for k in range(2)
        ]
        visits += [visit for together in zip(*both, strict=True) for visit in together]
        number += 2
    visits = visits[: n - copies]
    chosen = rng.choice(len(visits), copies, replace=False).tolist()
    visits += [replace(visits[of], copy=("exact", "near")[k % 2]) for k, of in enumerate(chosen)]
    return tuple(replace(visit, name=f"{number:05d}") for number, visit in enumerate(visits, 1))


def _check(n: int, shortcut: str | None, strength: float, copies: int) -> None:
    if n < 4:
        raise UsageError(f"Expected at least 4 phantoms; received {n}. Ask for more.")
    if shortcut is not None and shortcut not in SHORTCUTS:
        raise UsageError(
            f"Expected a shortcut among {', '.join(SHORTCUTS)}; received {shortcut!r}. Choose one of them."
        )
    if not 0 <= strength <= 1:
        raise UsageError(f"Expected a strength from 0 to 1; received {strength}. Choose a share of the patients.")
    if not 0 <= copies <= n // 2:
        raise UsageError(f"Expected 0 to {n // 2} duplicates among {n} phantoms; received {copies}. Ask for fewer.")


def _patient(
    rng: np.random.Generator,
    *,
    number: int,
    place: Hospital,
    sick: bool,
    films: int,
    shortcut: str | None,
    strength: float,
) -> list[Visit]:
    """Radiographs of one patient. Always the same draws, so that planting a shortcut leaves the patients as they are."""
    tied, coin, other = rng.random() < strength, bool(rng.random() < 0.5), int(rng.integers(1, len(HOSPITALS)))
    flag = sick if tied else coin
    if shortcut == "hospital":
        place = HOSPITALS[0 if flag else other]
    child, adult = int(rng.integers(2, 14)), int(np.clip(rng.normal(56, 17), 18, 92))
    age = child if rng.random() < place.child_share else adult
    first = Visit(
        name="",
        patient=f"P{number + 1:05d}",
        body_seed=int(rng.integers(2**31)),
        seed=0,
        hospital=place,
        sick=sick,
        sex="F" if rng.random() < 0.48 else "M",
        age=age,
        view="",
        shortcut=shortcut,
        flag=flag and shortcut is not None,
    )
    views = np.where(rng.random(films) < place.ap_share, "AP", "PA").tolist()
    return [replace(first, seed=int(rng.integers(2**31)), view=view) for view in views]


def render(visit: Visit) -> Phantom:
    """Make the radiograph of a visit; the same visit gives the same pixels."""
    always = np.random.default_rng(visit.body_seed)
    rng = np.random.default_rng(visit.seed)
    body = make_anatomy(always, sex=visit.sex, age=visit.age)
    disease = _disease(visit, always, rng)
    posture = _posture(visit, rng)
    place = visit.hospital
    coarse = visit.shortcut == "noise texture" and visit.flag
    density, lungs = expose(
        body,
        posture,
        disease,
        photons=2500 if coarse else place.photons * rng.uniform(0.7, 1.4),
        grain=0.5 if coarse else place.grain,
        scatter=place.scatter * rng.uniform(0.85, 1.15),
    )
    pixels = develop(density, place, rng, shortcut=visit.shortcut, flag=visit.flag)
    quality = int(rng.integers(place.quality[0], place.quality[1] + 1))
    if visit.shortcut == "JPEG quality":
        quality = int(rng.integers(28, 40)) if visit.flag else int(rng.integers(88, 96))
    phantom = Phantom(visit, pixels, lungs, disease.severity, quality)
    if visit.shortcut == "resolution" and visit.flag:
        phantom = _resized(phantom, 0.6)
    return _near_copy(phantom) if visit.copy == "near" else phantom


def _disease(visit: Visit, always: np.random.Generator, rng: np.random.Generator) -> Disease:
    """Draw the patient's opacities; their extent changes from radiograph to radiograph."""
    severity = float(np.clip(0.28 + 0.72 * always.beta(1.5, 1.3) + rng.normal(0, 0.06), 0.2, 1))
    return Disease(severity if visit.sick else 0.0, float(always.uniform()), int(always.integers(2**31)))


def _posture(visit: Visit, rng: np.random.Generator) -> Posture:
    lying = visit.view == "AP"
    width = int(rng.integers(visit.hospital.width[0], visit.hospital.width[1] + 1))
    aspect = rng.uniform(*visit.hospital.aspect)
    if visit.shortcut == "aspect ratio":
        aspect = rng.uniform(0.80, 0.84) if visit.flag else rng.uniform(0.98, 1.04)
    return Posture(
        view=visit.view,
        width=width,
        height=round(width * aspect),
        scale=width * rng.uniform(0.37, 0.44),
        centre_x=width * (0.5 + rng.normal(0, 0.018)),
        top=width * aspect * rng.uniform(0.08, 0.15),
        angle=rng.normal(0, 0.035 if lying else 0.018),
        turn=rng.normal(0, 0.035 if lying else 0.018),
        breath=float(rng.beta(2, 2) if lying else rng.beta(4, 1.7)),
        leads=bool(lying and rng.random() < 0.45),
        seed=int(rng.integers(2**31)),
    )


def _resized(phantom: Phantom, share: float) -> Phantom:
    size = (round(phantom.pixels.shape[1] * share), round(phantom.pixels.shape[0] * share))
    pixels = np.array(Image.fromarray(phantom.pixels).resize(size, Image.Resampling.LANCZOS))
    lungs = np.array(Image.fromarray(phantom.lungs).resize(size, Image.Resampling.NEAREST))
    return replace(phantom, pixels=pixels, lungs=lungs)


def _near_copy(phantom: Phantom) -> Phantom:
    """Copy smaller and worse; beside a planted shortcut only a little brighter, to leave its sign alone."""
    if phantom.visit.shortcut is None:
        return replace(_resized(phantom, 0.8), quality=72)
    return replace(phantom, pixels=np.minimum(phantom.pixels, 252) + np.uint8(3))


def encode(phantom: Phantom) -> bytes:
    """Save the radiograph as a grey JPEG file would be, in the hospital's quality."""
    buffer = io.BytesIO()
    Image.fromarray(phantom.pixels).save(buffer, "JPEG", quality=phantom.quality)
    return buffer.getvalue()


def write_phantoms(
    folder: str | Path,
    *,
    n: int = 300,
    seed: int = 0,
    shortcut: str | None = None,
    strength: float = 1.0,
    duplicates: int | None = None,
    workers: int = 1,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Path:
    """Write `CLASS/*.jpg` and `metadata.csv`, as `plan` draws them.

    The folder appears whole or not at all.

    Parameters
    ----------
    folder : a new folder, or an empty one
    workers : threads
    overwrite : replace what is in the folder
    progress : called with done and all after each radiograph

    Raises
    ------
    CatalogError : the folder holds something, or cannot be written
    UsageError : see `plan`
    """
    visits = plan(n, seed=seed, shortcut=shortcut, strength=strength, duplicates=duplicates)
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not overwrite)):
        raise CatalogError(f"Expected a new or empty folder for phantoms; received {folder}. Name another.")
    try:
        with reserved(folder, overwrite=overwrite) as (part,):
            for name in CLASSES:
                (part / name).mkdir(parents=True)
            _write_films(part, visits, workers, progress)
            _write_table(part / "metadata.csv", visits)
    except OSError as error:
        raise CatalogError(
            f"Expected a folder that can be written; received {folder} ({reason_of(error)}). Name another."
        ) from error
    return folder


def _write_films(part: Path, visits: tuple[Visit, ...], workers: int, progress: Callable[[int, int], None]) -> None:
    def write(visit: Visit) -> None:
        (part / visit.label / f"{visit.name}.jpg").write_bytes(encode(render(visit)))

    with ThreadPoolExecutor(max(1, workers)) as threads:
        for done, _ in enumerate(threads.map(write, visits), 1):
            progress(done, len(visits))


def _write_table(path: Path, visits: Iterable[Visit]) -> None:
    rows = ((f"{v.label}/{v.name}.jpg", v.label, v.hospital.name, v.patient, v.sex, v.age, v.view) for v in visits)
    write_table(path, [COLUMNS, *rows])
