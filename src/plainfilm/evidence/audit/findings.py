"""What an audit found beside its JSON: pictures, captions, and what only rules and pages need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from plainfilm.results.audit import Audit, Probe, Suspects


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFinding:
    """A probe: its `result`, and what else is known of it.

    `name` is the key in JSON. `means` says in a few words what a high value points to. `cue` names the shortcut where the
    probe reads one thing alone. `seen` uint8 (k, h, w): what it sees of the audit's examples.
    """

    name: str
    result: Probe
    cue: str = ""
    means: str = ""
    seen: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Images to look at side by side: uint8 (k, h, w), a caption each ("file, label, part"), and one line about them."""

    images: NDArray[np.uint8]
    captions: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectsFinding:
    """One kind of leak or doubtful label: its `result`, and strips of the clearest cases."""

    code: str  # "split-neighbours", "label-neighbours", "two-class-patients", "lateral-views", "suspect-labels"
    title: str
    result: Suspects
    strips: Sequence[Strip] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFindings:
    """An audit: its `result` for JSON, and beside it what pages show of probes and suspects.

    `examples` uint8 (k, h, w) are the images whose parts the probes show in `ProbeFinding.seen`, with their captions;
    `with_objects` those that seem to hold foreign objects inside the lungs.
    """

    result: Audit
    probes: Sequence[ProbeFinding]
    suspects: Sequence[SuspectsFinding]
    examples: NDArray[np.uint8]
    example_captions: tuple[str, ...]
    with_objects: Strip | None = None
    findings: Mapping[str, "AuditFindings"] = field(default_factory=dict)  # each by itself; this is then the worst's
