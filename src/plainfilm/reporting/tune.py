"""The folder of a search: trials.csv, tuning.json, tuning.html, best.toml, figures/, tables/, requirements.lock, written from the trials so far."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from plainfilm.data.files import written_whole
from plainfilm.evidence.tuning.summary import SearchSummary
from plainfilm.harmless import write_table
from plainfilm.reporting import environment, paper_tables, tune_page
from plainfilm.results import documents
from plainfilm.results.search import TrialResult


def write(folder: Path, summary: SearchSummary, *, command: str, formats: Sequence[str] = ()) -> None:
    """Write all files anew, each whole or not at all; figures in other `formats` beside PNG."""
    _put(folder / "tuning.json", documents.encode(summary.result, indent=1))
    _put(folder / "best.toml", _best(summary).encode("utf-8", errors="replace"))
    _write_table(summary, folder / "trials.csv")
    if not (folder / environment.LOCK).exists():
        environment.write_lock(folder)
    paper_tables.of_search(folder, summary.result, summary.trials)
    tune_page.write(folder, summary, command=command, formats=formats)


def _put(path: Path, content: bytes) -> None:
    with written_whole(path) as partial:
        partial.write_bytes(content)


def _write_table(summary: SearchSummary, path: Path) -> None:
    with written_whole(path) as partial:
        write_table(partial, _trials(summary))


def _trials(summary: SearchSummary) -> Iterator[Sequence[object]]:
    columns = [name for name in TrialResult.__struct_encode_fields__ if name not in {"chosen", "sources"}]
    sources = summary.result.scored.sources
    names = [name for name in summary.space.names() if any(name in each.chosen for each in summary.trials)]
    yield [*columns, *(f"auroc {name}" for name in sources), *names]
    for each in summary.trials:
        values = documents.plain(each)
        areas = [(each.sources or {}).get(name) for name in sources]
        yield [*(values[name] for name in columns), *areas, *(each.chosen.get(name) for name in names)]


def _best(summary: SearchSummary) -> str:
    """Write the best recipe under the command that uses it and the number it gave."""
    best, then = summary.result.best, summary.result.next_command
    command = "".join(letter if letter.isprintable() else "?" for letter in then)
    return f"# {summary.score} {best.log_loss:.4f}. {summary.worth}\n#   {command}\n{summary.recipe(best).to_toml()}"
