"""What the folders above an image say: its class, its part of the split, its source, its patient. Names alone; looks at no disk."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from plainfilm.data.cataloguing.level_names import (
    class_in,
    halves,
    is_finding,
    kind_of,
    numbered,
    short_splits,
    split_of,
)
from plainfilm.errors import UsageError

ROLES = ("class", "split", "source", "patient", "-")
MOST_CLASSES = 50  # of folders whose names say nothing
FEW_IMAGES = 4  # a folder: then folders are patients or examinations

_MAY_BE_CLASSES = {"finding", "name", "number"}
_INDIVIDUALS = {"patient", "examination", "date", "fold", "collection"}
_NO_CLASSES = _INDIVIDUALS | {"plain"}
_ROLE_OF_KIND = {"split": "split", "collection": "source", "patient": "patient"}
Levels = dict[str, dict[int, Counter[str]]]


@dataclass(frozen=True, slots=True)
class Said:
    """What the folders above an image say; None where they say nothing."""

    label: str | None = None
    split: str | None = None
    source: str | None = None
    patient: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """The meaning of the folders of one SOURCE.

    `said` has an item a folder that holds images (its path below SOURCE, "" or ending in /). `levels` counts images by
    role, level from 1, and name. `passed_by` names the kinds of folders that were not taken for classes: patient,
    examination, date, fold, collection, plain.
    """

    said: Mapping[str, Said]
    levels: Mapping[str, Mapping[int, Counter[str]]]
    passed_by: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Path:
    """A folder while its parts get their meanings, one of `level_names.kind_of` a part."""

    parts: tuple[str, ...]
    images: int
    kinds: list[str] = field(default_factory=list)

    def places(self) -> list[int]:
        """Where a class may stand; below a patient or an examination only a finding is one."""
        found, is_below = [], False
        for place, kind in enumerate(self.kinds):
            if kind == "finding" or (kind in _MAY_BE_CLASSES and not is_below):
                found.append(place)
            is_below = is_below or kind in {"patient", "examination", "date"}
        return found


def read_levels(folders: Mapping[str, int], *, layout: str | None = None, classes_from: int | None = None) -> Layout:
    """Say what the folders of one SOURCE mean.

    A part of the split may stand at any depth. Folders of patients, examinations, dates, folds and collections are never
    classes. Of the levels that are left, the classes stand on the first with several names, findings for half of the
    images; or else on the first whose names are findings; or else on the first with several names.

    Parameters
    ----------
    folders
        Images in each folder that holds some, by its path below SOURCE, "" or ending in /.
    layout
        Roles of the levels from the first, joined by /: class, split, source, patient, or - for none.
    classes_from
        The level whose folders are the classes: from 1, or -1 for the folder that holds the file.

    Raises
    ------
    UsageError
        `layout` or `classes_from` cannot be meant.
    """
    paths = {name: _Path(tuple(name.split("/")[:-1]), images) for name, images in folders.items()}
    if layout is not None:
        return _as_asked(paths, roles_of(layout))
    every = list(paths.values())
    joined = _set_kinds(every)
    if classes_from is None:
        _set_individuals_apart(every)
        place_of = _guessed(every)
    else:
        place_of = _from(every, classes_from)
    return _finished(paths, place_of, joined)


def roles_of(layout: str) -> tuple[str, ...]:
    """Roles that a layout names, one a level.

    Raises
    ------
    UsageError
        A role that is not known, or one named twice.
    """
    roles = tuple(part.strip().lower() for part in layout.strip("/*").split("/"))
    known = all(role in ROLES for role in roles) and all(roles.count(role) < 2 for role in ROLES[:-1])
    if not known or set(roles) == {"-"}:
        raise UsageError(
            "Expected a layout of class, split, source, patient or - for each folder level, such as split/class; received "
            f"{layout}. Name each role once."
        )
    return roles


def _set_kinds(paths: Sequence[_Path]) -> dict[str, tuple[str, str]]:
    """Set the kinds of all parts; give the split, and the class or "", of names that say a split among other words."""
    beside: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for path in paths:
        for place, part in enumerate(path.parts):
            beside[path.parts[:place]].add(part)
    joined = halves({part for siblings in beside.values() for part in siblings})
    if len({rest.casefold() for _, rest in joined.values()}) == 1 and any(
        part in joined for path in paths for part in path.parts[:-1]
    ):
        joined = {name: (split, "") for name, (split, _) in joined.items()}
    for siblings in beside.values():
        joined |= {name: (split, "") for name, split in short_splits(siblings).items() if split_of(name) is None}
    kinds = {above: _kinds_beside(siblings) for above, siblings in beside.items()}
    for path in paths:
        for place, part in enumerate(path.parts):
            path.kinds.append(_kind_of_rest(joined[part][1]) if part in joined else kinds[path.parts[:place]][part])
    return joined


def _kind_of_rest(rest: str) -> str:
    return "finding" if is_finding(rest) else kind_of(rest) if rest else "split"


def _kinds_beside(siblings: set[str]) -> dict[str, str]:
    """Kinds of folders that lie side by side: what lies among patients, and names no finding, is one."""
    crowd = numbered(siblings)
    kinds = {name: kind_of(name) for name in siblings}
    kinds = {name: "patient" if name in crowd and kind in _MAY_BE_CLASSES else kind for name, kind in kinds.items()}
    if 2 * sum(kind == "patient" for kind in kinds.values()) <= len(kinds):
        return kinds
    return {name: "patient" if kind in {"name", "number"} else kind for name, kind in kinds.items()}


def _set_individuals_apart(paths: Sequence[_Path]) -> None:
    """Take for patients what are names without meaning that hold few images each."""
    for depth, names in enumerate(_by_depth(paths)):
        if not _are_findings(names) and _are_individuals(names):
            for path in paths:
                places = path.places()
                if len(places) > depth and path.kinds[places[depth]] != "finding":
                    path.kinds[places[depth]] = "patient"
            return


def _by_depth(paths: Sequence[_Path]) -> list[Counter[str]]:
    """Images by name on the first, second, … level where a class may stand."""
    levels: list[Counter[str]] = []
    for path in paths:
        for depth, place in enumerate(path.places()):
            if depth == len(levels):
                levels.append(Counter())
            levels[depth][path.parts[place]] += path.images
    return levels


def _are_findings(names: Counter[str]) -> bool:
    return 2 * sum(number for name, number in names.items() if is_finding(name)) >= names.total()


def _are_individuals(names: Counter[str]) -> bool:
    few_each = len(names) > 4 and sorted(names.values())[len(names) // 2] <= FEW_IMAGES
    return few_each or len(names) > MOST_CLASSES


def _guessed(paths: Sequence[_Path]) -> Callable[[_Path], int | None]:
    levels = _by_depth(paths)
    several = [depth for depth, names in enumerate(levels) if len(names) > 1]
    findings = [depth for depth, names in enumerate(levels) if _are_findings(names)]
    depth = next(iter([*(depth for depth in several if depth in findings), *findings, *several]), 0)

    is_around_others = not several and not findings and any(_INDIVIDUALS & set(path.kinds) for path in paths)

    def place_of(path: _Path) -> int | None:
        places = path.places()
        return places[depth] if len(places) > depth and not is_around_others else None

    return place_of


def _from(paths: Sequence[_Path], level: int) -> Callable[[_Path], int | None]:
    def place_of(path: _Path) -> int | None:
        place = level - 1 if level > 0 else len(path.parts) + level
        return place if level and 0 <= place < len(path.parts) else None

    if all(place_of(path) is None for path in paths):
        deepest = max((len(path.parts) for path in paths), default=0)
        raise UsageError(
            f"Expected for --classes-from a folder level from 1 to {deepest}, or -1 for the folder of the file; received "
            f"{level}. See the levels with --dry-run."
        )
    return place_of


def _finished(
    paths: Mapping[str, _Path],
    place_of: Callable[[_Path], int | None],
    joined: Mapping[str, tuple[str, str]],
) -> Layout:
    above = _sources(list(paths.values()), place_of)

    def roles_of_path(path: _Path) -> list[str]:
        at = place_of(path)
        return [
            "class" if place == at else "source" if place in above else _ROLE_OF_KIND.get(kind, "-")
            for place, kind in enumerate(path.kinds)
        ]

    kinds = {kind for path in paths.values() for kind in path.kinds}
    return _laid_out(paths, roles_of_path, joined, frozenset(kinds & _NO_CLASSES))


def _laid_out(
    paths: Mapping[str, _Path],
    roles_of_path: Callable[[_Path], Sequence[str]],
    joined: Mapping[str, tuple[str, str]],
    no_classes: frozenset[str] = frozenset(),
) -> Layout:
    levels: Levels = defaultdict(lambda: defaultdict(Counter))
    said = {}
    for name, path in paths.items():
        roles = roles_of_path(path)
        for level, (role, part) in enumerate(zip(roles, path.parts, strict=True), 1):
            levels[role][level][part] += path.images
        said[name] = _said(path, roles, joined)
    return Layout(said, levels, no_classes)


def _said(path: _Path, roles: Sequence[str], joined: Mapping[str, tuple[str, str]]) -> Said:
    def parts(role: str) -> list[str]:
        return [part for each, part in zip(roles, path.parts, strict=True) if each == role]

    label = next(iter(parts("class")), None)
    named = [part for role, part in zip(roles, path.parts, strict=True) if role == "split" or part in joined]
    split = next((joined[part][0] if part in joined else split_of(part) for part in named), None)
    if label is not None:
        label = (label in joined and joined[label][1]) or class_in(label)
    return Said(label, split, " ".join(parts("source")) or None, next(iter(parts("patient")), None))


def _sources(paths: Sequence[_Path], place_of: Callable[[_Path], int | None]) -> set[int]:
    """Levels above the classes whose folders hold the same classes again: hospitals or collections."""
    holds: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path in paths:
        at = place_of(path)
        for place in (place for place in path.places() if at is not None and place < at):
            holds[place][path.parts[place]].add(path.parts[at or 0].casefold())
    found = set()
    for place, by_name in holds.items():
        times = Counter(label for labels in by_name.values() for label in labels)
        if len(by_name) > 1 and max(times.values()) > 1:
            found.add(place)
    return found


def _as_asked(paths: Mapping[str, _Path], asked: Sequence[str]) -> Layout:
    def roles_of_path(path: _Path) -> list[str]:
        roles = [*asked, *["-"] * len(path.parts)][: len(path.parts)]
        for level, (role, part) in enumerate(zip(roles, path.parts, strict=True), 1):
            if role == "split" and split_of(part) is None:
                raise UsageError(
                    f"Expected folders such as train, val and test on level {level}, the split of --layout; received {part}. "
                    "Correct --layout."
                )
        return roles

    return _laid_out(paths, roles_of_path, {})
