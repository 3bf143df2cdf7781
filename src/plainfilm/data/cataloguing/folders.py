"""What lies in a SOURCE: radiographs, tables, masks and the rest, each file looked at in one way."""

import hashlib
import posixpath
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path, PurePosixPath

from plainfilm.data.cataloguing.level_names import split_of
from plainfilm.data.decoding import arrays, signatures
from plainfilm.data.extensions import DICOM_EXTENSIONS, IMAGE_EXTENSIONS, TABLE_EXTENSIONS
from plainfilm.data.places.place import Place, is_system_file
from plainfilm.data.spelling import shortened
from plainfilm.errors import Problem

LOOKED_AT = 100  # folders whose first file is looked at: a file may be DICOM under the name of another format

_NO_IMAGES = frozenset(
    "csv tsv txt json jsonl ndjson xlsx xls ods parquet gz zip tar tgz bz2 xz 7z rar md rst html htm xml yaml yml toml ini cfg "
    "log py ipynb m r sh bat exe pdf doc docx ppt pptx rtf h5 hdf5 pkl pickle pt pth onnx npz mat nii nrrd mha mhd svg ai eps "
    "mp4 avi mov wav mp3 db sqlite lnk url torrent part tmp lock crc md5 sha256 bib tex css js plainfilm".split()
)
_MASK = r"(masks?|msks?|segs?|segmentations?|ground[\s_-]?truths?|label[\s_-]?maps?|annotations?|contours?)"
_MASK_WHOSE = r"(left|right|manual|lungs?|infection|heart)?"
_MASK_FOLDER = re.compile(
    rf"(.*[\s_.-])?{_MASK_WHOSE}{_MASK}|(.*[\s_.-])?gts?|labels(tr|ts|va|val)|segmentation(class|object)(raw|png)?"
)
_MASK_STEM = re.compile(rf".*[\s_.-]{_MASK_WHOSE}{_MASK}([\s_-]?(left|right|l|r|\d+))?|{_MASK}[\s_-].+")
_MASK_OF = re.compile(r"(.+)[\s_.-](gt|labels?|lbl|bin(ary)?)")  # a mask where the other is there too
_COPY_MARK = re.compile(
    r"(?<![\s_-])[\s_-]*(\(\d+\)|[\s_-](copy|copie|kopie|copia)([\s_-]*\(?\d+\)?)?)$", re.IGNORECASE
)
_MASK_HINT = re.compile(r"mask|msk|seg|truth|label|annot|contour")


@dataclass(slots=True)
class Contents:
    """What was found in a SOURCE; all names are posix paths below it, in the order of their parts.

    `images` are radiographs by name or content, `dicom` those of them that are DICOM, `masks` images that are
    segmentations by name, `tables` the `metadata` tables, `lists` text files that list a part of the split, `more_tables`
    other tables, `others` counts what is none of these, by extension.
    """

    images: list[str] = field(default_factory=list)
    dicom: set[str] = field(default_factory=set)
    masks: set[str] = field(default_factory=set)
    tables: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    more_tables: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    first_of: dict[str, str] = field(default_factory=dict)

    def pass_over(self, kind: str, name: str) -> None:
        """Count a file among `others`; the first of each kind is kept in `first_of`."""
        self.others[kind] += 1
        self.first_of.setdefault(kind, name)

    def passed_over(self, most: int = 4) -> str:
        """Say which kinds of files are passed over, how many, and the first of each: `.txt 3 (notes.txt, …)`."""
        kinds = self.others + Counter({"masks": len(self.masks)})
        first = self.first_of | ({"masks": min(self.masks)} if self.masks else {})
        shown = [
            f"{kind} {number:,} ({first[kind]}{', …' if number > 1 else ''})"
            for kind, number in kinds.most_common(most)
        ]
        return ", ".join([*shown, *(["…"] if len(kinds) > most else [])])


