"""What an accuracy is worth: probes that are kept from the lungs, sources, leaks and labels, and a verdict by stated rules."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from msgspec.structs import replace

from plainfilm.data.split import leakage
from plainfilm.data.store import Store
from plainfilm.evidence.audit import data_issues, probes, sources, verdict
from plainfilm.evidence.audit.findings import AuditFindings, SuspectsFinding
from plainfilm.evidence.audit.probes import ImageEncoder
from plainfilm.model.encoder import Features
from plainfilm.results.audit import Audit, ComparedWith, NotRun, Reason, Sources
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
) -> AuditFindings:
    """Audit a store, and with `model` the classifier that was trained on it. The test set's images are not scored.

    Parameters
    ----------
    store, encoder
        The data, and the encoder that the classifier uses.
    features
        Those of the whole store, where they are known.
    model
        The classifier's AUROC on the test set; without it a ridge head on the whole images stands for it.
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
    compared = _compared_with(model, probed)
    leak = leakage(store.split, store.group)
    found = verdict.reasons(
        probed.probes, compared.auroc, by_source.left_out, leak if leak.images else None, len(store)
    )
    if not probed.probes:
        found.append(verdict.unexamined(probed.not_run[0].reason))
    missing = (*probed.not_run, *not_run, *unknown)
    result = Audit(
        verdict=verdict.decide(found),
        sentence=_sentence(found, missing),
        reasons=tuple(found),
        cues=verdict.named(found),
        compared_with=compared,
        probes={each.name: each.result for each in probed.probes},
        sources=by_source,
        suspects={each.code: each.result for each in doubtful},
        not_run=missing,
        images=len(store),
        sampled=len(sample.rows),
        lungs_found=None if np.isnan(probed.found) else probed.found,
        seconds={**probed.seconds, "total": time.perf_counter() - start},
    )
    return AuditFindings(
        result=result,
        probes=probed.probes,
        suspects=doubtful,
        examples=probed.examples,
        example_captions=tuple(f"{store.file[r]}, {store.classes[store.labels[r]]}" for r in probed.example_rows),
    )


def _compared_with(model: Estimate | None, probed: probes.Probed) -> ComparedWith:
    """Take the classifier's AUROC where it is known, else that of the probe that sees everything."""
    if model is not None and model.is_known:
        return ComparedWith(auroc=model, is_="the model on the test part")
    whole = next((each.result.auroc for each in probed.probes if each.name == "whole_image"), UNDEFINED)
    return ComparedWith(auroc=whole, is_="a head on the whole images")


def _sources(store: Store, sample: probes.Sample, probed: probes.Probed, seed: int) -> tuple[Sources, list[NotRun]]:
    """Table and Cramér's V over all labelled images, the rest over the sample."""
    labelled = store.labels >= 0
    every, _ = sources.examine(np.empty((0, 0), np.float32), store.labels[labelled], store.source[labelled],
                               store.group[labelled], store.classes, seed=seed)  # fmt: skip
    own, not_run = sources.examine(
        probed.features, sample.labels, store.source[sample.rows], sample.group, store.classes, seed=seed
    )
    return replace(every, told_from_features=own.told_from_features, left_out=own.left_out), not_run


def _suspects(
    store: Store, sample: probes.Sample, probed: probes.Probed, features: Features | None
) -> tuple[list[SuspectsFinding], list[NotRun]]:
    found, not_run = data_issues.patients(store)
    found.append(data_issues.laterals(store, np.flatnonzero(store.split != "test")))
    if len(probed.features):
        rows = np.arange(min(len(store), data_issues.MOST_ROWS)) if features else sample.rows
        found += data_issues.neighbours(store, rows, features.read(rows) if features else probed.features)
        found.append(data_issues.labels(store, sample.rows, probed.scores))
    else:
        not_run.append(NotRun(check="Neighbours and doubtful labels", reason="There are too few images."))
    return found, not_run


def _sentence(found: Sequence[Reason], missing: Sequence[NotRun]) -> str:
    """Say what a colleague would."""
    if found:
        return found[0].sentence
    gap = f" {len(missing)} checks could not run." if missing else ""
    return f"No classifier that is kept from the lungs does better than chance by much. That is no proof: a hospital that was never seen may differ.{gap}"
