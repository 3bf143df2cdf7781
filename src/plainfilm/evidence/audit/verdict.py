"""The rules of the verdict. Each rests on an interval, never on a value alone; docs/audit.md states them for people.

With more than two classes each class is judged against the rest, beside the classifier's own AUROC for it, and the worst
class is named: a mean over the classes would hide it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from plainfilm.data.split import Leakage
from plainfilm.evidence.audit.findings import ProbeFinding
from plainfilm.evidence.audit.judging import FALSE, NOTABLE, speaks
from plainfilm.results.audit import ComparedWith, LeftOut, LeftOutClass, ProbedClass, Reason
from plainfilm.results.columns import LeftOutColumn
from plainfilm.results.estimate import Estimate
from plainfilm.results.severity import VERDICTS, Verdict

STRONG = 0.75  # AUROC that a probe must surely reach to say "not to be believed"
SHARE = 0.8  # of the distance from chance that the model surely has
LEAKING = 0.01  # share of images
TOLD = 0.5  # Cramér's V of a column that the store lacks
LOST = 0.05  # AUROC that is lost on a source left out, to be worth a word
SAME = 0.9  # of the strongest probe's distance from chance: the cue explains it
BLIND = frozenset({"no lungs", "no image", "objects", "framing"})
POSSIBLE = frozenset({"objects", "framing"})  # these may go with the disease: alone they condemn nothing
_ORDER = (
    "source", "aspect ratio", "resolution", "JPEG quality", "file format", "bit depth or colour", "device", "patient",
    "brightness", "noise texture", "foreign objects", "border", "corner tag", "framing",
)  # fmt: skip
_CORNERS = ("corners", "marks")
_ADVICE = {
    "no lungs": "Add images of each class from the same hospitals and devices, or train on lung crops, and audit again.",
    "no image": "Add images of each class with the same {what}, or convert all from the same kind of original, and audit again.",
    "objects": "Look at the films with objects: where these do not belong to the disease, add images of each class with and without them, and audit again.",
    "framing": "Add images of each class that are framed alike, or cut all to the same frame around the lungs, and audit again.",
    "source": "Add images of each class from every source: at least two sources that have both.",
    "patient": "Add patients of each class of the same age, sex and view.",
}

_KNOWS = {
    "no lungs": "never sees the lungs",
    "no image": "sees no image at all",
    "objects": "sees nothing but text, electrodes and tubes",
    "framing": "knows nothing but where the lungs lie in the image",
}
_ENDS = {
    "objects": "Such objects may go with the disease; they are not the disease.",
    "framing": "How films are taken and cut is not the disease, though small or overinflated lungs change it too.",
}


@dataclass(frozen=True, slots=True)
class _Told:
    """A class as a probe tells it, of all images or within a source, and the AUROC for that class of what it is compared with."""

    probe: ProbeFinding
    name: str
    own: ProbedClass
    yours: Estimate
    is_model: bool
    source: str | None = None

    @property
    def verdict(self) -> Verdict:
        surely = self.own.surely or 0.0
        condemns = self.probe.result.sees not in POSSIBLE
        much = condemns and surely >= STRONG and surely - 0.5 >= SHARE * (self.yours.low - 0.5)
        return "not to be believed" if much else "shortcut possible"

    @property
    def strength(self) -> float:
        """What of the class is surely told: distance from chance of the AUROC, or half the part (a sign on it alone)."""
        return max((self.own.surely or 0.0) - 0.5, (self.own.told_surely or 0.0) / 2)


def reasons(
    probes: Sequence[ProbeFinding],
    yours: ComparedWith,
    left_out: Sequence[LeftOut],
    leak: Leakage | None,
    images: int,
    copies: int = 0,
    left_out_columns: Sequence[LeftOutColumn] = (),
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
    copies
        Images of which a changed copy stands in another part of the split.
    left_out_columns
        Columns that the store lacks.
    """
    found = _grouped(_blind(probes, yours))
    found += [reason for one in left_out if (reason := _does_not_travel(one, yours))]
    if leak is not None and leak.images:
        found.append(_leak(leak, images))
    if reason := copied(copies, images):
        found.append(reason)
    if reason := _told_by_columns(left_out_columns):
        found.append(reason)
    return sorted(found, key=lambda reason: -VERDICTS.index(reason.verdict))  # stable: probes without lungs stay first


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


def cues(told: Sequence[_Told]) -> tuple[str, ...]:
    """Name the shortcut to one class: the things read alone that tell it about as well as the best probe without lungs.

    In the order of how particular they are: a name of the source before the size, the size before the brightness. The
    corners count as a tag where the strips between them tell nothing.
    """
    if not told:
        return ()
    most = max(each.own.auroc.value for each in told) - 0.5
    known = {each.probe.cue: each.own.auroc.value for each in told if each.probe.cue}
    in_corners = [each.own.auroc.value for each in told if each.probe.name in _CORNERS]
    if in_corners:
        known["corner tag"] = max(in_corners)
    strong = [cue for cue in _ORDER if known.get(cue, 0.5) - 0.5 >= SAME * most]
    certain = [cue for cue in strong if cue not in {"foreign objects", "border", "corner tag", "framing"}]
    return tuple(certain or strong[:1])


def _blind(probes: Sequence[ProbeFinding], yours: ComparedWith) -> list[_Told]:
    """Go through the classes that probes tell which should know nothing, the surest first, what never sees lungs before all."""
    told = [
        _Told(probe, name, own, yours.of(name), yours.is_model, source)
        for probe in probes
        if probe.result.sees in BLIND
        for source, by_class in _looked_at(probe)
        for name, own in by_class.items()
        if speaks(own)
    ]
    return sorted(told, key=lambda each: (each.probe.result.sees != "no lungs", -each.strength))


