"""What a store, a bundle, a run or the cache holds, as plain values for `plainfilm info`."""

from pathlib import Path
from typing import Any

import numpy as np

from plainfilm.arguments import checked
from plainfilm.data import cache, files
from plainfilm.data.store import FORMAT, HDF5_SIGNATURE, SPLITS, Store, members
from plainfilm.data.store_columns import Words
from plainfilm.errors import CacheError, StoreError, UsageError
from plainfilm.evidence.inference import context
from plainfilm.results import documents
from plainfilm.results.external import ExternalMetrics, UnlabelledMetrics, is_external, is_unlabelled
from plainfilm.results.metrics import ByPatient, RunMetrics, ThreeAnswers

Plain = dict[str, Any]
_MEMBERS = "every member, by its SHA-256, and the answers of its network"


@checked
def describe(path: str | Path, *, require_signature: str | Path | None = None, verify: bool = False) -> Plain:
    """Describe a store (.h5), a bundle (model.plainfilm), a run folder or the cache; told apart by what they are, not by their names.

    "format" and "version" are those of what is described.

    Parameters
    ----------
    path
        What is described.
    require_signature
        A public key (PEM, Ed25519) that a bundle must be signed for.
    verify
        Read all of it and hold it against its checksums; "verified" then says what carries one.

    Raises
    ------
    UsageError
        The path is none of the four.
    StoreError, BundleError, CacheError
        What it holds is not what was written.
    """
    path = Path(path)
    files.settle(path)
    if path.is_dir() and path.resolve() == files.cache_folder().resolve():
        return _cache(path, verify=verify)
    if path.is_dir():
        return _run(path, verify=verify)
    if not path.exists():
        raise UsageError(
            f"Expected a store, a bundle or a run folder; received {path}, which does not exist. Give the path of one."
        )
    with path.open("rb") as file:
        start = file.read(8)
    if start == HDF5_SIGNATURE:
        return _store(path, verify=verify)
    if start.startswith(b"PK"):
        return _bundle(path, require_signature) | ({"verified": _MEMBERS} if verify else {})
    raise UsageError(
        f"Expected a store (.h5), a bundle (.plainfilm) or a run folder; received {path}, which is none of them."
    )


def _store(path: Path, *, verify: bool) -> Plain:
    with Store(path) as store:
        verified = {"verified": store.verify()} if verify else {}
        source, patient = store.words("source"), store.codes("patient")
        return {
            "kind": "store",
            "path": str(path),
            "format": FORMAT,
            "radiographs": len(store),
            "size_px": store.size,
            "fit": _stated(store, "fit"),
            "task": store.task,
            "classes": _classes(store),
            "sources": _sources(source),
            "findings": {name: int((states == 1).sum()) for name, states in store.findings.items()},
            "patients": store.attributes.get("patients", "apart by source"),
            "known_patients": int((np.bincount(patient[patient >= 0]) > 0).sum()),
            "groups": len(np.unique(store.group)),
            "exact_duplicate_pairs": _stated(store, "exact_duplicates"),
            "near_duplicate_pairs": _stated(store, "near_duplicates"),
            "left_out": _stated(store, "left_out"),
            "test_openings": store.test_openings(),
            "created": _stated(store, "created"),
            "seed": _stated(store, "seed"),
            "version": _stated(store, "version"),
            "fingerprint": store.fingerprint,
            **verified,
        }


def _classes(store: Store) -> dict[str, dict[str, int]]:
    """Count images by class and split as `count_by_split` does, without the split's text."""
    words = store.words("split")
    place = {name: number for number, name in enumerate(words.values)}
    return {
        name: {part: int((words.codes[is_it] == place.get(part, -2)).sum()) for part in SPLITS}
        for name, is_it in members(store.targets, store.classes).items()
    }


def _sources(source: Words) -> dict[str, int]:
    counts, unnamed = source.counts.tolist(), int((source.codes < 0).sum())
    told = dict(zip(source.values, counts, strict=True)) | ({"": unnamed} if unnamed else {})
    return {name: count for name, count in sorted(told.items()) if count}


def _stated(store: Store, name: str) -> object:
    if name not in store.attributes:
        raise StoreError(f"Expected a whole plainfilm store; {store.path} does not state its {name}. Ingest it again.")
    return store.attributes[name]


def _cache(path: Path, *, verify: bool) -> Plain:
    entries = cache.entries(path)
    told: Plain = {
        "kind": "cache",
        "path": str(path),
        "entries": len(entries),
        "bytes": sum(entry.stat().st_size for entry in entries),
    }
    if not verify:
        return told
    damaged = [entry for entry in entries if not cache.has(entry)]
    if damaged:
        raise CacheError(
            f"Expected {len(entries)} whole entries in {path}; received {len(damaged)} that do not fit their SHA-256, the first "
            f"{damaged[0].relative_to(path)}. They are taken away, and made anew when they are needed."
        )
    return told | {"verified": "every entry, by its SHA-256"}


