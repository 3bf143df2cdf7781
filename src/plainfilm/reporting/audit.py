"""The folder of an audit alone: audit.html, audit.json, figures/; and the classifier that an audit is compared with."""

import json
from pathlib import Path
from typing import Any

import plainfilm
from plainfilm.data.store import Store
from plainfilm.evidence.audit.results import Audit
from plainfilm.reporting import environment
from plainfilm.reporting.report import AuditPage, write_audit


def write(folder: Path, store: Store, audit: Audit, *, name: str, command: str) -> dict[str, Any]:
    """Write an audit into an empty folder and return what stands in `audit.json`."""
    results = audit.as_dict() | {"data": {"store": store.path.name, "fingerprint": store.fingerprint}}
    (folder / "audit.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    page = AuditPage(
        title=f"Audit of {store.path.name}",
        created=environment.now(),
        version=plainfilm.__version__,
        command=command,
        folder=name,
        audit=audit,
        asked=[
            ("Store", store.path.name),
            ("Radiographs", f"{len(store):,}"),
            ("Seen by the probes", f"{audit.sampled:,}"),
        ],
        repeat=[command] if command else [],
    )
    write_audit(page, folder)
    return results