def survey(place: Place, seen: Callable[[str], None] = lambda _: None, *, labels: Path | None = None) -> Contents:
    """List all that lies in a SOURCE but the table of `labels`; `seen` is called with the name of each file as it is met.

    A file is a radiograph by its extension; one with another extension or none, by its first bytes, as the decoder tells
    them (`signatures.kind_of`). Where the first file of a folder is DICOM under another name, all of the SOURCE are looked
    at. Hidden and system files and folders are passed over, and so is a copy of the whole tree inside itself.

    Raises
    ------
    CatalogError
        The place itself may not be listed.
    """
    found, folder, is_mask_folder = Contents(), "", False
    firsts, table = list[str](), _below(place.root, labels)
    for name in (name for name in place.files() if name != table):
        seen(name)
        cut = name.rfind("/") + 1
        if name[:cut] != folder:
            folder, is_mask_folder = name[:cut], is_mask(name[:cut])
        bare = name[cut:]
        _, dot, extension = bare.rpartition(".")
        extension = extension.lower() if dot else ""
        if is_system_file(bare):
            found.pass_over("system files", name)
        elif extension in IMAGE_EXTENSIONS:
            if is_mask_folder or _is_mask_stem(bare):
                found.masks.add(name)
            else:
                if len(firsts) < LOOKED_AT and (not firsts or not firsts[-1].startswith(folder)):
                    firsts.append(name)
                found.images.append(name)
        else:
            _sort(found, place, name, extension, is_mask_folder=is_mask_folder)
    if any(_is_dicom(place, name) for name in firsts):
        found.dicom |= {name for name in found.images if name not in found.dicom and _is_dicom(place, name)}
    _take_wrapped(found, place)
    _set_partners_apart(found)
    _drop_copies(found, place)
    if place.followed:
        found.images.sort(key=place.order)
        _note(found, "linked-folder", place.followed, "linked folders followed")
    if place.passed_over:
        _note(found, "system-folder", place.passed_over, "hidden or system folders passed over")
    found.problems += place.problems
    return found


def _below(root: Path, file: Path | None) -> str | None:
    """Name a file as `root` does; None where it lies elsewhere."""
    if file is None or not (whole := file.resolve()).is_relative_to(above := root.resolve()):
        return None
    return whole.relative_to(above).as_posix()


def is_mask(name: str) -> bool:
    """Whether a relative path names a segmentation: by a folder such as `masks`, or a stem that ends in `_mask`."""
    *above, bare = name.lower().split("/")
    return any(map(_MASK_FOLDER.fullmatch, above)) or _is_mask_stem(bare)


def _is_mask_stem(bare: str) -> bool:
    low = bare.lower()
    return bool(_MASK_HINT.search(low) and _MASK_STEM.fullmatch(PurePosixPath(low).stem))


def _set_partners_apart(found: Contents) -> None:
    """Take `a_gt.png` and `a_label.png` for masks where `a.png` lies beside them."""
    pairs = [(name, named) for name in found.images if (named := _MASK_OF.fullmatch(name[: name.rfind(".")].lower()))]
    if not pairs:
        return
    stems = {name[: name.rfind(".")].lower() for name in found.images}
    masks = {name for name, named in pairs if named[1] in stems}
    found.masks |= masks
    found.images = [name for name in found.images if name not in masks]


def _take_wrapped(found: Contents, place: Place) -> None:
    """Where all lies in folders named like those of masks, as a download called `masks` does, let the names below them speak."""
    if found.images or not found.masks:
        return
    around = posixpath.commonpath([name.rpartition("/")[0] for name in found.masks])
    inner = {
        name
        for name in found.masks
        if around and "/" in name[len(around) + 1 :] and not is_mask(name[len(around) + 1 :])
    }
    found.masks -= inner
    found.images = sorted(inner, key=place.order)
    found.dicom = {name for name in inner if _is_dicom(place, name)}


def _is_dicom(place: Place, name: str) -> bool:
    return signatures.kind_of(place.head(name)) == "DICOM"


def _sort(found: Contents, place: Place, name: str, extension: str, *, is_mask_folder: bool) -> None:
    bare = name.rpartition("/")[2].lower()
    stem, _, suffixes = bare.partition(".")
    if suffixes in TABLE_EXTENSIONS and stem in {"metadata", "_classes"}:
        found.tables.append(name)
    elif extension == "txt" and split_of(stem.replace("list", "")) and name.count("/") < 2:
        found.lists.append(name)
    elif extension in _NO_IMAGES:
        found.pass_over(f".{extension}", name)
        if suffixes in TABLE_EXTENSIONS and name.count("/") < 2:
            found.more_tables.append(name)
    elif (kind := _kind_by_content(place, name, extension)) is None:
        found.pass_over(f".{extension}" if extension else "without extension", name)
    elif is_mask_folder or _is_mask_stem(bare):
        found.masks.add(name)
    else:
        found.images.append(name)
        if kind == "DICOM":
            found.dicom.add(name)


