"""`plainfilm drift`: what a log of answers tells: drift week by week, and what outcomes say."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import structs

from plainfilm.arguments import checked
from plainfilm.errors import UsageError
from plainfilm.evidence.drift import log
from plainfilm.evidence.drift import outcomes as tables
from plainfilm.evidence.drift.findings import gathered
from plainfilm.results.watched import DriftFindings


@checked
def drift(logs: str | Path | Sequence[str | Path], *, outcomes: str | Path | None = None) -> DriftFindings:
    """Read logs of answers of `serve --log-answers`: drift of scores, refusals and images week by week, and metrics by outcomes.

    Parameters
    ----------
    logs
        One or more files, the oldest first.
    outcomes
        A table of what was found later: `image` (SHA-256 of the file) or `id`, and `outcome`, a class; `patient`, if there is one.

    Raises
    ------
    PlainfilmError
        One line: what was expected, what was received, what to do.
    """
    given = [Path(logs)] if isinstance(logs, str | Path) else [Path(each) for each in logs]
    if not given:
        raise UsageError("Expected a log of answers; received none. Write: plainfilm drift LOG")
    known = None if outcomes is None else tables.read(Path(outcomes))
    found, broken = gathered(log.read(given))
    told = [each.told for each in found]
    if known is None:
        return DriftFindings(bundles=tuple(told), broken=broken)
    measured = [tables.measured(each, known) for each in found]
    return DriftFindings(
        bundles=tuple(structs.replace(each, outcomes=own) for each, own in zip(told, measured, strict=True)),
        broken=broken,
        unmatched=tables.unmatched(found, known),
    )
