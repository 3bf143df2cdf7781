"""`plainfilm PATH`: what is there, and the one command to type next."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from plainfilm import shell
from plainfilm.cli.ingested import free_name, show_listed
from plainfilm.cli.options import FLAT, places_first
from plainfilm.data.files import cache_folder
from plainfilm.errors import UsageError
from plainfilm.results.pages import PAGES
from plainfilm.workflows.options import IngestOptions, StoringOptions

_PAGES = {told: page for verb, (told, page) in PAGES.items() if verb != "train"}  # whose own is told in words


@places_first
@dataclass(frozen=True, slots=True)
class Options(StoringOptions):
    r"""How folders are read, as for `ingest`; any number of them stands first.

    Parameters
    ----------
    paths
        Folders or archives of radiographs; or a store, a run folder, a bundle.
    """

    paths: Annotated[list[Path], Parameter(metavar="PATH")] = field(kw_only=False)


def look(options: Annotated[Options, FLAT]) -> None:
    """Say what a folder of radiographs, a store, a run or a bundle holds, and the one command to type next; `plainfilm PATH` is short for it."""
    from plainfilm.cli import terminal
    from plainfilm.data.places.archives import is_archive
    from plainfilm.workflows import info, stored

    first, *others = options.paths
    pages = [page for name, page in _PAGES.items() if _is_file(first / name) and _is_file(first / page)]
    if pages and not others:
        _show_page(first / pages[0])
    elif not others and first.is_file() and stored.is_to_read(first) and not is_archive(first):
        raise UsageError(_passed_by(first))
    elif not others and (_is_known_folder(first) or not stored.is_to_read(first)):
        found = info.describe(first)
        terminal.say(*terminal.outline(found), "", _following(found, first))
    else:
        _show_radiographs(options)


def _passed_by(file: Path) -> str:
    """Say of a file that is neither an archive, a store nor a bundle where it belongs."""
    folder = file.parent
    if _is_known_folder(folder) or any(_is_file(folder / page) for page in _PAGES.values()):
        then = f"It is part of a run: {shell.command(folder)}"
    elif file.suffix.lower() in {".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".parquet"}:
        then = f"A table of labels goes with its folder: {shell.command(folder, '--labels', file)}"
    else:
        then = f"Name the folder that holds it; a trained classifier answers for a file: {shell.command('predict', 'RUN', file)}"
    return f"Expected a folder or an archive of radiographs, a store (.h5), a bundle (.plainfilm) or a run folder; received the file {file}. {then}"


def _is_file(path: Path) -> bool:
    """Whether a file is there, as far as its folder may be looked into."""
    try:
        return path.is_file()
    except OSError:
        return False


def _is_known_folder(path: Path) -> bool:
    return _is_file(path / "metrics.json") or (path.is_dir() and path.resolve() == cache_folder().resolve())


def _show_page(page: Path) -> None:
    from plainfilm.cli import terminal
    from plainfilm.results import documents
    from plainfilm.results.search import Search

    terminal.say(f"Open {page}")
    if page.name == _PAGES["tuning.json"]:
        told = page.with_suffix(".json")
        found = documents.decode(told.read_bytes(), Search, told)
        terminal.say("", terminal.Typed(f"Next: {found.next_command}"))


def _show_radiographs(options: Options) -> None:
    from plainfilm.cli import terminal
    from plainfilm.workflows import ingest, stored

    if stores := [path for path in options.paths if not stored.is_to_read(path)]:
        raise UsageError(
            f"Expected folders and archives, or one store, run or bundle; received {stores[0]} among others. Name it alone."
        )
    shared = {name: getattr(options, name) for name in StoringOptions.__dataclass_fields__}
    words = sys.argv[2:] if sys.argv[1] == "look" else sys.argv[1:]
    following = terminal.following("train", *words, "--out", free_name("run"))
    show_listed(ingest.listed(IngestOptions(options.paths, "", **shared)), following, as_json=False)


def _following(found: Mapping[str, Any], path: Path) -> Any:
    """Give the command that comes after what was found."""
    from plainfilm.cli import terminal

    if found["kind"] == "store":
        return terminal.following("train", path, "--out", free_name("run"))
    if found["kind"] in {"bundle", "run"}:
        return terminal.following("predict", path, "FILE")
    return ""
