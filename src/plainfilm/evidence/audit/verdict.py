"""The rules of the verdict. Each rests on an interval, never on a value alone; docs/audit.md states them for people."""

from collections.abc import Sequence

from msgspec.structs import replace

from plainfilm.data.split import Leakage
from plainfilm.evidence.audit.findings import ProbeFinding
from plainfilm.results.audit import LeftOut, Reason
from plainfilm.results.estimate import Estimate
from plainfilm.results.severity import VERDICTS, Verdict

NOTABLE = 0.6  # AUROC that a probe must surely reach to speak at all
STRONG = 0.75  # and to say "not to be believed"
SHARE = 0.8  # of the distance from chance that the model surely has
LEAKING = 0.01  # share of images
SAME = 0.9  # of the strongest probe's distance from chance: the cue explains it
_ORDER = (
    "source", "aspect ratio", "resolution", "JPEG quality", "file format", "bit depth or colour", "device", "patient",
    "brightness", "noise texture", "border", "corner tag",
)  # fmt: skip
_CORNERS = "corners"
_ADVICE = {
    "no lungs": "Add images of each class from the same hospitals and devices, or train on lung crops, and audit again.",
    "no image": "Add images of each class with the same {what}, or convert all from the same kind of original, and audit again.",
    "source": "Add images of each class from every source: at least two sources that have both.",
    "patient": "Add patients of each class of the same age, sex and view.",
}


def reasons(
    probes: Sequence[ProbeFinding], yours: Estimate, left_out: Sequence[LeftOut], leak: Leakage | None, images: int
) -> list[Reason]:
    """Give what the rules say, the strongest first.

    Parameters
    ----------
    probes
        All that ran.
    yours
        AUROC that the probes are measured against.
    left_out
        Sources left out.
    leak, images
        Of a given split, and how many images it splits.
    """
    blind = [probe for probe in probes if probe.result.sees in {"no lungs", "no image"} and probe.surely >= NOTABLE]
    spoken = _grouped(sorted(blind, key=lambda probe: (probe.result.sees != "no lungs", -probe.surely)), yours)
    fitting = cues(probes)
    found = [_named(reason, fitting if place == 0 else ()) for place, reason in enumerate(spoken)]
    found += [reason for one in left_out if (reason := _does_not_travel(one, yours))]
    if leak is not None and leak.images:
        found.append(_leak(leak, images))
    return sorted(found, key=rank)  # stable: probes without lungs stay first


def rank(reason: Reason) -> int:
    """Place of a reason among others, the worst first."""
    return -VERDICTS.index(reason.verdict)


def copied(found: int, images: int) -> Reason | None:
    """Speak of `found` images of which a changed copy stands in another part of the split; of `images` in all."""
    if not found:
        return None
    return Reason(
        rule="copies",
        verdict="not to be believed" if found > LEAKING * images else "shortcut possible",
        sentence=f"{found:,} images have a changed copy (mirrored, cropped, turned, inverted or padded) in another part of the split. Part of the number is memory.",
        also=None,
        advice="Ingest again: copies are kept in one part then, unless the split is given; leave that out with --resplit.",
        cue="leak",
    )


def unexamined(why: str) -> Reason:
    """Say that no probe could run: what was not examined is not believed to be sound."""
    return Reason(
        rule="nothing-examined",
        verdict="shortcut possible",
        sentence=f"Nothing could be examined, so a shortcut is possible. {why}",
        also=None,
        advice="Add images until each class has enough patients or unrelated images.",
        cue=None,
    )


def decide(found: Sequence[Reason]) -> Verdict:
    """Take the worst that any rule says."""
    return max((reason.verdict for reason in found), key=VERDICTS.index, default=VERDICTS[0])


def named(found: Sequence[Reason]) -> tuple[str, ...]:
    """Give the shortcuts that reasons name, each once, the strongest first."""
    return tuple(dict.fromkeys(cue for reason in found if reason.cue for cue in reason.cue.split(", ")))


