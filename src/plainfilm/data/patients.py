"""Whose image is whose: one key a patient over all sources of a command, since joining two patients is safer than parting one."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from plainfilm.data.cataloguing.entry import Entry
from plainfilm.data.spelling import plain_id

_ENOUGH = 10  # images; fewer may well be of one patient


@dataclass(frozen=True, slots=True)
class Named:
    """Who is on one image, by all that names a patient: `id` with its `issuer` or "", `others`, and the name of a `folder`; `source`."""

    id: str = ""
    issuer: str = ""
    others: tuple[str, ...] = ()
    folder: str = ""
    source: str = ""


def named_by(entry: Entry, of_file: str = "") -> Named:
    """Say who is on a radiograph, by its entry and by what its file named when it was decoded."""
    own = "" if entry.patient in {None, entry.of_folder} else str(entry.patient)
    is_other = own and of_file and plain_id(of_file) != plain_id(own)
    others = (*entry.other_ids, of_file) if is_other else entry.other_ids
    return Named(own or of_file, entry.issuer if own else "", others, entry.of_folder or "", entry.source)


def patient_keys(images: Sequence[Named], *, apart: bool = False) -> tuple[list[str], bool]:
    """Give each image the key of its patient, "" where nobody is named.

    The key is the id with its issuer (Issuer of Patient ID, PS3.3 C.2.2), or the id alone where one image or more give
    that id without an issuer. All ids of one image are one patient; so are a folder of a patient and the one id that is
    found in it. Case, blanks, leading zeros and a trailing `.0` do not count: tables lose or add them.

    Parameters
    ----------
    images
        Who is on each image.
    apart
        Equal ids of two sources are two patients.

    Returns
    -------
    list of str
        Keys.
    bool
        Whether one id stood for all of ten images or more, and so for nobody: then all keys are "".
    """
    issued: dict[tuple[str, str], set[str]] = defaultdict(set)
    for image in images:
        place = image.source if apart else ""
        issued[place, plain_id(image.id)].add(plain_id(image.issuer))
        for other in (*image.others, image.folder):
            issued[place, plain_id(other)].add("")

    def key(image: Named, written: str, issuer: str = "") -> str:
        place, name = image.source if apart else "", plain_id(written)
        return "\0".join((place, name, "" if "" in issued[place, name] else plain_id(issuer))) if name else ""

    keys = [key(image, image.id, image.issuer) or key(image, image.folder) for image in images]
    same = _Joined()
    in_folder: dict[str, set[str]] = defaultdict(set)
    for image, own in zip(images, keys, strict=True):
        for other in image.others:
            same.join(own, key(image, other))
        if folder := key(image, image.folder):
            in_folder[folder] |= {own} - {folder}
    for folder, ids in in_folder.items():
        if len({same.first(each) for each in ids}) == 1:
            same.join(folder, *ids)
    keys = [same.first(each) for each in keys]
    is_nobody = len(keys) >= _ENOUGH and len(set(keys)) == 1 and keys[0] != ""
    return ([""] * len(keys) if is_nobody else keys), is_nobody


class _Joined:
    """Keys that mean one patient."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def first(self, key: str) -> str:
        above = self._above
        while key in above:
            above[key] = above.get(above[key], above[key])
            key = above[key]
        return key

    def join(self, *keys: str) -> None:
        first, *others = sorted({self.first(key) for key in keys if key}) or [""]
        self._above |= dict.fromkeys(others, first)
