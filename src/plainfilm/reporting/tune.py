"""The folder of a search: trials.csv, tuning.json, tuning.html, best.toml, figures/, written from the trials so far."""

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plainfilm.data.files import written_whole
from plainfilm.evidence.tuning.results import Searched
from plainfilm.model.trials import Tried
from plainfilm.reporting import tune_page

_COLUMNS = (
    "trial",
    "state",
    "recipe",
    "log_loss",
    "standard_error",
    "accuracy",
    "auroc",
    "kept_epoch",
    "epochs",
    "seconds",
)


def write(searched: Searched) -> dict[str, Any]:
    """Write all files anew, each whole or not at all, and return what stands in tuning.json.

    Raises
    ------
    RecipeError
        No trial ran to its end.
    """
    folder, results = searched.folder, _results(searched)
    _put(folder / "tuning.json", json.dumps(results, indent=1) + "\n")
    _put(folder / "best.toml", _best(searched))
    _write_table(searched, folder / "trials.csv")
    tune_page.write(searched)
    return results


def _put(path: Path, text: str) -> None:
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="replace")


def _results(searched: Searched) -> dict[str, Any]:
    best, ends = searched.best, searched.states
    return {
        "best": _as_dict(best) | {"settings": searched.space.settings(best.chosen)},
        "starts": [_as_dict(each) for each in searched.known],
        "trials": {
            "asked": searched.asked,
            "in_all": len(searched.tried),
            "stopped_early": ends["stopped early"],
            "diverged": ends["diverged"],
        },
        "within_one_standard_error": searched.alike,
        "importances": [{"title": tune_page.word(each.name), **asdict(each)} for each in searched.importances],
        "measure": "log loss of calibrated probabilities",
        "scored": {"radiographs": searched.scored, "folds": searched.folds},
        "worth": f"{searched.worth} {searched.alike_sentence}",
        "interrupted": searched.interrupted,
        "seconds": searched.seconds,
        "data": {"store": searched.store.path.name, "fingerprint": searched.store.fingerprint},
        "next": searched.then,
    }


def _as_dict(tried: Tried) -> dict[str, Any]:
    return {
        "trial": tried.number,
        "state": tried.state,
        "recipe": tried.name,
        "log_loss": tried.score,
        "standard_error": tried.error,
        "accuracy": tried.accuracy,
        "auroc": tried.auroc,
        "kept_epoch": " ".join(map(str, tried.kept)),
        "epochs": tried.epochs,
        "seconds": round(tried.seconds, 2),
        "chosen": dict(tried.chosen),
    }


def _write_table(searched: Searched, path: Path) -> None:
    names = [name for name in searched.space.names() if any(name in each.chosen for each in searched.tried)]
    with written_whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*_COLUMNS, *names])
        for each in searched.tried:
            values = _as_dict(each)
            writer.writerow([*(values[name] for name in _COLUMNS), *(each.chosen.get(name) for name in names)])


def _best(searched: Searched) -> str:
    """Write the best recipe under the command that uses it and the number it gave."""
    told = f"Validation log loss {searched.best.score:.4f}. {searched.worth}"
    command = "".join(letter if letter.isprintable() else "?" for letter in searched.then)
    return f"# {told}\n#   {command}\n{searched.recipe(searched.best).to_toml()}"
