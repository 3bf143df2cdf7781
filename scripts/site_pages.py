"""Hooks of MkDocs: the site has pages that no file of docs/ holds, written from the parser and the docstrings.

Files that live elsewhere in the repository (README, CHANGELOG, cards of networks) become pages; links between them hold in both places.
"""

import inspect
import posixpath
import re
import tomllib
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

import plainfilm
from plainfilm.cli import app
from plainfilm.evidence.inference import predictor
from plainfilm.workflows import verb

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {
    "README.md": "index.md",
    **{f"{name}.md": f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY")},
    **{f"src/plainfilm/model/{name}.md": f"card-{name}.md" for name in ("lungs", "objects", "view")},
    "CITATION.cff": "CITATION.cff",
}
SOURCE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Source"]
REPOSITORY = f"{SOURCE}/blob/main/"
_RAW = f"{SOURCE.replace('github.com', 'raw.githubusercontent.com')}/main/"
_ADDRESS = re.compile(f"{re.escape(REPOSITORY)}|{re.escape(_RAW)}")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def api() -> str:
    """A section a public name, and one a type that they give, which mkdocstrings fills from the docstrings."""
    public = [getattr(plainfilm, name) for name in plainfilm.__all__ if not name.startswith("_")]
    parts = ["# Python", "What `import plainfilm` gives, and below it the types that its functions give back."]
    for value in public:
        parts += [f"## plainfilm.{value.__name__}", _described(value)]
    for value in (verb.Run, predictor.Predictor, predictor.Predictions):
        parts += [f"## {value.__name__}", _described(value)]
    return "\n\n".join(parts)


def _described(value: Any) -> str:
    if isinstance(value, type):
        return f"::: {value.__module__}.{value.__name__}"
    # Verbs are made by `verb`: only a running Python knows their arguments, which mkdocstrings does not see.
    arguments = ", ".join(inspect.signature(value).parameters)
    return f"```python\n{value.__name__}({arguments})\n```\n\n```text\n{inspect.getdoc(value)}\n```"


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are written here, and the files from elsewhere."""
    made = {"command-line.md": command_line(), "api.md": api()}
    made |= {page: (ROOT / source).read_text(encoding="utf-8") for source, page in ELSEWHERE.items()}
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Point links as they stand in the repository to pages of the site."""
    sources = {target: source for source, target in ELSEWHERE.items()}
    at = posixpath.dirname(sources.get(page.file.src_uri, f"docs/{page.file.src_uri}"))
    if page.file.src_uri == "index.md":  # README's links are absolute, so that they hold on a package index
        markdown = _ADDRESS.sub("", markdown)
    return _LINK.sub(lambda found: f"]({_page_of(posixpath.normpath(posixpath.join(at, found[1])))}", markdown)


def _page_of(path: str) -> str:
    if path.startswith("notebooks/"):
        return REPOSITORY + path
    return ELSEWHERE.get(path, path.removeprefix("docs/"))


def command_line() -> str:
    """Every command and flag, as the parser knows them."""
    text = app.generate_docs(output_format="markdown")
    contents = re.compile(r"## Table of Contents.*?(?=\*\*Commands)", re.DOTALL)  # the site has its own
    return contents.sub("", text).replace("# plainfilm", "# Every command and flag", 1)