def cues(probes: Sequence[ProbeFinding]) -> tuple[str, ...]:
    """Name the shortcut: the things read alone that tell the class about as well as the best probe without lungs.

    In the order of how particular they are: a name of the source before the size, the size before the brightness. The
    corners count as a tag where the strips between them tell nothing.
    """
    blind = {
        probe.name: probe
        for probe in probes
        if probe.result.sees in {"no lungs", "no image"} and probe.surely >= NOTABLE
    }
    if not blind:
        return ()
    most = max(probe.result.auroc.value for probe in blind.values()) - 0.5
    told = {probe.cue: probe.result.auroc.value for probe in blind.values() if probe.cue}
    if _CORNERS in blind:
        told["corner tag"] = blind[_CORNERS].result.auroc.value
    strong = [cue for cue in _ORDER if told.get(cue, 0.5) - 0.5 >= SAME * most]
    certain = [cue for cue in strong if cue not in {"border", "corner tag"}]
    return tuple(certain or strong[:1])


def _grouped(blind: Sequence[ProbeFinding], yours: Estimate) -> list[Reason]:
    """Let the strongest probe of each kind and verdict speak, and name the others behind it."""
    kinds: dict[tuple[str, Verdict], list[tuple[ProbeFinding, Reason]]] = {}
    for probe in blind:
        reason = _blind(probe, yours)
        kinds.setdefault((probe.result.sees, reason.verdict), []).append((probe, reason))
    found = []
    for (_, first), *others in kinds.values():
        also = ", ".join(f"{_lower(probe.result.title)} {probe.result.auroc.value:.2f}" for probe, _ in others)
        found.append(replace(first, also=f"Others of the kind: {also}.") if also else first)
    return found


def _blind(probe: ProbeFinding, yours: Estimate) -> Reason:
    much = probe.surely >= STRONG and probe.surely - 0.5 >= SHARE * (yours.low - 0.5)
    knows = "never sees the lungs" if probe.result.sees == "no lungs" else "sees no image at all"
    kind = probe.name if probe.name in _ADVICE else probe.result.sees
    ends = "What you measured is mostly not disease." if much else "Part of what you measured may not be disease."
    return Reason(
        rule=f"{probe.result.sees.replace(' ', '-')}: {probe.result.title}",
        verdict="not to be believed" if much else "shortcut possible",
        sentence=f"A classifier that {knows} ({_lower(probe.result.title)}) reaches AUC {probe.result.auroc.value:.2f}; yours reaches {yours.value:.2f}. {ends}",
        also=None,
        advice=_ADVICE[kind].format(what=_lower(probe.result.title)),
        cue=probe.cue or None,
    )


def _named(reason: Reason, fitting: tuple[str, ...]) -> Reason:
    """Let the first reason carry the name that fits best; the others keep none, so that a side effect is not named."""
    return replace(reason, cue=", ".join(fitting) or None)


def _does_not_travel(one: LeftOut, yours: Estimate) -> Reason | None:
    if not one.auroc.high < yours.low:
        return None
    half = one.auroc.high < 0.5 + (yours.value - 0.5) / 2
    where = " and ".join(one.sources)
    return Reason(
        rule="leave-one-source-out",
        verdict="not to be believed" if half else "shortcut possible",
        sentence=f"Trained without {where}, it reaches AUC {one.auroc.value:.2f} there (at most {one.auroc.high:.2f}); with every source {yours.value:.2f}. It does not travel.",
        also=None,
        advice="Add more sources that have every class, and believe the number on a source left out.",
        cue=None,
    )


def _leak(leak: Leakage, images: int) -> Reason:
    return Reason(
        rule="leak",
        verdict="not to be believed" if leak.images > LEAKING * images else "shortcut possible",
        sentence=f"{leak.images:,} images of {leak.groups:,} patients or duplicates stand in more than one part of the given split. Part of the number is memory.",
        also=None,
        advice="Ingest again with --resplit.",
        cue="leak",
    )


def _lower(title: str) -> str:
    return title[0].lower() + title[1:]
