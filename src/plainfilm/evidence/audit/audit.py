"""What an accuracy is worth: probes that are kept from the lungs, sources, leaks and labels, and a verdict by stated rules."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from plainfilm.data.split import leakage
from plainfilm.data.store import Store
from plainfilm.evidence.audit import data_issues, probes, sources, verdict
from plainfilm.evidence.audit.probes import ImageEncoder
from plainfilm.evidence.audit.results import Audit, NotRun, Reason, Sources, Suspects
from plainfilm.model.encoder import Features
from plainfilm.results.estimate import UNDEFINED, Estimate

SAMPLE = 600


def audit(
    store: Store,
    encoder: ImageEncoder,
    *,
    features: Features | None = None,
    model: Estimate | None = None,
    most: int = SAMPLE,
    seed: int = 0,
    advance: Callable[[int, int], None] = lambda _done, _all: None,
) -> Audit:
    """Audit a store, and with `model` the classifier that was trained on it. The test part's images are not scored.

    Parameters
    ----------
    store, encoder
        The data, and the encoder that the classifier uses.
    features
        Those of the whole store, where they are known.
    model
        The classifier's AUROC on the test part; without it a ridge head on the whole images stands for it.
    most
        Images that the probes see at most.
    seed
        Of the sample and the cross-validation.
    advance
        Called with images done and all.
    """
    start = time.perf_counter()
    sample = probes.draw(store, most, seed)
    known = features.read(sample.rows) if features else None
    probed = probes.probe(store, sample, encoder, features=known, advance=advance)
    by_source, not_run = _sources(store, sample, probed, seed)
    doubtful, unknown = _suspects(store, sample, probed, features)
    whole = next((each.auroc for each in probed.probes if each.name == "whole_image"), UNDEFINED)
    yours = whole if model is None or np.isnan(model.value) else model
    leak = leakage(store.split, store.group)
    found = verdict.reasons(probed.probes, yours, by_source.left_out, leak if leak.images else None, len(store))
    if not probed.probes:
        found.append(verdict.unexamined(probed.not_run[0].reason))
    reached = verdict.decide(found)
    return Audit(
        verdict=reached,
        sentence=_sentence(found, (*probed.not_run, *not_run, *unknown)),
        reasons=found,
        probes=probed.probes,
        sources=by_source,
        suspects=doubtful,
        not_run=(*probed.not_run, *not_run, *unknown),
        yours=yours,
        yours_is_model=yours is model,
        classes=store.classes,
        images=len(store),
        sampled=len(sample.rows),
        lungs_found=probed.found,
        examples=probed.examples,
        example_captions=tuple(f"{store.file[r]}, {store.classes[store.labels[r]]}" for r in probed.example_rows),
        seconds={**probed.seconds, "total": time.perf_counter() - start},
    )


def _sources(store: Store, sample: probes.Sample, probed: probes.Probed, seed: int) -> tuple[Sources, list[NotRun]]:
    """Table and Cramér's V over all labelled images, the rest over the sample."""
    labelled = store.labels >= 0
    every, _ = sources.examine(np.empty((0, 0), np.float32), store.labels[labelled], store.source[labelled],
                               store.group[labelled], store.classes, seed=seed)  # fmt: skip
    own, not_run = sources.examine(
        probed.features, sample.labels, store.source[sample.rows], sample.group, store.classes, seed=seed
    )
    return dataclasses.replace(every, told_from_features=own.told_from_features, left_out=own.left_out), not_run


def _suspects(
    store: Store, sample: probes.Sample, probed: probes.Probed, features: Features | None
) -> tuple[list[Suspects], list[NotRun]]:
    found, not_run = data_issues.patients(store)
    if len(probed.features):
        rows = np.arange(min(len(store), data_issues.MOST_ROWS)) if features else sample.rows
        found += data_issues.neighbours(store, rows, features.read(rows) if features else probed.features)
        found.append(data_issues.labels(store, sample.rows, probed.scores))
    else:
        not_run.append(NotRun(check="Neighbours and doubtful labels", reason="There are too few images."))
    return found, not_run


def _sentence(found: list[Reason], missing: tuple[NotRun, ...]) -> str:
    """Say what a colleague would."""
    if found:
        return found[0].sentence
    gap = f" {len(missing)} checks could not run." if missing else ""
    return f"No classifier that is kept from the lungs does better than chance by much. That is no proof: a hospital that was never seen may differ.{gap}"
