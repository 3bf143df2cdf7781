"""A bundle in another runtime's format: written, run there on 64 images, and kept only if it answers as the bundle does."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plainfilm.arguments import Target, checked
from plainfilm.data import claims, files, phantom
from plainfilm.data.files import reserved
from plainfilm.errors import ExportError, UsageError
from plainfilm.extras import require
from plainfilm.model import sites
from plainfilm.model.bundle import Bundle, load
from plainfilm.model.classifier import Classifier
from plainfilm.model.formats import FORMATS, Run
from plainfilm.model.onnx_session import BATCH
from plainfilm.results.exported import Exported

IMAGES = 64
TOLERANCE = 1e-4  # of a probability
LOG_TOLERANCE = 1e-2  # of a probability's logarithm: near 0 and 1 any two probabilities are close
_LEAST = 1e-12  # smaller probabilities are not exact in the bundle either
_LEAST_WIDTH = 64  # pixels; a smaller radiograph has no room for its letters
_NOISE = 40.0  # gray levels, standard deviation on the last image; none on the first


@checked
def export(
    bundle: Bundle | str | Path,
    to: Target,
    out: str | Path,
    *,
    overwrite: bool = False,
    require_signature: str | Path | None = None,
    site: str | None = None,
) -> Exported:
    """Write a bundle in another format, run the file in its own runtime, and keep it only if it answers the same.

    The file takes gray uint8 images (n, s, s) and gives calibrated probabilities float32 (n, classes); preprocessing,
    temperature and shift are inside. Refusals and prevalence are not: they stay with `plainfilm.load`.

    Parameters
    ----------
    bundle
        An opened bundle, or the path of a model.plainfilm.
    to
        "onnx", "openvino" (writes FILE.bin beside FILE.xml), "keras" or "tflite".
    out
        The file to write; ends in .onnx, .xml, .keras or .tflite.
    overwrite
        Replace a file that is there.
    require_signature
        A public key (PEM, Ed25519): go on only if the bundle is signed for it. Of an opened bundle `plainfilm.load` asks it.
    site
        The hospital whose calibration and threshold the file has, by the name that the bundle keeps it under.

    Raises
    ------
    UsageError
        An unknown format, another suffix, a file that is there already, or a site that the bundle does not know.
    ExportError
        The format cannot hold this bundle, or the file answers otherwise by more than 1e-4; nothing is then left.
    MissingExtraError
        A package that the format needs is not installed.
    """
    out = files.followed(out)
    check(to, out, overwrite=overwrite)
    bundle = bundle if isinstance(bundle, Bundle) else load(bundle, require_signature=require_signature)
    if to == "tflite" and bundle.classifier.decision.task == "findings":
        raise ExportError(
            "Expected a classifier of classes for tflite; received one of several findings, which it does not hold yet. Use onnx."
        )
    if site is not None:
        bundle = dataclasses.replace(sites.at(bundle, sites.find(bundle, site)), site=site)
    with reserved(*_files(out), apart=True) as partials, files.scratch() as folder:
        made = folder / f"model{out.suffix}"
        differences = _written(bundle, to, made)
        if not (differences[0] <= TOLERANCE and differences[1] <= LOG_TOLERANCE):  # NaN is no match either
            raise ExportError(
                f"Expected {to} to answer as the bundle does, within {TOLERANCE:.0e} of a probability and {LOG_TOLERANCE:.0e} of its "
                f"logarithm; the largest differences over {IMAGES} images were {differences[0]:.1e} and {differences[1]:.1e}, so "
                "nothing was written. Use another format, or the bundle itself."
            )
        shutil.copyfile(made, partials[-1])
        if len(partials) > 1:
            shutil.copyfile(made.with_suffix(".bin"), partials[0])
    return Exported(
        path=out,
        to=to,
        images=IMAGES,
        largest_difference=differences[0],
        largest_log_difference=differences[1],
        bytes=sum(file.stat().st_size for file in _files(out)),
        site=site,
        weights=bundle.manifest.backbone.origins,
    )


def check(to: Target, out: Path, *, overwrite: bool = False) -> None:
    """Refuse what cannot be meant, before anything is computed.

    Raises
    ------
    UsageError, MissingExtraError
        As `export`.
    """
    if to not in FORMATS:
        raise UsageError(f"Expected a format of {', '.join(FORMATS)}; received {to}. Choose one of them.")
    suffix = FORMATS[to].suffix
    if out.suffix != suffix:
        raise UsageError(
            f"Expected a file that ends in {suffix} for {to}; received {out}. Write for example {out.stem or 'model'}{suffix}"
        )
    out = files.followed(out)
    files.settle(out)
    claims.check_free(out)
    for file in _files(out):
        if file.exists() and not overwrite:
            raise UsageError(f"Expected a new file; {file} is there already. Name another, or add --overwrite.")
    require(f"exporting to {to}", *FORMATS[to].needs)


def _files(out: Path) -> tuple[Path, ...]:
    return (out.with_suffix(".bin"), out) if out.suffix == ".xml" else (out,)


def _written(bundle: Bundle, to: str, path: Path) -> tuple[float, float]:
    """Write a bundle in another format, and give its differences there."""
    try:
        FORMATS[to].write(bundle, path)
        return _differences(bundle.classifier, FORMATS[to].open(path))
    except RuntimeError as error:  # OpenVINO's, of a network that it does not take
        raise ExportError(
            f"Expected a network that {to} takes; it refuses this one. Use another format, or the bundle itself."
        ) from error


def _differences(classifier: Classifier, run: Run) -> tuple[float, float]:
    """The largest difference of a probability and of its logarithm, between a bundle and its copy."""
    images = radiographs(classifier.image_size)
    expected = classifier.predict_proba(images)
    received = np.concatenate([run(images[at : at + BATCH]) for at in range(0, IMAGES, BATCH)])
    if received.shape != expected.shape or received.dtype != np.float32:
        return np.inf, np.inf
    exact = expected >= _LEAST
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.abs(np.log(received[exact]) - np.log(expected[exact]))
    return float(np.abs(received - expected).max()), float(logs.max())


def radiographs(size: int) -> NDArray[np.uint8]:
    """Make 64 radiographs, uint8 (64, size, size), with more and more noise; the same each time."""
    rng, width = np.random.default_rng(0), max(size, _LEAST_WIDTH)
    films = np.empty((IMAGES, size, size), np.uint8)
    for number, visit in enumerate(phantom.plan(IMAGES, duplicates=0)):
        place = dataclasses.replace(visit.hospital, width=(width, width))
        film = Image.fromarray(phantom.render(dataclasses.replace(visit, hospital=place)).pixels)
        noise = rng.normal(0, _NOISE * number / (IMAGES - 1), (size, size))
        films[number] = (np.asarray(film.resize((size, size), Image.Resampling.BILINEAR)) + noise).clip(0, 255)
    return films
