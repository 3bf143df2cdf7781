"""The folder of an audit alone: audit.html, audit.json, figures/, tables/, requirements.lock."""

from collections.abc import Sequence
from pathlib import Path

import plainfilm
from plainfilm.evidence.audit.findings import AuditFindings
from plainfilm.reporting import environment, paper_tables
from plainfilm.reporting.report import AuditPage, write_audit
from plainfilm.results import documents


def write(
    folder: Path, found: AuditFindings, *, store: str, name: str, command: str, formats: Sequence[str] = ()
) -> None:
    """Write an audit into an empty folder; `store` is the store's file name, `name` what the folder will be called, `formats` those of figures."""
    audit = found.result
    environment.write_lock(folder)
    paper_tables.of_audit(folder, audit)
    (folder / "audit.json").write_bytes(documents.encode(audit, indent=1))
    page = AuditPage(
        title=f"Audit of {store}",
        created=environment.now(),
        version=plainfilm.__version__,
        command=command,
        folder=name,
        audit=found,
        asked=[("Store", store), ("Radiographs", f"{audit.images:,}"), ("Seen by the probes", audit.probed)],
        repeat=[command] if command else [],
    )
    write_audit(page, folder, formats)
