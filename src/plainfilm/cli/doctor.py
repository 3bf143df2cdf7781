"""`plainfilm doctor`."""

import sys

from plainfilm.cli.options import AsJson
from plainfilm.cli.output import print_document


def doctor(*, as_json: AsJson = False) -> None:
    """Look over this machine: what is needed, what is here, what to do."""
    from plainfilm.cli import terminal
    from plainfilm.cli.machine import examine
    from plainfilm.results.inspection import Findings

    findings = tuple(examine())
    if as_json:
        print_document(Findings(checks=findings))
    else:
        terminal.say(*map(terminal.finding, findings))
    if not all(finding.ok for finding in findings):
        sys.exit(1)
