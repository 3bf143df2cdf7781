"""What a store, a bundle or a run holds, as plain values for `plainfilm info`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from plainfilm.data.store import HDF5_SIGNATURE, Store, count_by_split
from plainfilm.errors import BundleError, UsageError
from plainfilm.evidence.evaluation.tested_part import tested


def describe(path: str | Path, *, require_signature: Path | None = None) -> dict[str, Any]:
    """Describe a store (.h5), a bundle (model.plainfilm) or a run folder; told apart by what they are, not by their names.

    `require_signature` is a public key (PEM, Ed25519) that a bundle must be signed for.

    Raises
    ------
    UsageError
        The path is none of the three.
    """
    path = Path(path)
    if path.is_dir():
        return _run(path)
    if not path.exists():
        raise UsageError(
            f"Expected a store, a bundle or a run folder; received {path}, which does not exist. Give the path of one."
        )
    with path.open("rb") as file:
        start = file.read(8)
    if start == HDF5_SIGNATURE:
        return _store(path)
    if start.startswith(b"PK"):
        return _bundle(path, require_signature)
    raise UsageError(
        f"Expected a store (.h5), a bundle (.plainfilm) or a run folder; received {path}, which is none of them."
    )


def _store(path: Path) -> dict[str, Any]:

    with Store(path) as store:
        sources = {str(name): int(n) for name, n in zip(*np.unique(store.source, return_counts=True), strict=True)}
        return {
            "kind": "store",
            "path": str(path),
            "radiographs": len(store),
            "size_px": store.size,
            "fit": store.attributes["fit"],
            "classes": count_by_split(store.labels, store.split, store.classes),
            "sources": sources,
            "known_patients": len(set(store.patient.tolist()) - {""}),
            "groups": len(np.unique(store.group)),
            "exact_duplicate_pairs": store.attributes["exact_duplicates"],
            "near_duplicate_pairs": store.attributes["near_duplicates"],
            "left_out": store.attributes["left_out"],
            "test_openings": store.test_openings(),
            "created": store.attributes["created"],
            "seed": store.attributes["seed"],
            "version": store.attributes["version"],
            "fingerprint": store.fingerprint,
        }


def _bundle(path: Path, require_signature: Path | None) -> dict[str, Any]:
    from plainfilm.model import bundle

    opened = bundle.load(path, require_signature=require_signature)
    signed = "yes, by a key to be checked" if opened.is_signed else "no"
    if require_signature:
        signed = "for the key given"
    about = {key: value for key, value in opened.manifest.items() if key not in {"members", "format"}}
    try:
        part, test = tested(opened.metrics["splits"])
        return {
            "kind": "bundle",
            "path": str(path),
            **about,
            "signed": signed,
            f"{part}_accuracy": test["accuracy"],
            "worth": opened.metrics["worth"]["sentence"],
        }
    except (KeyError, TypeError) as error:
        raise BundleError(f"Expected a bundle with its metrics; received {path} without. Train it again.") from error


def _run(path: Path) -> dict[str, Any]:
    if not (path / "metrics.json").is_file():
        raise UsageError(
            f"Expected a run folder with a metrics.json; received the folder {path} without one. Name a run, a store or a bundle."
        )
    try:
        return _run_values(path, json.loads((path / "metrics.json").read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"Expected the metrics.json of a run; received {path / 'metrics.json'}, which is altered or of another tool. Train again."
        ) from error


def _run_values(path: Path, metrics: Mapping[str, Any]) -> dict[str, Any]:
    if "external" in metrics["splits"]:
        return _test_values(path, metrics)
    part, test = tested(metrics["splits"])
    return {
        "kind": "run",
        "path": str(path),
        "store": metrics["data"]["store"],
        "classes": metrics["classes"],
        "positive": metrics["positive"],
        "threshold": metrics["threshold"],
        f"{part}_images": test["n"],
        f"{part}_accuracy": test["accuracy"],
        f"{part}_auroc": test["auroc"],
        "worth": metrics["worth"]["sentence"],
        "test_openings": metrics["test_openings"],
        "seconds": metrics["seconds"],
        "versions": metrics["versions"],
    }


def _test_values(path: Path, metrics: Mapping[str, Any]) -> dict[str, Any]:
    external = metrics["splits"]["external"]
    return {
        "kind": "test on other data",
        "path": str(path),
        "model": metrics["model"]["name"],
        "data": metrics["data"]["name"],
        "classes": metrics["classes"],
        "positive": metrics["positive"],
        "threshold": metrics["threshold"],
        "images": external["n"],
        "accuracy": external["accuracy"],
        "auroc": external["auroc"],
        "travels": metrics["travels"]["sentence"],
        "seen_in_training": metrics["overlap"]["found"],
        "seconds": metrics["seconds"],
        "versions": metrics["versions"],
    }
