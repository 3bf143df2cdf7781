"""The files of a page as they lie in a package's `page/`, read once. Light: the app imports it before its first answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.responses import Response

from plainfilm import NOTICE
from plainfilm.serve.http_errors import Refused

_TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "json": "application/json",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFiles:
    """Files by their names below the folder, each with its type."""

    found: Mapping[str, tuple[str, bytes]]

    @classmethod
    def of(cls, package: str) -> "PageFiles":
        """Read those of a package."""
        return cls(_read(files(package) / "page"))

    def answer(self, name: str, headers: Mapping[str, str] | None = None) -> Response:
        """Give one.

        Raises
        ------
        Refused
            404 where there is none of that name.
        """
        if name not in self.found:
            raise Refused(404, "not-found", "Expected a file of the page; received another name. Open / instead.")
        kind, content = self.found[name]
        return Response(content, headers=headers, media_type=kind)


def _read(folder: Traversable, below: str = "") -> dict[str, tuple[str, bytes]]:
    found = dict[str, tuple[str, bytes]]()
    for entry in folder.iterdir():
        if entry.is_dir():
            found |= _read(entry, f"{below}{entry.name}/")
        elif (kind := entry.name.rpartition(".")[2]) in _TYPES:
            content = entry.read_bytes()
            found[below + entry.name] = (
                _TYPES[kind],
                content.replace(b"NOTICE", NOTICE.encode()) if kind == "html" else content,
            )
    return found
