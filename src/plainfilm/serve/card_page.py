"""The model card as a page."""

import html

from markdown_it import MarkdownIt

from plainfilm import NOTICE


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
