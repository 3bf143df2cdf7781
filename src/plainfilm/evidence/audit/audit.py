"""What an accuracy is worth: probes that are kept from the lungs, sources, leaks and labels, and a verdict by stated rules."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from plainfilm.data.copies import Copies
from plainfilm.data.provenance import left_out_columns
from plainfilm.data.split import leakage
from plainfilm.data.store import Store
from plainfilm.evidence.audit import copies, data_issues, judging, probes, sources, verdict
from plainfilm.evidence.audit.findings import AuditFindings, SuspectsFinding
from plainfilm.evidence.audit.looks import LOOKS, ImageEncoder
from plainfilm.evidence.audit.sample import Sample, draw, draw_findings, of_finding
from plainfilm.evidence.audit.seeing import Seeing
from plainfilm.evidence.statistics.intervals import IntArray
from plainfilm.model.encoder import Features
from plainfilm.results.audit import Audit, ComparedWith, FindingVerdict, NotRun, Power, Reason, Sources
from plainfilm.results.estimate import UNDEFINED
from plainfilm.results.metrics import Metrics
from plainfilm.results.severity import VERDICTS

SAMPLE = 600
_UNSEEN = {
    "Provenance: size, format, quality, tags": "size, format and tags of the files",
    "Age, sex and view": "age, sex and view",
    "Age": "age",
    "Sex": "sex",
    "View": "view",
    "Name of the source": "the source",
    "Framing of the lungs": "how the lungs are framed",
    **dict.fromkeys((look.title for look in LOOKS), "what lies outside the lungs"),
}  # by the name of the check


def audit(
    store: Store,
    encoder: ImageEncoder,
    *,
    features: Features | None = None,
    model: Metrics | None = None,
    most: int = SAMPLE,
    seed: int = 0,
    advance: Callable[[int, int], None] = lambda _done, _all: None,
) -> AuditFindings:
    """Audit a store, and with `model` the classifier that was trained on it. The test set's images are not scored.

    Of several findings each is audited by itself, and the worst speaks.

    Parameters
    ----------
    store, encoder
        The data, and the encoder that the classifier uses.
    features
        Those of the whole store, where they are known.
    model
        The classifier's metrics on the test set; without them a ridge head on the whole images stands for it.
    most
        Images that probes with the encoder begin with.
    seed
        Of the sample and the cross-validation.
    advance
        Called with images done and all.
    """
    seeing = Seeing(store, encoder, advance)
    if store.task == "findings":
        return _of_findings(store, seeing, features, model, most, seed)
    return _audited(store, seeing, partial(draw, store, seed=seed), features, model, None, most, seed)


def _of_findings(
    store: Store, seeing: Seeing, features: Features | None, model: Metrics | None, most: int, seed: int
) -> AuditFindings:
    """Audit each finding by itself: what probes see is looked at once. The worst speaks, its name before the sentence."""
    rows, among = draw_findings(store, most, seed), len(store.classes)
    hidden = seeing.hide(rows)  # of all at once, so that all have one common part
    seeing.encoded(rows, hidden)
    seeing.objects(rows, hidden)
    twins = _twins(store, features, rows, features.read(rows) if features else seeing.whole(rows))
    each = {}
    for name in store.classes:
        own = store.of(name)

        def drawn(count: int, own: Store = own) -> Sample:
            return of_finding(own, draw_findings(store, count, seed), seed, among=among)

        compared = model and _of_one(model, name)
        each[name] = _audited(own, seeing, drawn, features, compared, twins, most, seed)
    name = max(each, key=lambda name: VERDICTS.index(each[name].result.verdict))
    worst = each[name]
    verdicts = {
        one: FindingVerdict(
            verdict=own.result.verdict,
            sentence=own.result.sentence,
            auroc=own.result.compared_with.auroc,
            probes=own.result.probes,
        )
        for one, own in each.items()
    }
    result = replace(worst.result, sentence=f"{name}: {worst.result.sentence}", findings=verdicts)
    return dataclasses.replace(worst, result=result, findings=each)


def _of_one(model: Metrics, finding: str) -> Metrics:
    """Take the AUROC of one finding for that of a classifier that tells it alone."""
    return replace(model, auroc=(model.per_class or {})[finding].auroc, per_class=None)


def _twins(store: Store, features: Features | None, rows: IntArray, sampled: NDArray[np.float32]) -> Copies:
    if features is None:
        return copies.find(store, rows, sampled)
    known = np.arange(min(len(store), data_issues.MOST_ROWS))
    return copies.find(store, known, features.read(known))


def _audited(
    store: Store,
    seeing: Seeing,
    drawn: Callable[[int], Sample],
    features: Features | None,
    model: Metrics | None,
    twins: Copies | None,
    most: int,
    seed: int,
) -> AuditFindings:
    start = time.perf_counter()
    sample = drawn(most)
    known = features.read(sample.rows) if features else None
    probed = probes.probe(store, sample, seeing, drawn, seed=seed, features=known)
    by_source, not_run = _sources(store, sample, probed, seed)
    twins = twins or _twins(store, features, sample.rows[: len(probed.features)], probed.features)
    doubtful, unknown = _suspects(store, sample, probed, twins)
    compared = _compared_with(model, probed)
    leak = leakage(store.split, store.group)
    across = len(np.unique(twins.pairs[data_issues.in_two_parts(store, twins)]))
    lacking = left_out_columns(store.attributes)
    found = verdict.reasons(probed.probes, compared, by_source.left_out, leak, len(store), across, lacking)
    if not probed.probes:
        found.append(verdict.unexamined(probed.not_run[0].reason))
    missing = (*probed.not_run, *not_run, *unknown)
    power = judging.power(sample) if probed.probes else None
    result = Audit(
        verdict=verdict.decide(found),
        sentence=_sentence(found, missing, power),
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
        power=power,
        objects=probed.objects,
        left_out_columns=lacking,
    )
    return AuditFindings(
        result=result,
        probes=probed.probes,
        suspects=doubtful,
        examples=probed.examples,
        example_captions=tuple(f"{store.file[r]}, {store.classes[store.labels[r]]}" for r in probed.example_rows),
        with_objects=probed.with_objects,
    )


def _compared_with(model: Metrics | None, probed: probes.Probed) -> ComparedWith:
    """Take the classifier's AUROC where it is known, else that of the probe that sees everything."""
    if model is not None and model.auroc.is_known:
        by_class = {name: own.auroc for name, own in (model.per_class or {}).items()}
        return ComparedWith(auroc=model.auroc, is_="the model on the test part", by_class=by_class)
    whole = next((each.result for each in probed.probes if each.name == "whole_image"), None)
    if whole is None:
        return ComparedWith(auroc=UNDEFINED, is_="a head on the whole images")
    by_class = {name: own.auroc for name, own in whole.by_class.items()} if len(whole.by_class) > 2 else {}
    return ComparedWith(auroc=whole.auroc, is_="a head on the whole images", by_class=by_class)


