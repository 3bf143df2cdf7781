"""What the detector of outliers refuses, flags and lets pass: radiographs kept apart, and pictures that are none.

    python benchmarks/outliers.py --work /tmp/outliers --out outliers.json

Of mixed and darkcovidnet (../shared), and of synthetic radiographs, each with both backbones: for each seed a new split, a
detector fitted on its training set, judged on its test set as it is, inverted and rotated, and on strangers: drawn
ones, crops of real photographs (scikit-learn's and matplotlib's) and pydicom's CT, MR and ultrasound. Ranges are over
seeds. "other_collection" are radiographs of hospitals not trained on: how much of those is refused has no aim.
"""

import argparse
import hashlib
import os
import statistics
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from measuring import SHARED, finish, plainfilm, spread

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import made_outliers
from plainfilm.data import images, phantom, split
from plainfilm.data.store import Store
from plainfilm.errors import ImageError
from plainfilm.evidence.outliers import detector as outliers
from plainfilm.model import backbones, encoder
from plainfilm.model.cpus import processors

SIZE = 256
COLLECTIONS = ("mixed", "darkcovidnet")
MADE = "made"
FEW = (10, 30, 100, 300)
KERAS_MOBILENET = SHARED / "weights" / "mobilenet_1_0_224_tf_no_top.h5"
LEVELS = get_args(outliers.OutlierLevel)
DICOM = ("CT_small.dcm", "MR_small.dcm", "693_J2KI.dcm", "examples_ybr_color.dcm", "examples_palette.dcm")
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures to encode, all in memory."""

    pixels: Pixels
    fingerprint: str

    def __len__(self) -> int:
        return len(self.pixels)

    def batches(self, size: int, start: int = 0) -> Iterator[Pixels]:
        """Give all pictures from row `start` on in order."""
        for at in range(start, len(self), size):
            yield self.pixels[at : at + size]


@dataclass(frozen=True, slots=True)
class TurnedStore:
    """All images of a store, turned one way."""

    store: Store
    name: str

    @property
    def fingerprint(self) -> str:
        """Tell it from the store and from other turns."""
        return f"{self.store.fingerprint} {self.name}"

    def __len__(self) -> int:
        return len(self.store)

    def batches(self, size: int, start: int = 0) -> Iterator[Pixels]:
        """Give all images from row `start` on in order, turned."""
        for batch in self.store.batches(size, start):
            yield outliers.turn(batch)[self.name]


def ingested(work: Path, name: str) -> Path:
    path, folder = work / f"{name}.h5", SHARED / "data" / name
    if path.is_file():
        return path
    if name == MADE:
        folder = work / MADE
        if not folder.is_dir():
            phantom.write_phantoms(folder, n=800, seed=1, workers=processors())
    plainfilm("ingest", folder, "--out", path, "--quiet", cache=work / "cache")
    return path


def drawn(count: int) -> dict[str, list[Pixels]]:
    return {kind: [made_outliers.draw(kind, seed) for seed in range(count)] for kind in made_outliers.KINDS}


def photographs(crops: int) -> list[Pixels]:
    """Crops of real photographs that packages ship, in gray."""
    import matplotlib as mpl
    from sklearn.datasets import load_sample_images

    person = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    sources = [Image.fromarray(each) for each in load_sample_images().images] + [Image.open(person)]
    rng, found = np.random.default_rng(0), []
    for source in sources:
        gray = np.asarray(source.convert("L"))
        for _ in range(crops):
            high, wide = (int(rng.integers(side // 3, side + 1)) for side in gray.shape)
            top, left = int(rng.integers(gray.shape[0] - high + 1)), int(rng.integers(gray.shape[1] - wide + 1))
            found.append(gray[top : top + high, left : left + wide])
    return found


def read(work: Path, count: int) -> dict[str, Pixels]:
    """Write the strangers as files and read them as plainfilm reads any; what it does not read at all is left out."""
    from pydicom.data import get_testdata_file

    kinds = {**drawn(count), "real_photograph": photographs(count // 3)}
    files: dict[str, list[Path]] = {"real_ct_mr_ultrasound": [Path(get_testdata_file(name)) for name in DICOM]}
    for kind, pictures in kinds.items():
        (work / "strangers" / kind).mkdir(parents=True, exist_ok=True)
        files[kind] = [work / "strangers" / kind / f"{number:03d}.png" for number in range(len(pictures))]
        for path, picture in zip(files[kind], pictures, strict=True):
            Image.fromarray(picture).save(path)
    out = {}
    for kind, paths in files.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = [each.pixels for path in paths if (each := _readable(path)) is not None]
        out[kind] = np.stack(found)
    return out


def _readable(path: Path) -> images.Radiograph | None:
    try:
        return images.read(path, size=SIZE)
    except ImageError:
        return None


def encode(opened: encoder.Encoder, source: encoder.ImageSource) -> NDArray[np.float32]:
    found = encoder.encode_store(opened, source)
    return found.read(range(found.rows))


def shares(judged: outliers.OutlierJudgement) -> dict[str, float]:
    return {level: float((judged.level == level).mean()) for level in LEVELS}


def one_seed(
    store: Store,
    features: NDArray[np.float32],
    turned: Mapping[str, NDArray[np.float32]],
    others: Mapping[str, tuple[NDArray[np.float32], Pixels | None]],
    seed: int,
    most: int | None = None,
) -> dict[str, Any]:
    """Fit on the training set of a new split, or on `most` rows of it, and judge everything else."""
    parts = split.make(store.labels, store.group, store.classes, seed=seed)
    train, test = np.flatnonzero(parts == "train"), np.flatnonzero(parts == "test")
    train = train if most is None else train[outliers.sample(store.group[train], most, seed=seed)]
    chosen = {name: train[own] for name, own in outliers.dealt(store.group[train], seed=seed).items()}
    views = outliers.Turned(
        features={name: turned[name][own] for name, own in chosen.items()},
        group={name: store.group[own] for name, own in chosen.items()},
    )
    start = time.perf_counter()
    detector = outliers.fit(features[train], store.group[train], turned=views, seed=seed)
    seconds = time.perf_counter() - start
    judged = {"radiograph": detector.judge(features[test], pixels=store.images(test))}
    judged |= {name: detector.judge(each[test]) for name, each in turned.items()}
    judged |= {kind: detector.judge(each, pixels=pixels) for kind, (each, pixels) in others.items()}
    flagged = {name: judged[name].reason[judged[name].level == "flagged"] for name in turned}
    right = {name: float(np.mean(why == outliers.looks_so(name))) for name, why in flagged.items() if len(why)}
    return {
        "groups": detector.groups,
        "turned": sum(map(len, chosen.values())),
        "promised": detector.promised,
        "fit_seconds": seconds,
        "bytes": len(detector.to_bytes()),
        "kinds": {kind: shares(each) for kind, each in judged.items()},
        "flags_that_name_the_turn": right,
    }


def over_seeds(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Spread over seeds of each share."""
    kinds = {
        kind: {level: spread([run["kinds"][kind][level] for run in runs]) for level in LEVELS}
        for kind in runs[0]["kinds"]
    }
    means = {level: statistics.mean(run["kinds"]["radiograph"][level] for run in runs) for level in LEVELS}
    numbers = {
        name: spread([run[name] for run in runs]) for name in ("groups", "turned", "promised", "fit_seconds", "bytes")
    }
    named: dict[str, list[float]] = {}
    for run in runs:
        for name, share in run["flags_that_name_the_turn"].items():
            named.setdefault(name, []).append(share)
    naming = {name: spread(each) for name, each in named.items()}
    return {**numbers, "radiograph_mean": means, "flags_that_name_the_turn": naming, "kinds": kinds}


