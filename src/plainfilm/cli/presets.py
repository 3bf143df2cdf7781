"""`plainfilm presets`."""


def presets() -> None:
    """List the public data sets that `plainfilm ingest --preset` knows."""
    from plainfilm.cli import tables, terminal
    from plainfilm.data.cataloguing.presets import PRESETS

    rows = [
        {
            "preset": preset.name,
            "images": f"{preset.images:,}",
            "size": preset.size,
            "licence": preset.licence,
            "labels": "findings" if preset.several else "classes",
        }
        for preset in PRESETS
    ]
    terminal.say(
        tables.of(rows, columns=list(rows[0])),
        "",
        *(f"{preset.name}: {preset.title}. {preset.note}" for preset in PRESETS),
        "",
        "Read one: plainfilm ingest FOLDER --preset nih14 --out nih.h5",
        "One finding alone: --label-of Effusion",
        "Tables, sources, and which sets hold each other: docs/datasets.md",
    )