def _bundle(path: Path, require_signature: str | Path | None) -> Plain:
    from plainfilm.model import bundle

    opened = bundle.load(path, require_signature=require_signature)
    signed = "yes, by a key to be checked" if opened.is_signed else "no"
    if require_signature:
        signed = "for the key given"
    manifest, metrics = documents.plain(opened.manifest), opened.metrics
    del manifest["members"]
    return {
        "kind": "bundle",
        "path": str(path),
        **manifest,
        "signed": signed,
        f"{metrics.tested}_accuracy": documents.plain(metrics.test.accuracy),
        "worth": context.in_one(context.worth(metrics)),
    }


def _run(path: Path, *, verify: bool) -> Plain:
    file = path / "metrics.json"
    if not file.is_file():
        raise UsageError(
            f"Expected a run folder with a metrics.json; received the folder {path} without one. Name a run, a store or a bundle."
        )
    data = file.read_bytes()
    verified = {"verified": _verify_run(path)} if verify else {}
    if is_unlabelled(data):
        return _unlabelled(path, documents.decode(data, UnlabelledMetrics, file)) | verified
    if is_external(data):
        return _external(path, documents.decode(data, ExternalMetrics, file)) | verified
    return _trained(path, documents.decode(data, RunMetrics, file)) | verified


def _verify_run(folder: Path) -> str:
    from plainfilm.model import bundle

    bundles = sorted(folder.glob("*.plainfilm"))
    for each in bundles:
        bundle.load(each)
    if not bundles:
        return "metrics.json can be read; no file here carries a checksum"
    names = ", ".join(each.name for each in bundles)
    return f"{names}: {_MEMBERS}; metrics.json can be read; other files carry no checksum"


def _trained(path: Path, metrics: RunMetrics) -> Plain:
    told, part, test = documents.plain(metrics), metrics.tested, documents.plain(metrics.test)
    return {
        "kind": "run",
        "path": str(path),
        **{name: told[name] for name in ("format", "version")},
        "store": metrics.data.store,
        **{name: told[name] for name in ("classes", "positive", "threshold")},
        **({"thresholds": {name: own.threshold for name, own in metrics.findings.items()}} if metrics.findings else {}),
        f"{part}_images": test["n"],
        f"{part}_accuracy": test["accuracy"],
        f"{part}_auroc": test["auroc"],
        **({"three_answers": metrics.three_answers.sentence} if metrics.three_answers else {}),
        **({"by_patient": metrics.by_patient.sentence} if metrics.by_patient else {}),
        **{
            key: {name: said.sentence for name, said in own.items() if said}
            for key, own in _of_findings(metrics).items()
            if any(own.values())
        },
        "worth": context.in_one(context.worth(metrics)),
        **{name: told.get(name) for name in ("test_openings", "seconds", "versions")},
    }


def _of_findings(metrics: RunMetrics) -> dict[str, dict[str, ThreeAnswers | ByPatient | None]]:
    each = metrics.findings or {}
    return {
        "three_answers": {name: own.three_answers for name, own in each.items()},
        "by_patient": {name: own.by_patient for name, own in each.items()},
    }


def _external(path: Path, metrics: ExternalMetrics) -> Plain:
    told, external = documents.plain(metrics), documents.plain(metrics.external)
    return {
        "kind": "test on other data",
        "path": str(path),
        **{name: told[name] for name in ("format", "version")},
        "model": metrics.model.name,
        "data": metrics.data.name,
        **{name: told[name] for name in ("classes", "positive", "threshold")},
        "images": external["n"],
        "accuracy": external["accuracy"],
        "auroc": external["auroc"],
        "travels": metrics.transportability.sentence,
        "seen_in_training": metrics.overlap.found,
        **{name: told.get(name) for name in ("seconds", "versions")},
    }


def _unlabelled(path: Path, metrics: UnlabelledMetrics) -> Plain:
    told = documents.plain(metrics)
    return {
        "kind": "recalibration without labels",
        "path": str(path),
        **{name: told[name] for name in ("format", "version")},
        "model": metrics.model.name,
        "data": metrics.data.name,
        **{name: told[name] for name in ("classes", "positive", "threshold")},
        "images": metrics.n,
        "recalibration": metrics.recalibration.sentence,
        "seen_in_training": metrics.overlap.found,
        **{name: told.get(name) for name in ("seconds", "versions")},
    }
