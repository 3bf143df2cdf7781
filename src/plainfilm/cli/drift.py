"""`plainfilm drift`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from plainfilm.cli.options import AsJson
from plainfilm.cli.output import print_document

_SHOWN = ("accuracy", "sensitivity", "specificity", "ppv", "npv", "auroc", "brier")


def drift(
    logs: Annotated[list[Path], Parameter(metavar="LOG")],
    *,
    outcomes: Annotated[Path | None, Parameter(metavar="TABLE", negative="")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a log of answers tells: drift of scores, refusals and images week by week, and metrics by outcomes.

    Parameters
    ----------
    logs
        Files of serve --log-answers, the oldest first.
    outcomes
        A table of what was found later: image (SHA-256 of the file) or id, and outcome, a class; patient, if there is one.
    """
    from plainfilm.cli import terminal
    from plainfilm.workflows.drift import drift as verb

    found = verb(logs, outcomes=outcomes)
    if as_json:
        print_document(found)
        return
    terminal.say(*(line for own in found.bundles for line in _told(own)))
    if found.broken:
        terminal.say(f"{found.broken:,} lines could not be read, and were passed over.")
    if found.unmatched:
        terminal.say(f"{found.unmatched:,} outcomes are of radiographs that the log lacks.")


def _told(own: Any) -> Iterator[Any]:
    from plainfilm.cli import tables, terminal

    at = f" at {own.site}" if own.site else ""
    yield f"Bundle {own.bundle[:12]}{at}, {' or '.join(own.classes) or 'of which the log does not say the classes'}"
    levels = ", ".join(f"{count:,} {level}" for level, count in own.levels.items())
    yield f"{own.images:,} radiographs, {own.first[:10]} to {own.last[:10]}; {own.answers:,} answers: {levels}"
    if own.called:
        yield ", ".join(f"{name} {count:,} ({100 * count / own.images:.0f} %)" for name, count in own.called.items())
    if own.weeks:
        rows = [{"week of": week.week, "radiographs": f"{week.images:,}", **{name: _evidence(each) for name, each in week.families.items()}} for week in own.weeks]  # fmt: skip
        yield tables.of(rows, columns=list(rows[0]))
        yield "Evidence of drift against the training, as a factor; an alarm from 143 for scores, 500 for the image, 1,000 for refusals: by chance in at most 1 % of weeks."
        for week in own.weeks:
            for name in week.alarms:
                each = week.families[name]
                yield terminal.styled(f"Drift of {name} since {each.since[:16]} UTC, after {each.images:,} radiographs of the week; most of it in {each.most}.", "bold red")  # fmt: skip
    else:
        yield "No drift can be told: the bundle has no reference, as those made before 0.3.0, or of fewer than 40 radiographs that were kept out."
    if own.outcomes:
        yield from _measured(own.outcomes)
    yield ""


def _evidence(of: Any) -> str:
    return (
        f"{of.evidence:.1f}" if of.evidence < 10 else f"{of.evidence:,.0f}" if of.evidence < 1e6 else "over a million"
    )


def _measured(found: Any) -> Iterator[Any]:
    from plainfilm.cli import tables, terminal
    from plainfilm.reporting.formatting import decimal, interval

    own = found.metrics
    rows = [{"metric": name, "value": decimal(value), "95 % interval": interval(value, "decimal")} for name, value in own.estimates.items() if name in _SHOWN]  # fmt: skip
    lines = own.calibration
    if lines:
        rows += [{"metric": f"calibration {name}", "value": decimal(value), "95 % interval": interval(value, "decimal")}
                 for name, value in (("intercept", lines.intercept), ("slope", lines.slope))]  # fmt: skip
    yield ""
    yield f"Against {own.n:,} outcomes; {found.refused:,} more are of radiographs that were refused."
    yield tables.of(rows, columns=["metric", "value", "95 % interval"])
    if found.findings:
        each = [{"finding": name, "outcomes": f"{one.n:,}",
                 **{metric: f"{decimal(value)} ({interval(value, 'decimal')})" for metric, value in one.estimates.items() if metric in _SHOWN}}
                for name, one in found.findings.items()]  # fmt: skip
        yield tables.of(each, columns=list(each[0]))
    if found.warning:
        yield terminal.styled(found.warning, "yellow")
