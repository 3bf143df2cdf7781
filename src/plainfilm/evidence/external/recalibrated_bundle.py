"""A bundle whose probabilities fit external data: the same network and answers, other slopes, shifts and thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from msgspec import structs

from plainfilm.data.store import Store
from plainfilm.evidence.external.recalibration import Fit, FittedRecalibration
from plainfilm.model import sites
from plainfilm.model.bundle import Bundle
from plainfilm.model.classifier import Decision
from plainfilm.results.manifest import Site
from plainfilm.results.metrics import Recalibrated

_MOST = 1000.0  # that a manifest may hold


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedTo:
    """What was fitted to how many `radiographs`, and the prevalence that its probabilities hold at, above 0 and below 1.

    `share` of the positive class among them, where labels were looked at: few of them move probabilities less than all the way there.
    """

    fit: Fit
    radiographs: int
    prevalence: float
    share: float | None = None

    @classmethod
    def labelled(cls, found: FittedRecalibration, *, radiographs: int) -> "FittedTo":
        """Give what was fitted to radiographs with labels, or to a prevalence that was stated for them."""
        if found.fit.prevalence is not None:
            return cls(fit=found.fit, radiographs=radiographs, prevalence=found.fit.prevalence)
        return cls(fit=found.fit, radiographs=radiographs, prevalence=found.reached, share=found.share)


def recalibrate(
    opened: Bundle,
    fitted: FittedTo | Mapping[str, FittedTo],
    *,
    store: Store,
    created: str,
    site: str | None = None,
) -> Bundle:
    """Move the probabilities of a bundle by what was fitted, or keep that in it for a site; `created` is ISO 8601.

    Parameters
    ----------
    fitted
        Of two classes; or of findings, by name: one that is left out keeps the bundle's own.
    store
        The data that it was fitted to.
    site
        The name to keep it under; the bundle's own decision then stays.
    """
    own, made, said = opened.classifier.decision, dict[str, Site](), list[str]()
    each = {str(own.positive): fitted} if isinstance(fitted, FittedTo) else fitted
    for name, found in each.items():
        decides = own if isinstance(fitted, FittedTo) else own.of(name)
        made[name] = _site(decides, found, store, created)
        said.append(_note(decides, found, made[name]))
    there = made[str(own.positive)] if isinstance(fitted, FittedTo) else made
    moved = sites.at(opened, there) if site is None else sites.kept(opened, site, there)
    card = opened.card + _section(said, site)
    return replace(moved, card=card, manifest=structs.replace(moved.manifest, created=created))


def _site(own: Decision, fitted: FittedTo, store: Store, created: str) -> Site:
    fit = fitted.fit
    return Site(
        temperature=min(own.temperature / fit.slope, _MOST),
        shift=min(max(fit.slope * own.shift + fit.shift, -_MOST), _MOST),
        threshold=fit.moved(own.threshold),
        lower_threshold=None if own.lower_threshold is None else fit.moved(own.lower_threshold),
        prevalence=fitted.prevalence,
        created=created,
        recalibrated=Recalibrated(
            shift=fit.shift,
            slope=fit.slope,
            method="labels" if fit.prevalence is None else "prevalence",
            radiographs=fitted.radiographs,
            data_fingerprint=store.fingerprint,
        ),
    )


def _section(said: list[str], site: str | None) -> str:
    heading = "Recalibrated" if site is None else f"Recalibrated for {site}"
    kept = (
        "" if site is None else " It is used where the site is named: `--site`. Elsewhere the model answers as before."
    )
    after = " Brier score, ECE and decision curve above are those of the model before." if site is None else ""
    return f"\n## {heading}\n\n" + "\n\n".join(said) + f"{kept}{after}\n"


def _note(own: Decision, fitted: FittedTo, made: Site) -> str:
    fit = fitted.fit
    to = f"{made.recalibrated.radiographs:,} radiographs of another collection"
    told = f"{to}, {100 * fitted.share:.1f} % of them {own.positive}" if fitted.share is not None else f"{to}, looked at without labels, so that on average they are {own.positive} with the stated {100 * made.prevalence:.3g} %"  # fmt: skip
    first = "" if fit.slope == 1 else f"The log odds of {own.positive} were multiplied by {fit.slope:.3f}. "
    return (
        f"{first}{fit.shift:+.3f} was added to the log odds of {own.positive}, fitted to {told}; the threshold "
        f"moved from {own.threshold:.3f} to {made.threshold:.3f}, so that no answer changed."
    )
