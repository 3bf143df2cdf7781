"""SOURCES as the user names them -> collections: each a folder or an archive that is there, no folder inside another."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from plainfilm.data.cataloguing.asked import Asked
from plainfilm.data.cataloguing.collection import Collection, read_collection
from plainfilm.data.places.place import Archived, Folder, Place, is_written
from plainfilm.data.spelling import did_you_mean
from plainfilm.errors import CatalogError
from plainfilm.reasons import reason_of


def read_sources(
    sources: Sequence[Path], asked: Asked, seen: Callable[[str], None] = lambda _: None
) -> list[Collection]:
    """List the radiographs of each SOURCE; `seen` is called with the name of each file below it as it is met.

    Raises
    ------
    CatalogError
        There is none, one is not there or is no folder and no archive, or two share images.
    """
    real = _real(sources)
    return [
        read_collection(
            _place(source),
            asked,
            name=asked.preset.title if asked.preset else _name_of(path),
            prefix=f"{name}/" if len(real) > 1 else "",
            seen=seen,
        )
        for source, path, name in zip(sources, real, _unique_names(real), strict=True)
    ]


def listing(sources: Sequence[Path]) -> Iterator[tuple[str, str, int, int]]:
    """Give all files of each SOURCE as they are now: the SOURCE's name, theirs below it, bytes and time of change in ns.

    Of an archive itself; -1 and 0 for what cannot be looked at.

    Raises
    ------
    CatalogError
        As `read_sources`.
    """
    real = _real(sources)
    for source, name in zip(sources, _unique_names(real), strict=True):
        place = Folder(source) if source.is_dir() else None
        for file in place.files() if place else ("",):
            try:
                status = (source / file).stat()
            except OSError:
                yield name, file, -1, 0
            else:
                yield name, file, status.st_size, status.st_mtime_ns


def _real(sources: Sequence[Path]) -> list[Path]:
    """Check that each SOURCE is there and shares no images with another; give where they lie."""
    if not sources:
        raise CatalogError(
            "Expected at least one SOURCE; received none. Name the folder or archive of your radiographs."
        )
    for source in sources:
        _check_source(source)
    real = [source.resolve() for source in sources]
    places = {one: place for place, one in reversed(list(enumerate(real)))}
    for place, one in enumerate(real):
        # An archive in a folder is passed over when that is listed.
        around = next((above for above in one.parents if above in places and one.is_dir()), one)
        if places[around] != place:
            first, second = sorted((place, places[around]))
            raise CatalogError(
                f"Expected separate SOURCES; received {real[first]} and {real[second]}, which share images. Name one."
            )
    return real


def _name_of(path: Path) -> str:
    return (path.name if path.is_dir() else path.stem.removesuffix(".tar")) or "images"


def _place(source: Path) -> Place:
    if source.is_dir():
        return Folder(source)
    from plainfilm.data.places.archives import open_archive

    return Archived(open_archive(source), source)


def _check_source(source: Path) -> None:
    try:
        if source.is_dir():
            _check_own(source)
            return
        if _is_archive(source):
            return
        is_there = source.exists()
    except OSError as error:
        raise CatalogError(
            f"Expected a folder or archive of radiographs; received {source} ({reason_of(error)}). Check its name and permissions."
        ) from error
    if is_there:
        raise CatalogError(
            f"Expected a folder of radiographs, or a zip or tar of one; received the file {source}. Name the folder that holds it."
        )
    meant = did_you_mean(source.name, _beside(source))
    raise CatalogError(
        f"Expected a folder or archive of radiographs; received {source}, which does not exist. {meant}Check the path."
    )


def _check_own(folder: Path) -> None:
    if is_written(lambda name: (folder / name).is_file()):
        raise CatalogError(
            f"Expected a folder of radiographs; received {folder}, which a command of plainfilm wrote. Name the radiographs or their store."
        )


def _is_archive(source: Path) -> bool:
    from plainfilm.data.places.archives import is_archive

    return is_archive(source)


def _beside(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return []


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """Shortest ends of the paths, all of the same depth, no two alike."""
    names: list[str] = []
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]).strip("/") for path in paths]
        if len(set(names)) == len(names):
            break
    return names
