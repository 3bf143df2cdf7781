"""Hooks of MkDocs: the site has pages that no file of docs/ holds, written from the parser and the docstrings.

Files that live elsewhere in the repository (README, CHANGELOG, cards of networks) become pages; links between them hold in both places.
"""

import posixpath
import re
import tomllib
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

import plainfilm
from plainfilm.cli.application import app
from plainfilm.evidence.inference import predictor
from plainfilm.workflows import verb

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {
    "README.md": "index.md",
    **{f"{name}.md": f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY")},
    **{f"src/plainfilm/model/{name}.md": f"card-{name}.md" for name in ("lungs", "objects", "view")},
    "CITATION.cff": "CITATION.cff",
    **{f"scripts/site/{name}": f"assets/{name}" for name in ("iframe-worker.js", "site.css", "site.js")},
}
SOURCE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Source"]
REPOSITORY = f"{SOURCE}/blob/main/"
_RAW = f"{SOURCE.replace('github.com', 'raw.githubusercontent.com')}/main/"
_ADDRESS = re.compile(f"{re.escape(REPOSITORY)}|{re.escape(_RAW)}")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
_NO_HEADINGS = re.compile(r"<thead>\s*<tr>(?:\s*<th></th>)+\s*</tr>\s*</thead>")
_NAMED_BY_FILE = re.compile(r"\[(?:docs/)?(\w+\.md)\](?=\()")


def api() -> str:
    """A section a public name, and one a type that they give, which mkdocstrings fills from the docstrings."""
    public = [getattr(plainfilm, name) for name in plainfilm.__all__ if not name.startswith("_")]
    parts = ["# Python", "What `import plainfilm` gives, and below it the types that its functions give back."]
    parts += [_section(f"plainfilm.{value.__name__}", value) for value in public]
    parts += [_section(value.__name__, value) for value in (verb.Run, predictor.Predictor, predictor.Predictions)]
    return "\n\n".join(parts)


def _section(title: str, value: Any) -> str:
    return f"::: {value.__module__}.{value.__name__}\n    options: {{heading: {title}, toc_label: {title}}}"


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are written here, and the files from elsewhere."""
    made = {"command-line.md": command_line(), "api.md": api()}
    made |= {page: (ROOT / source).read_text(encoding="utf-8") for source, page in ELSEWHERE.items()}
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Point links as they stand in the repository to pages of the site; one that shows a file's name shows the page's."""
    titles = {name: title for section in config.nav for title, name in _named(section)}
    sources = {target: source for source, target in ELSEWHERE.items()}
    at = posixpath.dirname(sources.get(page.file.src_uri, f"docs/{page.file.src_uri}"))
    if page.file.src_uri == "index.md":  # README's links are absolute, so that they hold on a package index
        markdown = _ADDRESS.sub("", markdown)
    markdown = _NAMED_BY_FILE.sub(lambda found: f"[{titles.get(found[1], found[1])}]", markdown)
    return _LINK.sub(lambda found: f"]({_page_of(posixpath.normpath(posixpath.join(at, found[1])))}", markdown)


def _named(section: dict[str, Any]) -> list[tuple[str, str]]:
    """Titles and pages below an entry of the navigation."""
    return [
        pair
        for title, below in section.items()
        for pair in (
            [(title, below)] if isinstance(below, str) else [each for inner in below for each in _named(inner)]
        )
    ]


def on_page_content(html: str, **_: Any) -> str:
    """A table's corner without a text is no heading, and a row of such headings is none."""
    return _NO_HEADINGS.sub("", html).replace("<th></th>", "<td></td>")


def _page_of(path: str) -> str:
    if path.startswith("notebooks/"):
        return REPOSITORY + path
    return ELSEWHERE.get(path, path.removeprefix("docs/"))


def command_line() -> str:
    """Every command and flag, as the parser knows them."""
    text = app.generate_docs(output_format="markdown")
    contents = re.compile(r"## Table of Contents.*?(?=\*\*Commands)", re.DOTALL)  # the site has its own
    return contents.sub("", text).replace("# plainfilm", "# Every command and flag", 1)