def _sources(store: Store, sample: Sample, probed: probes.Probed, seed: int) -> tuple[Sources, list[NotRun]]:
    """Table and Cramér's V over all labelled images, the rest over the sample."""
    labelled = store.labels >= 0
    every, _ = sources.examine(np.empty((0, 0), np.float32), store.labels[labelled], store.source[labelled],
                               store.group[labelled], store.classes, seed=seed)  # fmt: skip
    own, not_run = sources.examine(
        probed.features, sample.labels, store.source[sample.rows], sample.group, store.classes, seed=seed
    )
    return replace(every, told_from_features=own.told_from_features, left_out=own.left_out), not_run


def _suspects(
    store: Store, sample: Sample, probed: probes.Probed, twins: Copies
) -> tuple[list[SuspectsFinding], list[NotRun]]:
    found, not_run = data_issues.patients(store) if sample.among == 1 else ([], [])  # a finding comes and goes
    found.append(data_issues.laterals(store, np.flatnonzero(store.split != "test")))
    found += data_issues.neighbours(store, twins)
    if len(probed.features):
        found.append(data_issues.labels(store, sample.rows, probed.scores))
    else:
        not_run.append(NotRun(check="Doubtful labels", reason="There are too few images."))
    return found, not_run


def _sentence(found: Sequence[Reason], missing: Sequence[NotRun], power: Power | None) -> str:
    """Say what a colleague would, and what was not looked at."""
    not_seen = dict.fromkeys(_UNSEEN[each.check] for each in missing if each.check in _UNSEEN)
    unseen = f" Not looked at: {'; '.join(not_seen)}." if not_seen else ""
    if found:
        return found[0].sentence + ("" if found[0].level == "warning" else unseen)
    sharp = f" {power.sentence}" if power else ""
    return f"No classifier that is kept from the lungs does better than chance by much.{sharp} That is no proof: a hospital that was never seen may differ.{unseen}"
