"""The depth of pictures of more than 8 bits that do not state it: one for all of a source, so that neighbours and classes are scaled alike."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from plainfilm.data import decoder_pool
from plainfilm.data.catalog import Entry
from plainfilm.data.cataloguing.entry import counted
from plainfilm.data.decoding import signatures
from plainfilm.data.extensions import DICOM_EXTENSIONS
from plainfilm.data.images import Radiograph
from plainfilm.errors import Problem

MOST_LOOKED_AT = 500  # files a source, evenly spread
_NEVER_DEEP = DICOM_EXTENSIONS | {"jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "gif", "img"}


def folder_depths(entries: Sequence[Entry], *, workers: int) -> tuple[Mapping[int, int], list[Problem]]:
    """Guess the depth of each source from its files, as the largest that one of them needs.

    Not of each folder: folders are classes, and a class of its own depth would be told by it. A PNG says in its first bytes whether it has more than 8 bits, and is not decoded here if it has not.

    Parameters
    ----------
    entries
        What will be read.
    workers
        Processes that decode.

    Returns
    -------
    mapping of int to int
        Depth in bits by the place of an entry, for those that may need one.
    list of Problem
        One for each source whose depth was guessed.
    """
    sources: dict[tuple[int, str], list[int]] = defaultdict(list)
    for place, entry in enumerate(entries):
        if entry.name.rpartition(".")[2].lower() not in _NEVER_DEEP and _is_deep(entry):
            sources[id(entry.place), entry.source].append(place)
    looked_at = sorted(  # as entries follow one another: an archive may have to be read in order
        (place, key)
        for key, places in sources.items()
        for place in sorted(places, key=lambda place: entries[place].name)[:: len(places) // MOST_LOOKED_AT + 1]
    )
    if not looked_at:
        return {}, []
    files = (entries[place].place.item(entries[place].name) for place, _ in looked_at)
    found: dict[tuple[int, str], list[int]] = defaultdict(list)
    for (_, key), outcome in zip(looked_at, decoder_pool.read_many(files, size=32, workers=workers), strict=True):
        depth = outcome.provenance.get("depth") if isinstance(outcome, Radiograph) else None
        if depth is not None:
            found[key].append(int(depth))
    depths = {place: max(found[key]) for key, places in sources.items() if found[key] for place in places}
    return depths, [_told(entries[sources[key][0]], each) for key, each in found.items() if each]


def _is_deep(entry: Entry) -> bool:
    head = entry.place.head(entry.name, 128)
    if head.startswith(b"\x89PNG"):
        return head[24:25] == b"\x10"  # bits a sample, in IHDR
    return signatures.kind_of(head) != "DICOM" and not (head.startswith(b"\x93NUMPY") and b"u1'" in head)


def _told(entry: Entry, depths: Sequence[int]) -> Problem:
    varied = f", though single ones need only {min(depths)}" if min(depths) < max(depths) else ""
    sentence = (
        f"{counted(len(depths), 'picture')} of more than 8 bits in this source do not state their depth; all are scaled by {max(depths)} "
        f"bits{varied}."
    )
    return Problem(entry.file, "guessed-depth", sentence, fatal=False)
