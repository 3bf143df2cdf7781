"""Audits for tests: one that finds a shortcut, and one with everything that data can do to a page."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from plainfilm.evidence.audit.findings import AuditFindings, ProbeFinding, Strip, SuspectsFinding
from plainfilm.results.audit import Audit, ComparedWith, LeftOut, NotRun, Probe, Reason, Sees, Sources, Suspects
from plainfilm.results.estimate import UNDEFINED, Estimate

EVIL = "<script>alert('x')</script>"
LONG = "Universitätsklinikum_ohne_Leerzeichen_" * 8


def films(k: int, seed: int = 0, side: int = 64) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (k, side, side), dtype=np.uint8)


def probe(
    name: str,
    sees: Sees,
    auroc: Estimate,
    seen: NDArray[np.uint8] | None = None,
    *,
    title: str = "",
    means: str = "marks",
) -> ProbeFinding:
    result = Probe(auroc=auroc, n=1000, title=title or name.replace("-", " "), sees=sees)
    return ProbeFinding(name=name, result=result, means=means, seen=seen)


def suspects(code: str, title: str, count: int, sentence: str, *strips: Strip) -> SuspectsFinding:
    return SuspectsFinding(code=code, title=title, result=Suspects(count=count, sentence=sentence), strips=strips)


def compared_with(auroc: Estimate) -> ComparedWith:
    return ComparedWith(auroc=auroc, is_="a head on the whole images")


def changed(found: AuditFindings, **fields: Any) -> AuditFindings:
    """Change fields of the findings, or of their result where the findings have none of that name."""
    own = {name: fields.pop(name) for name in list(fields) if name not in AuditFindings.__dataclass_fields__}
    return replace(found, result=msgspec.structs.replace(found.result, **own), **fields)


EXAMPLES = films(4)
FOUND = AuditFindings(
    result=Audit(
        verdict="not to be believed",
        sentence="A classifier that never sees the lungs reaches AUROC 0.996; yours reaches 0.998.",
        reasons=(
            Reason(
                rule="lungs-hidden",
                verdict="not to be believed",
                sentence="With the lungs blacked out the AUROC is as high.",
                also=None,
                advice="Add COVID and NORMAL images from one hospital.",
                cue="corner tag",
            ),
            Reason(
                rule="one-class-a-source",
                verdict="shortcut possible",
                sentence="Each source has one class.",
                also=None,
                advice="",
                cue=None,
            ),
        ),
        cues=("corner tag",),
        compared_with=ComparedWith(auroc=Estimate(0.998, 0.995, 0.9991), is_="the model on the test part"),
        probes={},
        sources=Sources(
            names=("Ward A", "Ward B", ""),
            classes=("COVID", "NORMAL"),
            table=((898, 0, 0), (0, 1583, 161)),
            cramers_v=Estimate(0.987, 0.971, 0.993),
            told_from_features={"COVID": UNDEFINED, "NORMAL": Estimate(0.888, 0.877, 0.899)},
            left_out=(
                LeftOut(sources=("Ward B",), recombined=False, auroc=Estimate(0.834, 0.803, 0.865), n=2481),
                LeftOut(sources=("Ward A", ""), recombined=True, auroc=Estimate(0.613, 0.552, 0.674), n=1059),
            ),
        ),
        suspects={},
        not_run=(
            NotRun(check="provenance", reason="The store has no provenance."),
            NotRun(check="patients in two classes", reason="The store knows no patients."),
        ),
        images=2642,
        sampled=1000,
        lungs_found=0.9945,
        seconds={"probes": 12.34},
    ),
    probes=[
        probe("whole-image", "everything", Estimate(0.997, 0.994, 0.999)),
        probe("four-corners", "no lungs", Estimate(0.951, 0.936, 0.963), films(4, 1)),
        probe("lungs-blacked-out", "no lungs", Estimate(0.996, 0.992, 0.998), films(4, 2)),
        probe("histogram", "coarse", Estimate(0.931, 0.914, 0.946)),
        probe("provenance", "no image", UNDEFINED),
        probe("lungs-only", "lungs", Estimate(0.981, 0.973, 0.987), films(4, 3)),
    ],
    suspects=[
        suspects(
            "split-neighbours",
            "Near neighbours across splits",
            1234,
            "Some test images look almost like a train image.",
            Strip(images=films(2, 4), captions=("one.jpg, train", "two.jpg, test"), sentence="Similarity 0.991"),
        ),
        suspects("label-neighbours", "Near neighbours under two labels", 0, ""),
    ],
    examples=EXAMPLES,
    example_captions=("COVID, a.jpg", "COVID, b.jpg", "NORMAL, c.jpg", "NORMAL, d.jpg"),
)

CLEAN = changed(FOUND, verdict="no shortcut found", sentence="No check found a shortcut.", reasons=(), not_run=())

NOTHING = changed(
    FOUND,
    verdict="shortcut possible",
    reasons=(),
    probes=[],
    suspects=[],
    not_run=(),
    sources=Sources(
        names=(),
        classes=("COVID", "NORMAL"),
        table=((), ()),
        cramers_v=UNDEFINED,
        told_from_features={},
        left_out=(),
    ),
    compared_with=compared_with(UNDEFINED),
    images=0,
    sampled=0,
    lungs_found=None,
    examples=np.zeros((0, 8, 8), np.uint8),
    example_captions=(),
    seconds={},
)


def ugly() -> AuditFindings:
    """Ten classes, thirty sources, hostile names, numbers that are not known, pictures of any shape."""
    classes = (EVIL, "طبيعي", "肺炎 $x_1$", "_hidden", LONG, *(f"finding {i}" for i in range(5)))
    names = (EVIL, "مستشفى", "北京协和医院", "", LONG, *(f"hospital {i}" for i in range(35)))
    strange = [np.zeros((3, 0, 0), np.uint8), films(3, side=1), films(3, side=700)[:, :5], films(11, side=8)]
    spread = np.linspace(0, 1, len(names))
    return changed(
        FOUND,
        verdict="shortcut possible",
        sentence=EVIL * 12,
        reasons=(Reason(rule=EVIL, verdict="shortcut possible", sentence=LONG, also=EVIL, advice=EVIL, cue=EVIL),),
        probes=[
            *(probe(EVIL, "no lungs", Estimate(0.3, 0.1, 0.45), seen, title=EVIL, means=LONG) for seen in strange),
            probe("coarse-one", "coarse", Estimate(0.7, float("nan"), float("nan"))),
            probe("histogram", "coarse", UNDEFINED),
            probe(LONG, "no image", UNDEFINED),
        ],
        sources=Sources(
            names=names,
            classes=classes,
            table=tuple(map(tuple, (np.eye(10, len(names), dtype=np.int64) * 100000).tolist())),
            cramers_v=UNDEFINED,
            told_from_features=dict.fromkeys(classes, UNDEFINED),
            left_out=(
                *(
                    LeftOut(sources=(name,), recombined=False, auroc=Estimate(v, max(0, v - 0.1), min(1, v + 0.1)), n=1)
                    for name, v in zip(names, spread, strict=True)
                ),
                LeftOut(sources=(EVIL, LONG), recombined=True, auroc=UNDEFINED, n=0),
            ),
        ),
        suspects=[
            suspects(
                EVIL, EVIL, 1, EVIL, *(Strip(images=seen, captions=(LONG, EVIL), sentence=LONG) for seen in strange)
            )
        ],
        not_run=(NotRun(check=LONG, reason=EVIL),),
        compared_with=compared_with(Estimate(0.44, 0.3, 0.6)),
        lungs_found=None,
        example_captions=(EVIL, "طبيعي", LONG),
        seconds={EVIL: float("nan")},
    )
