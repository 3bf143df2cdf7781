"""Writes the parts of the docs that say what the code says. Write: python scripts/write_docs.py.

A page has one such part, between the lines BEGIN and END. A new one is a line in GENERATED.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from plainfilm.model.recipe_schema import KEYS, KINDS, Recipe, RecipeKey

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- written by scripts/write_docs.py -->", "<!-- end of what is written -->"


def recipe_keys() -> str:
    """A table a section of a recipe, a row a key."""
    default = Recipe()
    sections = {each.name: getattr(default, each.name) for each in dataclasses.fields(Recipe) if not each.metadata}
    parts = [_section("Top of the file", "Before the first section.", "")]
    parts += [_section(f"`[{name}]`", section.__doc__, name) for name, section in sections.items()]
    return "\n\n".join(parts)


def _section(title: str, about: str, name: str) -> str:
    rows = [_row(key) for key in KEYS.values() if key.key.rpartition(".")[0] == name]
    head = ["| key, flag | type | default | range or choices | meaning |", "|---|---|---|---|---|"]
    return "\n".join([f"### {title}", "", about, "", *head, *rows])


def _row(key: RecipeKey) -> str:
    names = ", ".join(f"`{name}`" for name in (key.key, key.flag) if name)
    default = f"`{key.shown_default}`" if key.shown_default else ""
    kind = KINDS[key.kind].removeprefix("a ")
    return "| " + " | ".join([names, kind, default, key.allowed, key.meaning]) + " |"


GENERATED: Mapping[str, Callable[[], str]] = {"docs/recipes.md": recipe_keys}


def written(page: str) -> str:
    """Text of a page of GENERATED, its part written anew."""
    before, _, rest = (ROOT / page).read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{GENERATED[page]()}\n\n{END}{after}"


if __name__ == "__main__":
    for page in GENERATED:
        (ROOT / page).write_text(written(page), encoding="utf-8")
