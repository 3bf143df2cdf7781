"""Which file a name in a table means, however differently the two are written."""

import difflib
import posixpath
import re
import unicodedata
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from urllib.parse import unquote

from plainfilm.data.cataloguing.folders import is_mask
from plainfilm.data.cataloguing.level_names import split_of
from plainfilm.data.tables.columns import without_extension
from plainfilm.data.tables.reading import Table, TableRow
from plainfilm.errors import CatalogError

TRIED = "the path, its end, the bare name, another extension or none, case, Unicode form, %20, numbers with .0 or without zeros"

_NEUTRAL = re.compile(r"(images?|imgs?|files?|data|dicoms?|dcm|radiographs?|x-?rays?|pngs?|jpe?gs?)([\s_-]?\d+)?")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z\d+.-]+://([^?#]*)")
_NUMBER = re.compile(r"^0*(\d+)(\.0+)?(?=$|\.[a-z])")
_LETTERS_SHOWN = 120
_MOST_ALIKE = 64  # files of one bare name that are compared one by one, as long as there are no more
_COMPARED = 2000  # names, to find the nearest


class Names:
    """Finds the one file that a table means.

    Tried in turn, until something fits: the path; the bare name; the bare name without extension; then both again with
    Unicode form, case, `%20`, and numbers as `1.0` or without leading zeros left aside; then another extension. Folders
    that are written count from their end: what is above them may be that of another machine.
    """

    def __init__(self, files: Iterable[tuple[str, str]], others: Container[str] = ()) -> None:
        """Take pairs of a name for a file, and the file; a file may have several names.

        `others` are paths of files that are there but not to be found, such as masks: whoever writes one means no other.
        """
        self._others = others
        self._files: dict[str, str | tuple[str, ...]] = {}
        for name, file in files:
            known = self._files.setdefault(name, file)
            if known is not file and file not in self._of(name):
                self._files[name] = (*self._of(name), file)
        self._by_bare_name = _Index(self._files, lambda name: _loosest(_bare(name)))
        self._by_path = _Index(self._files, _loosest_path)

    def find(self, written: str, table: Table, row: TableRow) -> str | None:
        """File of a name as `tidy` gives it, None where there is none.

        Raises
        ------
        CatalogError
            The name fits several files.
        """
        found = self._files.get(written)
        if isinstance(found, str):
            return found
        if written in self._others:
            return None
        files = sorted(found or {file for name in self._meant(written) for file in self._of(name)})
        if len(files) > 1:
            raise CatalogError(
                f"Expected {written[:_LETTERS_SHOWN]} in line {row.line} of {table.path} to name one image; received "
                f"{files[0]} and {files[1]}. Write the path below SOURCE."
            )
        return files[0] if files else None

    def nearest(self, written: str) -> str | None:
        """Name on the disk that is most like one that fits none; None where there is no file."""
        names = list(self._files)[:: len(self._files) // _COMPARED + 1]
        bare = {_bare(name): name for name in reversed(names)}
        close = difflib.get_close_matches(_bare(written), bare, 1, 0.0)
        return bare[close[0]] if close else None

    def explain(self, table: Table) -> str:
        """Say of a table of which no row fits what one says, and what there is instead; `received` comes before it."""
        row = next((row for row in table.rows if row.get("file_name")), None)
        if row is None:
            return f"none of {len(table.rows)}, for {table.named['file_name']} is empty"
        written = row.get("file_name")
        nearest = self.nearest(tidy(written))
        return (
            f"none of {len(table.rows)}: line {row.line} says {written[:_LETTERS_SHOWN]}, and "
            + (f"the nearest file is {nearest}" if nearest else "there is no file")
            + f" (tried {TRIED})"
        )

    def _of(self, name: str) -> tuple[str, ...]:
        found = self._files[name]
        return (found,) if isinstance(found, str) else found

    def _meant(self, written: str) -> list[str]:
        """Names that a name may mean, of the nearest kind."""
        alike = self._by_bare_name.get(_loosest(_bare(written)))
        if "/" not in written:
            return self._nearest_form(written, alike)
        if len(alike) > _MOST_ALIKE:
            ends = (self._by_path.get(end) for end in _ends(_loosest_path(written)))
            alike = next((names for names in ends if names), [])
        alike = self._not_elsewhere(written, alike)
        return self._nearest_form(written, alike)

    def _nearest_form(self, written: str, alike: Sequence[str]) -> list[str]:
        if len(alike) == 1 and _bare(alike[0]) == written:
            return [*alike]
        folders, bare = _apart(written)
        for mine, theirs in _LEVELS:
            wanted = mine(bare)
            hits = [name for name in alike if theirs(_bare(name)) == wanted]
            depths = {name: _depth([*map(mine, folders)], [*map(mine, _apart(name)[0])]) for name in hits}
            deepest = max(depths.values(), default=-1)
            nearest = [name for name in hits if depths[name] == deepest]
            if deepest > 0 or (deepest == 0 and (not folders or self._are_one(nearest))):
                return nearest
        return []

    def _not_elsewhere(self, written: str, names: Sequence[str]) -> list[str]:
        """Names without those of files in another part of a split, and without radiographs where a mask is meant."""
        if is_mask(written):
            return [name for name in names if is_mask(name)]
        split = _split(written)
        below = [name for name in names if split and not name.startswith("/")]
        elsewhere = {file for name in below if _split(name) not in {None, split} for file in self._of(name)}
        return [name for name in names if not elsewhere.issuperset(self._of(name))]

    def _are_one(self, names: Iterable[str]) -> bool:
        return len({file for name in names for file in self._of(name)}) == 1


class _Index:
    """Names by a form of theirs; made when it is first asked."""

    def __init__(self, names: Iterable[str], form: Callable[[str], str]) -> None:
        self._names, self._form = names, form
        self._found: dict[str, str | list[str]] = {}

    def get(self, key: str) -> Sequence[str]:
        """Names of a form."""
        if not self._found:
            for name in self._names:
                known = self._found.setdefault(self._form(name), name)
                if isinstance(known, list):
                    known.append(name)
                elif known is not name:
                    self._found[self._form(name)] = [known, name]
        found = self._found.get(key, [])
        return [found] if isinstance(found, str) else found


def tidy(written: str) -> str:
    """Posix form of a path as people write it in tables: of an address without server's words behind it, without quotes."""
    text = written.strip()
    if len(text) > 2 and text[0] == text[-1] in "'\"":
        text = text[1:-1].strip()
    if address := _ADDRESS.match(text):
        text = address[1]
    return posixpath.normpath(text.replace("\\", "/"))


def leads_outside(name: str) -> bool:
    """Whether a tidy path is absolute or climbs out of its folder."""
    return name.startswith(("/", "~")) or name.split("/")[0] == ".." or bool(re.match(r"[A-Za-z]:", name))


def _bare(name: str) -> str:
    return name[name.rfind("/") + 1 :]


def _apart(name: str) -> tuple[list[str], str]:
    *folders, bare = name.split("/")
    return [folder for folder in folders if folder], bare


def _depth(written: Sequence[str], name: Sequence[str]) -> int:
    """How many folders agree, from the last one up; -1 where they contradict each other."""
    if _agree(written, name):
        return min(len(written), len(name))
    written, name = ([part for part in parts if not _NEUTRAL.fullmatch(part.lower())] for parts in (written, name))
    depth = min(len(written), len(name))
    return depth if _agree(written, name) and (depth or not written) else -1


def _agree(one: Sequence[str], other: Sequence[str]) -> bool:
    return all(a == b for a, b in zip(reversed(one), reversed(other), strict=False))


def _split(name: str) -> str | None:
    """Part of a split that the last folder of such a name says."""
    return next((split for part in reversed(_apart(name)[0]) if (split := split_of(part))), None)


# Forms of a bare name, each looser than the one before


def _as_written(name: str) -> str:
    return name


def _one_unicode_form(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _without_case(name: str) -> str:
    return name.lower() if name.isascii() else _one_unicode_form(_one_unicode_form(name).casefold())


def _unquoted(name: str) -> str:
    return _without_case(unquote(name)).strip() if "%" in name else _without_case(name).strip()


def _as_number(name: str) -> str:
    """Without the zeros that a spreadsheet adds or takes away."""
    plain = _unquoted(name)
    return _NUMBER.sub(r"\1", plain) if plain[:1].isdecimal() else plain


def _loosest(name: str) -> str:
    plain = without_extension(_unquoted(name))
    return _NUMBER.sub(r"\1", plain) if plain[:1].isdecimal() else plain


def _loosest_path(name: str) -> str:
    folders, bare = _apart(name)
    return "/".join([*map(_unquoted, folders), _loosest(bare)])


def _ends(path: str) -> Iterator[str]:
    """A path without its first folders, the longest end first, the bare name not among them."""
    parts = path.split("/")
    return ("/".join(parts[i:]) for i in range(len(parts) - 1))


def _levels() -> Iterable[tuple[Callable[[str], str], Callable[[str], str]]]:
    """Pairs of forms: of the name in the table, of that on the disk."""
    for form in (_as_written, _one_unicode_form, _without_case, _unquoted, _as_number):
        yield form, form
        yield form, lambda name, form=form: form(without_extension(name))  # type: ignore[misc]
    yield _loosest, _loosest


_LEVELS = tuple(_levels())
