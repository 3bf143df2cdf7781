"""`plainfilm doctor`."""

import dataclasses
import json
import sys

from plainfilm.cli.options import AsJson


def doctor(*, as_json: AsJson = False) -> None:
    """Look over this machine: what is needed, what is here, what to do."""
    from plainfilm.cli import terminal
    from plainfilm.cli.machine import examine

    with terminal.muted_native_logs():
        findings = list(examine())
    if as_json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            terminal.say(
                terminal.finding(
                    finding.name, finding.found if finding.ok else f"{finding.found}. {finding.advice}", ok=finding.ok
                )
            )
    if not all(finding.ok for finding in findings):
        sys.exit(1)