def measure(work: Path, backbone: str, seeds: int, count: int) -> dict[str, Any]:
    row = backbones.find(backbone)
    weights_file = KERAS_MOBILENET if backbone == "mobilenet" else None
    opened = encoder.open_encoder(row, encoder.preprocessing(row, image_size=SIZE), weights_file=weights_file)
    pixels = read(work, count)
    others = {kind: (encode(opened, Pictures(each, _hash(each))), each) for kind, each in pixels.items()}
    names = [name for name in (*COLLECTIONS, MADE) if name == MADE or (SHARED / "data" / name).is_dir()]
    stores = {name: Store(ingested(work, name)) for name in names}
    features = {name: encode(opened, store) for name, store in stores.items()}
    found = {}
    for name, store in stores.items():
        turned = {way: encode(opened, TurnedStore(store, way)) for way in outliers.turn(store.images([0]))}
        elsewhere = [features[other] for other in names if other not in (name, MADE)]
        all_others = {**others, **({"other_collection": (np.concatenate(elsewhere), None)} if elsewhere else {})}
        runs = [one_seed(store, features[name], turned, all_others, seed) for seed in range(seeds)]
        found[name] = over_seeds(runs)
        for most in FEW:
            few = [one_seed(store, features[name], turned, all_others, seed, most) for seed in range(seeds)]
            found[f"{name}, {most} training images"] = over_seeds(few)
    return found


def _hash(pixels: Pixels) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for stores and caches, kept for repeats")
    parser.add_argument("--backbones", default="efficientnet_lite0,mobilenet")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--strangers", type=int, default=100, help="of each kind")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    os.environ["PLAINFILM_CACHE"] = str(args.work / "cache")
    args.work.mkdir(parents=True, exist_ok=True)
    figures = {name: measure(args.work, name, args.seeds, args.strangers) for name in args.backbones.split(",")}
    limits = {"refused": outliers.REFUSED, "unusual": outliers.UNUSUAL, "turned": outliers.TURNED}
    finish({"seeds": args.seeds, "limits": limits, "backbones": figures}, args.out)


if __name__ == "__main__":
    main()
