"""Hospitals that a bundle knows by name: for each a calibration that keeps every answer and makes probabilities fit there."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from msgspec import structs

from plainfilm.data.spelling import listed
from plainfilm.errors import UsageError
from plainfilm.model.bundle import Bundle
from plainfilm.model.classifier import Decision
from plainfilm.model.scaling import moved
from plainfilm.results.drift import DriftReference
from plainfilm.results.manifest import MOST_SITES, Combining, Site

_LONGEST = 200  # letters of a name
_MOST_OF_FINDINGS = 2000  # sites times findings
Known = Site | Mapping[str, Site]  # of two classes; by finding


def check_name(name: str, known: Mapping[str, Known], findings: int = 1) -> None:
    """Raise UsageError for a name that a bundle cannot keep, or one more than it can hold with so many findings."""
    most = min(MOST_SITES, _MOST_OF_FINDINGS // findings)
    is_plain = name.isprintable() and name == name.strip() and not name.startswith("-")
    if not is_plain or not 1 <= len(name) <= _LONGEST:
        raise UsageError(
            f"Expected --site to be a name of 1 to {_LONGEST} signs that can be printed, without a space around it or a hyphen in front; "
            f"received {name!r:.60}. Write for example --site Guangzhou"
        )
    if name not in known and len(known) >= most:
        raise UsageError(
            f"Expected at most {most} sites in a bundle; received {name} as one more. Recalibrate a bundle with fewer."
        )


def find(bundle: Bundle, name: str) -> Known:
    """Find a site by its name.

    Raises
    ------
    UsageError
        The bundle knows no such site; the line names those that it knows.
    """
    known = bundle.manifest.known_sites
    if name in known:
        return known[name]
    if known:
        raise UsageError(
            f"Expected --site to be one of {listed([*known])}; received {name}. Correct it, or leave it out."
        )
    raise UsageError(
        f"Expected a bundle that knows sites; received one that knows none, and {name} as the site. Leave --site out, or make "
        "one with evaluate --recalibrate."
    )


def _slope_and_shift(own: Decision, site: Site) -> tuple[float, float]:
    """What the log odds of a bundle's answers are multiplied by at a site, and what is added to them."""
    slope = own.temperature / site.temperature
    return slope, site.shift - slope * own.shift


def _carried(own: Decision, site: Site) -> Callable[[float], float]:
    """Give what makes a bundle's probability the one at a site; 0, 1 and what lies beyond stay."""
    slope, shift = _slope_and_shift(own, site)

    def carried(chance: float) -> float:
        is_inside = 0 < chance < 1
        return 0.5 + math.tanh((slope * math.log(chance / (1 - chance)) + shift) / 2) / 2 if is_inside else chance

    return carried


def _watched(about: DriftReference, each: Mapping[str, Site], of: Callable[[str], Decision]) -> DriftReference:
    """Move the scores that answers are watched by, by name, to the calibrations of a site, which keep their order."""
    carried = {name: _carried(of(name), site) for name, site in each.items()}
    return structs.replace(
        about,
        statistics=tuple(
            structs.replace(own, edges=tuple(map(carried[own.name], own.edges)))
            if own.family == "scores" and own.name in carried
            else own
            for own in about.statistics
        ),
    )


def _decided(own: Decision, site: Site, share: float) -> Decision:
    """Give a decision on two classes as it is made at a site; `share` is the prevalence that it was made at."""
    return replace(
        own,
        combining=own.combining and _combining(own.combining, own, site, share),
        temperature=site.temperature,
        shift=site.shift,
        threshold=site.threshold,
        lower_threshold=site.lower_threshold,
    )


def at(bundle: Bundle, site: Known) -> Bundle:
    """Give the bundle as it answers at a site: other calibrations, thresholds and prevalences; all else is as it was."""
    if not isinstance(site, Site):
        return _findings_at(bundle, site)
    own = bundle.classifier.decision
    decision = _decided(own, site, bundle.manifest.prevalence[str(own.positive)])
    others = [name for name in decision.classes if name != decision.positive]
    prevalence = {str(decision.positive): site.prevalence, **dict.fromkeys(others, 1 - site.prevalence)}
    watched = bundle.manifest.drift and _watched(bundle.manifest.drift, {str(own.positive): site}, lambda _: own)
    manifest = structs.replace(bundle.manifest, prevalence=prevalence, recalibrated=site.recalibrated, drift=watched)
    metrics = structs.replace(
        bundle.metrics,
        threshold=site.threshold,
        recalibrated=site.recalibrated,
        three_answers=bundle.metrics.three_answers and bundle.metrics.three_answers.elsewhere(),
        by_patient=bundle.metrics.by_patient and bundle.metrics.by_patient.elsewhere(),
    )
    return replace(bundle, classifier=bundle.classifier.deciding(decision), manifest=manifest, metrics=metrics)


def _findings_at(bundle: Bundle, each: Mapping[str, Site]) -> Bundle:
    """Give the bundle as each finding is told at a site; one that is not named there keeps its own calibration."""
    own, told = bundle.classifier.decision, bundle.metrics.findings or {}
    moved = {name: _decided(own.of(name), site, bundle.manifest.prevalence[name]) for name, site in each.items()}
    decision = Decision.joined([moved.get(name) or own.of(name) for name in own.classes])
    watched = bundle.manifest.drift and _watched(bundle.manifest.drift, each, own.of)
    shares = {**bundle.manifest.prevalence, **{name: site.prevalence for name, site in each.items()}}
    findings = {
        name: structs.replace(
            found,
            threshold=each[name].threshold,
            lower_threshold=each[name].lower_threshold,
            recalibrated=each[name].recalibrated,
            three_answers=found.three_answers and found.three_answers.elsewhere(),
            by_patient=found.by_patient and found.by_patient.elsewhere(),
        )
        if name in each
        else found
        for name, found in told.items()
    }
    return replace(
        bundle,
        classifier=bundle.classifier.deciding(decision),
        manifest=structs.replace(bundle.manifest, prevalence=shares, drift=watched),
        metrics=structs.replace(bundle.metrics, findings=findings),
    )


def _combining(how: Combining, own: Decision, site: Site, share: float) -> Combining:
    """Move one answer of several films as those of the films move, the thresholds with them, and the share of patients as that of films."""
    (slope, shift), carried = _slope_and_shift(own, site), _carried(own, site)
    return structs.replace(
        how,
        prevalence=_shared(how.prevalence, share, site.prevalence),
        intercept=slope * how.intercept + shift - how.slope * shift,
        threshold=carried(how.threshold),
        lower_threshold=None if how.lower_threshold is None else carried(how.lower_threshold),
    )


def _shared(patients: float, films: float, there: float) -> float:
    """Give the share of patients where the odds of a film change from one share to another; 0 and 1 say nothing, and stay."""
    return moved(patients, films, there) if 0 < patients < 1 and 0 < films < 1 else patients


def kept(bundle: Bundle, name: str, site: Known) -> Bundle:
    """Give the bundle with a site under a name, in the place of one that it had; its own decision stays."""
    about = bundle.manifest
    if isinstance(site, Site):
        return replace(bundle, manifest=structs.replace(about, sites={**about.sites, name: site}))
    return replace(bundle, manifest=structs.replace(about, finding_sites={**about.finding_sites, name: site}))
