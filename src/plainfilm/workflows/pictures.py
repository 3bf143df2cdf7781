"""Pictures of radiographs for people to look at: of files and members of archives as they lie, and of stores; lines of text are covered."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plainfilm.data import images
from plainfilm.data.burned_text import covered
from plainfilm.data.decoder_pool import Decoders
from plainfilm.data.places.archives import Archive, is_archive, open_archive
from plainfilm.data.store import Store
from plainfilm.errors import ImageError, StoreError
from plainfilm.harmless import harmless

_LOOKED_AT_PX = 1024  # text is looked for before a picture shrinks
_Mark = tuple[Path, int, int]


class Pictures:
    """Makes pictures, one at a time. Files are decoded in a process that they may kill; one archive and one store stay open."""

    def __init__(self) -> None:
        self._decoders = Decoders(1)
        self._archive: tuple[_Mark, Archive] | None = None
        self._store: tuple[_Mark, Store] | None = None

    def of_file(self, path: Path, *, longest_px: int) -> bytes:
        """Draw a file, or a member by its path below its archive, as PNG in its proportions.

        Raises
        ------
        ImageError, CatalogError
            It cannot be read: one line says why.
        """
        shown = self._decoders.displayed(self._bytes(path), longest_px=_LOOKED_AT_PX)
        if isinstance(shown, ImageError):
            raise shown
        return _png(covered(shown), longest_px)

    def of_store(self, store: Path, *, sha256: str = "", file: str = "", longest_px: int) -> bytes:
        """Draw a radiograph of a store, found by the SHA-256 of its file, or by its name as a table shows it.

        Raises
        ------
        StoreError
            It is no store, or has no such radiograph.
        """
        opened = self._opened(store)
        if sha256:
            rows = np.flatnonzero(opened.sha256 == sha256)
        else:
            rows = np.array([row for row, name in enumerate(opened.file.tolist()) if harmless(name) == file], np.int64)
        if not len(rows):
            raise StoreError(
                f"Expected a radiograph of {store}; received one that it lacks. Look for doubtful labels anew."
            )
        return _png(opened.pictures(rows[:1])[0], longest_px)

    def close(self) -> None:
        """End the process, and close what is open."""
        self._decoders.close()
        if self._store is not None:
            self._store[1].close()

    def _bytes(self, path: Path) -> bytes:
        if path.exists():
            return images.bytes_of(path)
        for above in path.parents:
            if above.is_file() and is_archive(above):
                mark = _mark(above)
                if self._archive is None or self._archive[0] != mark:
                    self._archive = (mark, open_archive(above))
                try:
                    return self._archive[1].read(path.relative_to(above).as_posix())
                except (OSError, KeyError) as error:
                    raise images.unreadable(
                        error if isinstance(error, OSError) else OSError(2, "No such file")
                    ) from error
        return images.bytes_of(path)

    def _opened(self, store: Path) -> Store:
        mark = _mark(store) if store.exists() else (store, 0, 0)
        if self._store is None or self._store[0] != mark:
            if self._store is not None:
                self._store[1].close()
                self._store = None
            self._store = (mark, Store(store))
        return self._store[1]


def _mark(path: Path) -> _Mark:
    status = path.stat()
    return path, status.st_mtime_ns, status.st_size


def _png(gray: NDArray[np.uint8], longest_px: int) -> bytes:
    image, file = Image.fromarray(gray), io.BytesIO()
    image.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()
