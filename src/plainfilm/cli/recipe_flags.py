"""Flags that are short for keys of the recipe; type, range, default and text of each come from `recipe_schema.KEYS`."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from plainfilm.model.recipe_schema import KEYS, RecipeKey
from plainfilm.workflows.options import RECIPE

_FLAGGED = {
    each.flag.removeprefix("--").replace("-", "_"): each
    for each in sorted(KEYS.values(), key=lambda key: "." not in key.key)  # the seed last
    if each.flag
}


def _help(key: RecipeKey) -> str:
    default = f"default {key.shown_default}" if key.shown_default else ""
    about = "; ".join(filter(None, (key.allowed, default)))
    return f"{key.meaning} [{': '.join(filter(None, (key.key, about)))}]"


def _field(name: str, key: RecipeKey) -> tuple[str, Any, Any]:
    def read(_: Any, tokens: Sequence[Any]) -> Any:
        from plainfilm.model import recipes

        return recipes.checked(key.key, tokens[-1].value)

    kind = Literal[key.choices] if key.choices else key.kind
    about = Parameter(help=_help(key), converter=read, show_choices=False, group=RECIPE)
    return name, Annotated[kind | None, about], None


_Flags: Any = dataclasses.make_dataclass(
    "_Flags", [_field(*each) for each in _FLAGGED.items()], frozen=True, kw_only=True
)


class RecipeFlags(_Flags):  # type: ignore[misc]  # its fields are known only to the schema
    """The flags that were given, each checked and in the type of its key; None for those that were not.

    A flag that cannot be meant raises RecipeError while the command line is read.
    """


NO_FLAGS = RecipeFlags()


def recipe_settings(flags: RecipeFlags) -> dict[str, Any]:
    """Give the flags that were given as settings for `recipes.load`, by the keys of the recipe."""
    chosen = {key.key: getattr(flags, name) for name, key in _FLAGGED.items()}
    return {key: value for key, value in chosen.items() if value is not None}
