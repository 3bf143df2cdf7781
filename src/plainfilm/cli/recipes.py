"""`plainfilm recipes`."""


def recipes(name: str | None = None) -> None:
    """List the recipes that `plainfilm train --recipe` knows, or show one in full.

    Parameters
    ----------
    name
        One of them, or a TOML file: every key with its value.
    """
    from plainfilm.cli import terminal
    from plainfilm.model import recipes as known

    if name is not None:
        terminal.say(*_whole(name))
        return
    wide = max(map(len, known.names()))
    terminal.say(
        *(f"{each:<{wide}}  {known.load(each).description}" for each in known.names()),
        "",
        "One in full: plainfilm recipes NAME. Train with it: plainfilm train FOLDER --recipe NAME --out run",
        "Every key: docs/recipes.md",
    )


def _whole(name: str) -> list[str]:
    """Give what a recipe's file says above its keys, and all keys with their values."""
    from plainfilm.model import recipes as known

    recipe, written = known.load(name), "" if name.endswith(".toml") else known.shipped(name)
    return [*(line for line in written.splitlines() if line.startswith("#")), recipe.to_toml().rstrip()]
