"""What is clicked, as commands of plainfilm: what the page shows before anything runs is what runs."""

import getpass
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plainfilm import shell
from plainfilm.app.places import Places, name_like
from plainfilm.harmless import harmless
from plainfilm.serve.http_errors import Refused

RECIPES = {"quick": (), "paper": ("--recipe", "paper-mobilenet"), "hospitals": ("--recipe", "robust")}
_MAKES = {
    "ingest": "films.h5",
    "train": "run",
    "compare": "compare",
    "evaluate": "evaluate",
    "relabel": "doubts",
    "audit": "audit",
    "tune": "tune",
    "apply": "corrected.h5",
}
_EXPORTS = {"onnx": "model.onnx", "openvino": "model.xml", "keras": "model.keras", "tflite": "model.tflite"}
_PATH_LIKE = re.compile(r"(~|/|[A-Za-z]:[/\\]|\\)|(.*[/\\])?\.\.([/\\].*)?\Z", re.DOTALL)
_MOST_INPUTS = 64
DECIDED = "decided.csv"  # beside a relabel.csv: what was decided on the page


@dataclass(frozen=True, slots=True)
class Work:
    """Commands that make something in a project, as words after `plainfilm`, and what each makes."""

    project: str
    verb: str
    commands: Sequence[Sequence[str]]
    makes: Sequence[Path]

    @property
    def typed(self) -> list[str]:
        """Each command as it is typed into a shell."""
        return [shell.command(*words) for words in self.commands]


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes commands of what a page asks for.

    `claimed` gives paths that waiting work is going to make; `sources_of` how many sources are known of a store, or of folders as
    they were listed; `ingested` the words that a store was ingested by, if the app did it.
    """

    places: Places
    claimed: Callable[[], Collection[Path]]
    sources_of: Callable[[Sequence[Path]], int]
    ingested: Callable[[Path], Sequence[str] | None]

    def train(self, asked: Mapping[str, Any]) -> Work:
        """Make a training of a store, or of folders that are read into one before.

        Raises
        ------
        Refused
            Something in it cannot be meant.
        """
        recipe, options = asked.get("recipe") or "quick", _object(asked.get("options"))
        if not isinstance(recipe, str):
            raise Refused(
                400,
                "recipe",
                f"Expected the name of a recipe; received another. Choose {', '.join(RECIPES)}, or name one.",
            )
        if asked.get("store") is None:
            sources = self._inputs(asked.get("sources"))
            project = self._project(asked.get("project"), sources[0])
            reading = self._ingest(project, sources, asked.get("read"))
            store, known = reading.makes[0], self.sources_of(sources)
        else:
            store = self.places.inside(asked["store"])
            project, reading, known = self._project(asked.get("project"), store), None, self.sources_of([store])
        chosen = RECIPES[recipe] if recipe in RECIPES else self._options("train", {"recipe": recipe})
        folds = ("--folds", "source") if recipe == "hospitals" and known > 1 and "folds" not in options else ()
        made = self._free(project, _MAKES["train"])
        words = [
            "train",
            str(store),
            "--out",
            str(made),
            *chosen,
            *folds,
            *self._options("train", options),
        ]
        before = reading or Work(project, "train", [], [])
        return Work(project, "train", [*before.commands, words], [*before.makes, made])

    def job(self, asked: Mapping[str, Any]) -> Work:
        """Make any other command.

        Raises
        ------
        Refused
            Something in it cannot be meant.
        """
        verb, given = asked.get("verb"), _object(asked.get("options"))
        inputs = self._inputs(asked.get("inputs"))
        if not isinstance(verb, str) or verb not in {*_MAKES, "add", "export"}:
            raise Refused(
                400,
                "verb",
                f"Expected one of {', '.join([*_MAKES, 'add', 'export'])}; received {harmless(str(verb)[:40])}. Name one.",
            )
        project = self._project(asked.get("project"), inputs[0])
        match verb:
            case "ingest":
                return self._ingest(project, inputs, given)
            case "train":
                return self.train(
                    {"project": project, "store": str(inputs[0]), "options": given, "recipe": asked.get("recipe")}
                )
            case "add":
                return self._add(project, inputs, given)
            case "apply":
                return self._apply(project, inputs, given)
            case "export":
                return self._export(project, inputs, given)
            case _:
                made = self._free(project, _MAKES[verb])
                words = [verb, *map(str, inputs), "--out", str(made), *self._options(verb, given)]
                return Work(project, verb, [words], [made])

    def reading(self, sources: Any, given: Any) -> list[str]:
        """Give the words that list folders: of `ingest --dry-run`."""
        return ["ingest", *map(str, self._inputs(sources)), *self._options("ingest", given), "--dry-run"]

    def _ingest(self, project: str, sources: Sequence[Path], given: Any) -> Work:
        made = self._free(project, _MAKES["ingest"])
        words = ["ingest", *map(str, sources), "--out", str(made), *self._options("ingest", given)]
        return Work(project, "ingest", [words], [made])

    def _add(self, project: str, inputs: Sequence[Path], given: Any) -> Work:
        """Read the folders of a store again, and further ones, as they were read at first."""
        store, *more = inputs
        words = self.ingested(store)
        if words is None:
            if not more:
                raise Refused(
                    400,
                    "inputs",
                    f"Expected the folders of {store}; received none, and this app did not read them. Name them all.",
                )
            words = ["ingest", "--out", str(store), *self._options("ingest", given)]
        new = [str(each) for each in more if str(each) not in words]
        return Work(project, "add", [[words[0], *new, *words[1:], *([] if "--add" in words else ["--add"])]], [store])

    def _apply(self, project: str, inputs: Sequence[Path], given: Mapping[str, Any]) -> Work:
        stores = [each for each in inputs if not each.is_dir()]
        doubts = next((each for each in inputs if each.is_dir()), None)
        if not stores or doubts is None:
            raise Refused(
                400, "inputs", "Expected the doubtful labels and their store; received one of them. Name both."
            )
        table = doubts / DECIDED
        if not table.is_file():
            raise Refused(409, "undecided", "Expected a correction or more; received none. Decide about a film first.")
        by = given.get("by") if isinstance(given.get("by"), str) and str(given["by"]).strip() else _user()
        made = self._free(project, _MAKES["apply"])
        words = ["relabel", str(stores[0]), "--apply", str(table), "--by", str(by).strip(), "--out", str(made)]
        return Work(project, "apply", [words], [made])

    def _export(self, project: str, inputs: Sequence[Path], given: Mapping[str, Any]) -> Work:
        bundle = self._bundle(inputs[0])
        name = _EXPORTS.get(str(given.get("to", "onnx")), _EXPORTS["onnx"])
        made = self._free(project, name)
        options = self._options("export", {"to": "onnx", **given})
        return Work(project, "export", [["export", str(bundle), "--out", str(made), *options]], [made])

    def _bundle(self, path: Path) -> Path:
        return path / "model.plainfilm" if path.is_dir() else path

    def _project(self, name: object, source: Path) -> str:
        """Give the project that is named; else the one that an input lies in; else a new one, called like it."""
        if name is not None:
            return self.places.project(name).name
        if source.is_relative_to(self.places.work) and source != self.places.work:
            return source.relative_to(self.places.work).parts[0]
        try:
            taken = [entry.name for entry in os.scandir(self.places.work)]
        except OSError:
            taken = []
        taken += [path.parent.name for path in self.claimed()]
        return name_like(source.name if source.is_dir() else source.stem, taken)

    def _free(self, project: str, name: str) -> Path:
        """Give a path in a project that is not there, and that no work that waits is going to make."""
        folder, claimed = self.places.project(project), set(self.claimed())
        stem, dot, suffix = name.partition(".")
        names = (name, *(f"{stem}-{number}{dot}{suffix}" for number in range(2, 10_000)))
        return next(path for each in names if not os.path.lexists(path := folder / each) and path not in claimed)

    def _inputs(self, given: Any) -> list[Path]:
        if not isinstance(given, list) or not 0 < len(given) <= _MOST_INPUTS:
            raise Refused(
                400,
                "inputs",
                f"Expected 1 to {_MOST_INPUTS} folders or files; received another number. Choose a folder.",
            )
        return [self.places.inside(each) for each in given]

    def _options(self, verb: str, given: Any) -> list[str]:
        if not (options := _object(given)):
            return []
        from plainfilm.app import declared  # a tenth of the time until the first page

        known = declared.of(verb)
        words = list[str]()
        for name, value in options.items():
            if name not in known:
                raise Refused(
                    400,
                    "option",
                    f"Expected an option of plainfilm {verb}; received {harmless(str(name)[:40])}. Leave it out.",
                )
            option = known[name]
            words += option.words(value if option.is_pattern else self._below(value, is_path=option.kind == "path"))
        return words

    def _below(self, value: Any, *, is_path: bool) -> Any:
        """Hold what a value names against ROOT: a path, or a text that begins like one."""
        if isinstance(value, list):
            return [self._below(each, is_path=is_path) for each in value]
        if not isinstance(value, str) or not value:
            return value
        return str(self.places.inside(value)) if is_path else self._checked(value)

    def _checked(self, text: str) -> str:
        key, sign, value = text.rpartition("=")
        return f"{key}{sign}{self.places.inside(value)}" if _PATH_LIKE.match(value) else text


def _object(given: Any) -> dict[str, Any]:
    if given is not None and not isinstance(given, dict):
        raise Refused(400, "options", "Expected options by their names; received another value. Send an object.")
    return given or {}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "app"
