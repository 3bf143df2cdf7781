"""What an audit found, as plain values: probes, sources, leaks, reasons and the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plainfilm.results.estimate import Estimate

Verdict = Literal["no shortcut found", "shortcut possible", "not to be believed"]
VERDICTS: tuple[Verdict, ...] = ("no shortcut found", "shortcut possible", "not to be believed")  # from best to worst
Sees = Literal["everything", "lungs", "no lungs", "coarse", "no image"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A classifier of the same classes that sees only a part: its cross-validated AUROC with interval.

    `name` is the key in JSON; `title` is for people ("lungs blacked out"); `sees` says what kind of probe it is:
    "everything" (the comparison), "lungs", "no lungs" (a part of the image without the lung fields), "coarse" (too
    little for a radiologist: a thumbnail, a histogram), "no image" (provenance and the like). `means` says in a few
    words what a high value points to. `surely` is what the AUROC is at least, as the rules of the verdict ask: the lower
    end of a 99.5 % interval that does not trust a small variance. `cue` names the shortcut where the probe reads one
    thing alone. `seen` uint8 (k, h, w): what the probe sees of the audit's example images.
    """

    name: str
    title: str
    sees: Sees
    auroc: Estimate
    n: int
    surely: float = float("nan")
    cue: str = ""
    means: str = ""
    seen: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """One source (or pair of sources) left out of training: AUROC on it with interval, `n` images of it."""

    sources: tuple[str, ...]
    recombined: bool  # its classes come from different sources
    auroc: Estimate
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """How sources and labels go together.

    `names` the sources, `table` int64 (classes, sources): images; `cramers_v` of the table (0 independent, 1 the
    source tells the label); `told_from_features` by class name: AUROC of telling the sources apart within the class;
    `left_out`: leave one source out.
    """

    names: tuple[str, ...]
    table: NDArray[np.int64]
    cramers_v: Estimate
    told_from_features: Mapping[str, Estimate]
    left_out: Sequence[LeftOut]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Images to look at side by side: uint8 (k, h, w), a caption each ("file, label, part"), and one line about them."""

    images: NDArray[np.uint8]
    captions: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspects:
    """One kind of leak or doubtful label: how many images, one sentence, and strips of the clearest cases."""

    code: str  # "split-neighbours", "label-neighbours", "two-class-patients", "suspect-labels"
    title: str
    count: int
    sentence: str
    strips: Sequence[Strip] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """A check that could not run, and why; never counted as passed."""

    check: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One rule that spoke: the verdict it asks for, what was seen, what `also` was, and which data would change it."""

    rule: str  # its name in docs/audit.md
    verdict: Verdict
    sentence: str
    advice: str
    also: str = ""
    cue: str = ""  # what the shortcut is, where it can be named: "corner tag", "aspect ratio", …


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found. `sentence` is what a colleague would say; `reasons` the strongest first; `cues` named shortcuts.

    `yours` is the AUROC that the probes are compared with: the model's on the test part, or where there is no model
    that of the probe that sees everything. `examples` uint8 (k, h, w) are the images whose parts the probes show in
    `Probe.seen`, with their captions.
    """

    verdict: Verdict
    sentence: str
    reasons: Sequence[Reason]
    probes: Sequence[Probe]
    sources: Sources
    suspects: Sequence[Suspects]
    not_run: Sequence[NotRun]
    yours: Estimate
    yours_is_model: bool
    classes: tuple[str, ...]
    images: int  # in the store
    sampled: int  # seen by the probes
    lungs_found: float  # share of the sample
    examples: NDArray[np.uint8]
    example_captions: tuple[str, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def cues(self) -> tuple[str, ...]:
        """Names of the shortcuts that reasons could name, the strongest first."""
        named = (cue for reason in self.reasons if reason.cue for cue in reason.cue.split(", "))
        return tuple(dict.fromkeys(named))

    def as_dict(self) -> dict[str, Any]:
        """Give what `--json` prints and `metrics.json` holds under "audit"; no pictures."""
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "reasons": [
                {
                    "rule": each.rule,
                    "verdict": each.verdict,
                    "sentence": each.sentence,
                    "also": each.also or None,
                    "advice": each.advice,
                    "cue": each.cue or None,
                }
                for each in self.reasons
            ],
            "cues": list(self.cues),
            "model": {
                "auroc": self.yours.as_dict(),
                "is": "the model on the test part" if self.yours_is_model else "a head on the whole images",
            },
            "probes": {
                each.name: {"auroc": each.auroc.as_dict(), "n": each.n, "title": each.title, "sees": each.sees}
                for each in self.probes
            },
            "sources": {
                "names": list(self.sources.names),
                "classes": list(self.classes),
                "table": self.sources.table.tolist(),
                "cramers_v": self.sources.cramers_v.as_dict(),
                "told_from_features": {name: each.as_dict() for name, each in self.sources.told_from_features.items()},
                "left_out": [
                    {
                        "sources": list(each.sources),
                        "recombined": each.recombined,
                        "auroc": each.auroc.as_dict(),
                        "n": each.n,
                    }
                    for each in self.sources.left_out
                ],
            },
            "suspects": {each.code: {"count": each.count, "sentence": each.sentence} for each in self.suspects},
            "not_run": [{"check": each.check, "reason": each.reason} for each in self.not_run],
            "images": self.images,
            "sampled": self.sampled,
            "lungs_found": None if np.isnan(self.lungs_found) else self.lungs_found,
            "seconds": dict(self.seconds),
        }