def _kind_by_content(place: Place, name: str, extension: str) -> str | None:
    if extension in DICOM_EXTENSIONS:
        return "DICOM"
    if extension == "img":
        return "IMG" if place.size(name) == arrays.JSRT_BYTES else None
    return signatures.kind_of(place.head(name))


# A copy of the tree inside itself


def _drop_copies(found: Contents, place: Place) -> None:
    """Leave out folders that hold once more what lies around or beside them: archives packed with their own copy, `data (1)`."""
    folders: dict[str, list[str]] = defaultdict(list)
    for name in found.images:
        folders[name[: name.rfind("/") + 1]].append(name)
    children: dict[str, set[str]] = defaultdict(set)
    for folder in folders:
        parts = folder.split("/")[:-1]
        for depth in range(len(parts)):
            children["".join(f"{part}/" for part in parts[:depth])].add(parts[depth])
    tree = None
    for inner in sorted({*children, *folders} - {""}, key=len):
        beside = _COPY_MARK.sub("", inner[:-1]) + "/"
        around = next((other for other in _around(inner) if children[inner] & children[other]), None)
        of = beside if beside != inner and (beside in children or beside in folders) else around
        if of is not None:
            tree = tree or _Tree(folders, sorted(folders), set(found.images))
            _drop_copy(found, place, tree, inner, of)
    if tree is not None and len(tree.present) < len(found.images):
        found.images = [name for name in found.images if name in tree.present]


@dataclass(frozen=True, slots=True)
class _Tree:
    """Images by folder, the folders in order, and the images that count."""

    folders: Mapping[str, Sequence[str]]
    in_order: Sequence[str]
    present: set[str]

    def below(self, start: str) -> list[str]:
        """Images below a folder."""
        here = map(self.in_order.__getitem__, range(bisect_left(self.in_order, start), len(self.in_order)))
        return [name for each in takewhile(lambda each: each.startswith(start), here) for name in self.folders[each]]


def _around(folder: str) -> Iterator[str]:
    """Folders around one, the nearest first."""
    while folder:
        folder = folder[: folder[:-1].rfind("/") + 1]
        yield folder


def _drop_copy(found: Contents, place: Place, tree: _Tree, inner: str, of: str) -> None:
    names = tree.below(inner)
    twins = {name: of + name[len(inner) :] for name in names if of + name[len(inner) :] in tree.present}
    if 2 * len(twins) < len(names) or not (copies := _same(place, twins)):
        return
    others = len(names) - len(copies)
    if others and any(name.startswith(inner) for name in found.tables):  # it speaks of both
        return
    tree.present.difference_update(copies)
    found.dicom -= copies
    if not others:
        found.masks = {name for name in found.masks if not name.startswith(inner)}
        found.tables = [name for name in found.tables if not name.startswith(inner)]
    rest = f"; {others:,} more that differ are read" if others else ""
    where = of.rstrip("/") or "the folder around it"
    sentence = f"Holds {len(copies):,} images of {where} once more, under the same names; they count once{rest}."
    found.problems.append(Problem(inner.rstrip("/"), "copy-of-tree", sentence, fatal=False))


def _same(place: Place, twins: Mapping[str, str]) -> set[str]:
    """Names whose twin has the same bytes."""
    alike = {name: twin for name, twin in twins.items() if place.size(name) == place.size(twin)}
    digests = {name: _digest(place, name) for name in sorted({*alike, *alike.values()}, key=place.order)}
    return {name for name, twin in alike.items() if digests[name] and digests[name] == digests[twin]}


def _digest(place: Place, name: str) -> bytes:
    """SHA-256 of a file, nothing where it cannot be read."""
    item = place.item(name)
    try:
        return hashlib.sha256(item.read_bytes() if isinstance(item, Path) else item()).digest()
    except OSError:
        return b""


def _note(found: Contents, code: str, names: Sequence[str], what: str) -> None:
    sentence = f"{len(names):,} {what}: {shortened(names)}."
    found.problems.append(Problem(names[0], code, sentence, fatal=False))
