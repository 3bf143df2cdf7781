"""`plainfilm presets`."""


def presets() -> None:
    """List the public data sets that `plainfilm ingest --preset` knows."""
    from plainfilm.cli import terminal
    from plainfilm.data.cataloguing.presets import PRESETS

    rows = [
        {
            "preset": preset.name,
            "data set": preset.title,
            "tables": ", ".join((*preset.tables, *(name for join in preset.joins for name in join.files))),
            "--label-of": "needed" if preset.several else "",
        }
        for preset in PRESETS
    ]
    terminal.say(terminal.rows(rows, columns=list(rows[0])))
    terminal.say("", "Each with its licence, size and command: docs/datasets.md.")
