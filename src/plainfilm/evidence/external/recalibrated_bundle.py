"""A bundle whose probabilities fit external data: the same network and answers, another slope, shift and threshold."""

from dataclasses import replace

from msgspec import structs

from plainfilm.data.store import Store
from plainfilm.evidence.external.recalibration import Fit
from plainfilm.model import sites
from plainfilm.model.bundle import Bundle
from plainfilm.results.manifest import Site
from plainfilm.results.metrics import Recalibrated

_MOST = 1000.0  # that a manifest may hold


def recalibrate(
    opened: Bundle,
    fit: Fit,
    *,
    store: Store,
    radiographs: int,
    prevalence: float,
    created: str,
    site: str | None = None,
) -> Bundle:
    """Move the probabilities of a bundle by what was fitted, or keep that in it for a site; `created` is ISO 8601.

    Parameters
    ----------
    store, radiographs
        The data that it was fitted to, and how many of them.
    prevalence
        Share of the positive class that it was fitted to, above 0 and below 1.
    site
        The name to keep it under; the bundle's own decision then stays.
    """
    own = opened.classifier.decision
    made = Site(
        temperature=min(own.temperature / fit.slope, _MOST),
        shift=min(max(fit.slope * own.shift + fit.shift, -_MOST), _MOST),
        threshold=fit.moved(own.threshold),
        lower_threshold=None if own.lower_threshold is None else fit.moved(own.lower_threshold),
        prevalence=prevalence,
        created=created,
        recalibrated=Recalibrated(
            shift=fit.shift,
            slope=fit.slope,
            method="labels" if fit.prevalence is None else "prevalence",
            radiographs=radiographs,
            data_fingerprint=store.fingerprint,
        ),
    )
    moved = sites.at(opened, made) if site is None else sites.kept(opened, site, made)
    card = opened.card + _note(opened, fit, made, site)
    return replace(moved, card=card, manifest=structs.replace(moved.manifest, created=created))


def _note(opened: Bundle, fit: Fit, made: Site, site: str | None) -> str:
    own = opened.classifier.decision
    heading = "Recalibrated" if site is None else f"Recalibrated for {site}"
    to = f"{made.recalibrated.radiographs:,} radiographs of another collection"
    share = f"{made.prevalence:.1%} of them {own.positive}"
    told = f"{to}, {share}" if fit.prevalence is None else f"{to}, looked at without labels, so that on average they are {own.positive} with the stated {made.prevalence:.3%}"  # fmt: skip
    first = "" if fit.slope == 1 else f"The log odds of {own.positive} were multiplied by {fit.slope:.3f}. "
    kept = (
        "" if site is None else " It is used where the site is named: `--site`. Elsewhere the model answers as before."
    )
    after = " Brier score, ECE and decision curve above are those of the model before." if site is None else ""
    return (
        f"\n## {heading}\n\n{first}{fit.shift:+.3f} was added to the log odds of {own.positive}, fitted to {told}; the threshold "
        f"moved from {own.threshold:.3f} to {made.threshold:.3f}, so that no answer changed.{kept}{after}\n"
    )
