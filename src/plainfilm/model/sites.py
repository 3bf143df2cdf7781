"""Hospitals that a bundle knows by name: for each a calibration that keeps every answer and makes probabilities fit there."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from msgspec import structs

from plainfilm.data.spelling import listed
from plainfilm.errors import UsageError
from plainfilm.model.bundle import Bundle
from plainfilm.model.classifier import Decision
from plainfilm.results.drift import DriftReference
from plainfilm.results.manifest import MOST_SITES, Combining, Site

_LONGEST = 200  # letters of a name


def check_name(name: str, known: Mapping[str, Site]) -> None:
    """Raise UsageError for a name that a bundle cannot keep, or one more than it can hold."""
    is_plain = name.isprintable() and name == name.strip() and not name.startswith("-")
    if not is_plain or not 1 <= len(name) <= _LONGEST:
        raise UsageError(
            f"Expected --site to be a name of 1 to {_LONGEST} signs that can be printed, without a space around it or a hyphen in front; "
            f"received {name!r:.60}. Write for example --site Guangzhou"
        )
    if name not in known and len(known) >= MOST_SITES:
        raise UsageError(f"Expected at most {MOST_SITES} sites in a bundle; received {name} as one more. Recalibrate a bundle with fewer.")  # fmt: skip


def find(bundle: Bundle, name: str) -> Site:
    """Find a site by its name.

    Raises
    ------
    UsageError
        The bundle knows no such site; the line names those that it knows.
    """
    known = bundle.manifest.sites
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


def _watched(about: DriftReference, own: Decision, site: Site) -> DriftReference:
    """Move the scores that answers are watched by to the calibration of a site, which keeps their order."""
    carried = _carried(own, site)
    return structs.replace(
        about,
        statistics=tuple(
            structs.replace(each, edges=tuple(map(carried, each.edges))) if each.family == "scores" else each
            for each in about.statistics
        ),
    )


def at(bundle: Bundle, site: Site) -> Bundle:
    """Give the bundle as it answers at a site: another calibration, threshold and prevalence; all else is as it was."""
    own = bundle.classifier.decision
    decision = replace(
        own,
        combining=own.combining and _combining(own.combining, own, site),
        temperature=site.temperature,
        shift=site.shift,
        threshold=site.threshold,
        lower_threshold=site.lower_threshold,
    )
    others = [name for name in decision.classes if name != decision.positive]
    prevalence = {str(decision.positive): site.prevalence, **dict.fromkeys(others, 1 - site.prevalence)}
    watched = bundle.manifest.drift and _watched(bundle.manifest.drift, own, site)
    manifest = structs.replace(bundle.manifest, prevalence=prevalence, recalibrated=site.recalibrated, drift=watched)
    metrics = structs.replace(
        bundle.metrics,
        threshold=site.threshold,
        recalibrated=site.recalibrated,
        three_answers=bundle.metrics.three_answers and bundle.metrics.three_answers.elsewhere(),
        by_patient=bundle.metrics.by_patient and bundle.metrics.by_patient.elsewhere(),
    )
    return replace(bundle, classifier=bundle.classifier.deciding(decision), manifest=manifest, metrics=metrics)


def _combining(how: Combining, own: Decision, site: Site) -> Combining:
    """Move one answer of several films as those of the films move, the thresholds with them."""
    (slope, shift), carried = _slope_and_shift(own, site), _carried(own, site)
    return structs.replace(
        how,
        prevalence=site.prevalence,
        intercept=slope * how.intercept + shift - how.slope * shift,
        threshold=carried(how.threshold),
        lower_threshold=None if how.lower_threshold is None else carried(how.lower_threshold),
    )


def kept(bundle: Bundle, name: str, site: Site) -> Bundle:
    """Give the bundle with a site under a name, in the place of one that it had; its own decision stays."""
    return replace(bundle, manifest=structs.replace(bundle.manifest, sites={**bundle.manifest.sites, name: site}))
