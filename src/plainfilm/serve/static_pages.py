"""What people see in a browser: the page's files as they lie in `page/`, and the model card as a page."""

import html
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files

from fastapi import FastAPI, Response
from markdown_it import MarkdownIt

from plainfilm import NOTICE
from plainfilm.serve.http_errors import Refused

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Pages:
    """Static files by name, each with its type; all read once."""

    static: dict[str, tuple[str, bytes]]

    @classmethod
    def read(cls) -> "Pages":
        """Read the page's files."""
        folder = files("plainfilm.serve") / "page"
        static = {
            entry.name: (_TYPES[kind], entry.read_bytes().replace(b"NOTICE", NOTICE.encode()))
            for entry in folder.iterdir()
            if (kind := entry.name.rpartition(".")[2]) in _TYPES
        }
        return cls(static)

    def add_to(self, app: FastAPI) -> None:
        """Add the routes."""
        app.get("/", include_in_schema=False)(self._named("index.html"))
        app.get("/page/{name}", include_in_schema=False)(self._file)

    def _named(self, name: str) -> Callable[[], Awaitable[Response]]:
        async def page() -> Response:
            return await self._file(name)

        return page

    async def _file(self, name: str) -> Response:
        if name not in self.static:
            raise Refused(404, "not-found", "Expected a file of the page; received another name. Open / instead.")
        kind, content = self.static[name]
        return Response(content, media_type=kind)


def card_page(card: str, root: str = "") -> bytes:
    """Render Markdown of a bundle, which may be anyone's: HTML in it is shown as text. `root` stands before the page's links."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(card)
    for token in tokens:
        token.attrs.pop("style", None)  # the alignment of a cell; the page allows no style inside it
        if token.type == "table_open":
            token.attrs["tabindex"] = "0"  # a wide one is scrolled by the keyboard, too
    body = markdown.renderer.render(tokens, markdown.options, {})
    title = html.escape(card.lstrip("# ").partition("\n")[0] or "Model card")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>{title}</title><link rel="icon" href="{root}/page/icon.svg" type="image/svg+xml">'
        f'<link rel="stylesheet" href="{root}/page/base.css"><link rel="stylesheet" href="{root}/page/page.css"></head>'
        f'<body class="card"><header class="notice">{NOTICE}</header><main>{body}</main></body></html>'
    ).encode()