def _looked_at(probe: ProbeFinding) -> Iterator[tuple[str | None, Mapping[str, ProbedClass]]]:
    """Go through what a probe tells of all images, and within each source."""
    yield None, probe.result.by_class
    for source, own in probe.result.by_source.items():
        yield source, own.by_class


def _grouped(told: Sequence[_Told]) -> list[Reason]:
    """Let the strongest probe of each kind and verdict speak, and name the others behind it, each by its worst class.

    The first reason carries the name of the shortcut; the others keep none, so that a side effect is not named.
    """
    by_probe: dict[str, _Told] = {}
    for each in told:
        by_probe.setdefault(each.probe.name, each)
    kinds: dict[tuple[str, Verdict], list[_Told]] = {}
    for each in by_probe.values():
        kinds.setdefault((each.probe.result.sees, each.verdict), []).append(each)
    found: list[Reason] = []
    for first, *others in sorted(kinds.values(), key=lambda own: -VERDICTS.index(own[0].verdict)):
        also = ", ".join(
            f"{_lower(each.probe.result.title)} {each.own.auroc.value:.2f}{_class(each, ' for ') if each.name != first.name else ''}"
            for each in others
        )
        alike = [each for each in told if (each.name, each.source) == (first.name, first.source)]
        fitting = cues(alike) if not found else ()
        reason = replace(_reason(first), cue=", ".join(fitting) or None)
        found.append(replace(reason, also=f"Others of the kind: {also}.") if also else reason)
    return found


def _class(told: _Told, before: str = "", after: str = "") -> str:
    """Name the class where there are more than two."""
    return f"{before}{told.name}{after}" if len(told.probe.result.by_class) > 2 else ""


def _reason(told: _Told) -> Reason:
    probe, own, verdict = told.probe, told.own, told.verdict
    who = f"A classifier that {_KNOWS[probe.result.sees]} ({_lower(probe.result.title)})"
    where = "" if told.source is None else f" within {told.source or 'the source that is not named'}"
    whose, what = (
        ("yours", "you measured")
        if told.is_model
        else ("one that sees whole images", "can be measured on these images")
    )
    ends = _ENDS.get(
        probe.result.sees,
        f"What {what} is mostly not disease."
        if verdict == "not to be believed"
        else f"Part of what {what} may not be disease.",
    )
    if (own.surely or 0.0) >= NOTABLE:
        tells = f" reaches AUROC {own.auroc.value:.2f}{_class(told, ' for ', ' against the rest')}{where}; {whose} reaches {told.yours.value:.2f}{' over all' if where else ''}"
    else:
        tells = f" tells {100 * own.told.value:.0f} % of {told.name}{where} from all but {100 * FALSE:.0f} % of the others: a part of them bears a sign"
    return Reason(
        rule=f"{probe.result.sees.replace(' ', '-')}: {probe.result.title}",
        verdict=verdict,
        sentence=f"{who}{tells}. {ends}",
        also=None,
        advice=_ADVICE[probe.name if probe.name in _ADVICE else probe.result.sees].format(
            what=_lower(probe.result.title)
        ),
        cue=None,
        class_=_class(told) or None,
    )


def _does_not_travel(one: LeftOut, yours: ComparedWith) -> Reason | None:
    """Speak where a class is told surely worse than with the source, and worse than the classifier does at all."""
    fallen = [
        (name, own, mine)
        for name, own in one.by_class.items()
        if own.lost.low > 0 and own.lost.value >= LOST and own.auroc.high < (mine := yours.of(name)).low
    ]
    if not fallen:
        return None
    name, own, mine = max(fallen, key=lambda each: each[1].lost.low)
    return Reason(
        rule="leave-one-source-out",
        verdict="not to be believed" if own.auroc.high < 0.5 + (mine.value - 0.5) / 2 else "shortcut possible",
        sentence=_lost(one, own, mine, f" for {name}" if len(one.by_class) > 2 else ""),
        also=None,
        advice="Add more sources that have every class, and believe the number on a source left out.",
        cue=None,
        class_=name if len(one.by_class) > 2 else None,
    )


def _lost(one: LeftOut, own: LeftOutClass, mine: Estimate, of_class: str) -> str:
    return (
        f"Trained without {' and '.join(one.sources)}, it reaches AUROC {own.auroc.value:.2f}{of_class} there (at most {own.auroc.high:.2f}); "
        f"trained on as many images with some from there {own.with_sources.value:.2f}, with every source {mine.value:.2f}. It does not travel."
    )


def _told_by_columns(columns: Sequence[LeftOutColumn]) -> Reason | None:
    """Speak of columns of the making of an image that the store lacks, and that surely go with the class."""
    found = [each for each in columns if each.of_the_making and each.cramers_v.low >= TOLD]
    if not found:
        return None
    first, *others = sorted(found, key=lambda each: -each.cramers_v.low)
    also = ", ".join(f"{each.column} {each.cramers_v.value:.2f}" for each in others)
    return Reason(
        rule="left-out-column",
        verdict="shortcut possible",
        sentence=f"The column {first.column}, which is of the making of the images and whose values are not in the store, goes with the class "
        f"(Cramér's V {first.cramers_v.value:.2f}, at least {first.cramers_v.low:.2f}). Part of what you measured may not be disease.",
        also=f"Others of the kind: {also}." if also else None,
        advice=f"Add images of each class with the same {first.column}, and audit again.",
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
