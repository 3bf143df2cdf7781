"""What several verbs check before they begin."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from plainfilm.data import claims, class_names, files
from plainfilm.data.cataloguing import combinations
from plainfilm.errors import RecipeError, StoreError, UsageError
from plainfilm.extras import require
from plainfilm.harmless import harmless
from plainfilm.model import backbones, bfloat16
from plainfilm.model.hub.folder import UNSTATED
from plainfilm.model.onnx_safety.check import MOST_BYTES
from plainfilm.model.recipe_schema import Recipe, parse_blocks
from plainfilm.reporting.figures import canvas
from plainfilm.results.manifest import MOST_LETTERS, Preprocessing
from plainfilm.results.task import Task

LEAST_SIDE = 256  # px, that a store keeps unless it is told otherwise
MOST_FINDINGS = 40  # each has metrics and probes of its own
MOST_CLASSES = 80  # metrics of more, by subgroup too, are more values than `manifest.MOST`
_OF_WEIGHTS = 0.7  # of a file of weights is the network at least; the rest may be its classifier
_OURS = ("metrics.json", "comparison.json", "audit.json", "relabel.json")


def check_can_train() -> None:
    """Raise MissingExtraError unless what trains is installed."""
    require("training", "keras", "onnx")


def check_figures(formats: Sequence[str]) -> None:
    """Raise UsageError where figures are asked for in a format that they are not drawn in."""
    if unknown := sorted(set(formats) - set(canvas.FORMATS)):
        raise UsageError(
            f"Expected --figures to name formats of {', '.join(canvas.FORMATS)}; received {', '.join(unknown)}. Write for example --figures svg,pdf"
        )


def check_out(folder: Path, *, overwrite: bool) -> None:
    """Find what is wrong with the folder that a verb is to make.

    Raises
    ------
    UsageError
        It is a file, the folder one is in, not writable, being written by another run, or has files in it that may not be
        replaced.
    """
    if folder.is_file():
        raise UsageError(f"Expected --out to be a folder to make; received the file {folder}. Name another.")
    if folder.resolve() == Path.cwd():
        raise UsageError(f"Expected --out to be a folder to make; received {folder}, the one you are in. Name another.")
    if os.path.ismount(folder):
        raise UsageError(
            f"Expected --out to be a folder to make; received {folder}, where a disk is mounted. Name a folder in it."
        )
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        why = f"no permission to write in {above}" if above.is_dir() else f"{above} is a file"
        raise UsageError(f"Expected --out to be a folder that can be made; received {folder}: {why}. Name another.")
    files.settle(folder)
    claims.check_free(folder)
    if folder.is_dir() and any(folder.iterdir()):
        is_ours = any((folder / name).is_file() for name in _OURS)
        if not (overwrite and is_ours):
            hint = "Name another, or pass --overwrite to replace it." if is_ours else "Name another."
            raise UsageError(
                f"Expected --out to be a new or an empty folder; received {folder}, which has files in it. {hint}"
            )


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise UsageError unless an option lies between two bounds."""
    if not low <= value <= high:
        raise UsageError(f"Expected {name} from {low:,} to {high:,}; received {value:,}. Set it within that range.")


def check_seed(seed: int) -> None:
    """Raise UsageError unless a random seed can be used by every library."""
    check_range("--seed", seed, 0, 2**31 - 1)


def check_recipe(recipe: Recipe) -> None:
    """Find what is wrong with the recipe of one classifier before its training starts.

    Raises
    ------
    RecipeError
        The backbone is not known, or is a file whose weights cannot be trained on; or it cannot compute in bfloat16 here.
    MissingExtraError
        What computes in bfloat16 is not installed.
    """
    if recipe.backbone.precision == backbones.BFLOAT16:
        bfloat16.check()
    backbone = backbones.find(recipe.backbone.name, recipe.backbone.depth)
    if backbone.weights.kind in {"file", "folder"} and parse_blocks(recipe.finetuning.blocks) != 0:
        what = "an ONNX file" if backbone.weights.kind == "file" else "a network from a hub"
        raise RecipeError(
            f"Expected a backbone of {', '.join(backbones.BACKBONES)} to fine-tune; received {recipe.backbone.name}, {what}, "
            "which runs but does not learn. Set finetuning.blocks=none."
        )


def size_for(members: Sequence[Recipe]) -> int:
    """Give the side in pixels that keeps what the backbones of some recipes look at: the largest input, 256 px at least."""
    from plainfilm.model import recipes  # not needed where nothing is trained

    inputs = [recipes.prepared(member, LEAST_SIDE)[1].input_size for member in members]
    return max(LEAST_SIDE, *inputs)


def remarks(members: Sequence[Recipe], image_size: int) -> list[str]:
    """Say what is to be known before a training: weights that bind whoever gets the bundle, and images smaller than a network looks at."""
    from plainfilm.model import recipes  # not needed where nothing is trained

    found = []
    for member in members:
        backbone, prepare = recipes.prepared(member, image_size)
        source = backbone.weights
        if prepare.input_size > image_size:
            found.append(
                f"{backbone.name} looks at {prepare.input_size} px, the store keeps {image_size} px: what is finer is lost. Read the films again "
                f"with --size {prepare.input_size}, or auto."
            )
        if source.licence == UNSTATED:
            found.append(
                f"The bundle will hold the weights of {backbone.name}, whose folder states no licence. Find out what may be done with them before you share it."
            )
        elif source.binds:
            where = f" ({source.terms})" if source.terms else ""
            found.append(
                f"The bundle will hold the weights of {backbone.name}, whose terms bind whoever receives it, or forbid to pass it on: "
                f"{source.licence}{where}. Read them before you share it."
            )
    return list(dict.fromkeys(found))


def check_networks(members: Sequence[Recipe], image_size: int, *, folds: int = 0) -> None:
    """Find out before a training whether a bundle can hold what it trains, and check the user's own ONNX files.

    Raises
    ------
    WeightsError
        A user's file is no network from images to features, or may not be run.
    RecipeError
        The networks are too large together.
    """
    from plainfilm.evidence.outliers import detector  # not needed where nothing is trained

    held: dict[object, _Held] = {}
    for number, member in enumerate(members):
        one = _Held.of(member, image_size, folds)
        held[number if one.copies else member.backbone] = one
    is_small = sum(each.most for each in held.values()) <= MOST_BYTES
    size = 0 if is_small else sum(each.least for each in held.values())
    if size > MOST_BYTES:
        raise RecipeError(
            f"Expected networks of at most {MOST_BYTES / 1e6:,.0f} MB together, which a bundle can hold; received "
            f"{size / 1e6:,.0f} MB. Set fewer ensemble.members or folds, or a smaller backbone."
        )
    width = sum(each.width * max(1, each.copies) for each in held.values())
    if width > detector.MOST_FEATURES:
        raise RecipeError(
            f"Expected at most {detector.MOST_FEATURES:,} features an image, of which a bundle can tell what is usual; received "
            f"{width:,}. Set fewer ensemble.members or folds, or a backbone with fewer features."
        )


def check_rows(classes: Sequence[str], rows: int, task: Task = "classes") -> None:
    """Find out before a training whether a bundle can hold what is told of its data.

    Raises
    ------
    StoreError
        There are too many classes, findings or radiographs, or a class whose name cannot be shown.
    """
    from plainfilm.evidence.external.training_fingerprints import TrainingFingerprints
    from plainfilm.model.bundle import SEEN_BYTES

    most = MOST_CLASSES if task == "classes" else MOST_FINDINGS
    if len(classes) > most:
        raise StoreError(
            f"Expected at most {most} {task}, whose metrics a bundle can hold; received {len(classes):,}. Ingest fewer with --classes."
        )
    unfit = [name for name in classes if not name.isprintable() or not 0 < len(name) <= MOST_LETTERS]
    if unfit:
        raise StoreError(
            f"Expected names of classes of 1 to {MOST_LETTERS} letters that can be shown; received {harmless(unfit[0])[:MOST_LETTERS]}. Rename the class and ingest again."
        )
    most = TrainingFingerprints.most(SEEN_BYTES)
    if rows > most:
        raise StoreError(
            f"Expected at most {most:,} radiographs, whose hashes a bundle can hold; received {rows:,}. Train on a part of them."
        )


@dataclass(frozen=True, slots=True)
class _Held:
    """A network that a bundle will hold: once, or `copies` times where each training changes it (0: none does)."""

    backbone: backbones.Backbone
    prepare: Preprocessing
    given: Path | None
    copies: int
    width: int

    @classmethod
    def of(cls, member: Recipe, image_size: int, folds: int) -> Self:
        from plainfilm.model import classifier, encoder, recipes  # not needed where nothing is trained
        from plainfilm.model.onnx import user_backbone

        backbone, prepare = recipes.prepared(member, image_size)
        width = backbone.width
        if backbone.weights.kind in {"file", "folder"}:
            opened = encoder.open_encoder(backbone, prepare)
            width = opened.width
            opened.rest()
            user_backbone.check_holdable(
                classifier.join(opened.network(), classifier.blank_head(width)), Path(backbone.weights.file)
            )
        given = Path(member.backbone.weights) if member.backbone.weights else None
        is_tuned = parse_blocks(member.finetuning.blocks) != 0
        return cls(backbone, prepare, given, max(1, folds) if is_tuned else 0, width)

    @property
    def most(self) -> float:
        """Bytes of the file of weights; 0 where it is not here yet."""
        from plainfilm.model import weights

        return weights.bytes_here(self.backbone, self.given) * max(1, self.copies)

    @property
    def least(self) -> float:
        """Bytes of the network at least. What the first blocks hold is known once they are built, as the training does."""
        from plainfilm.model import encoder

        kind = self.backbone.weights.kind
        if kind == "file":
            return self.most
        if kind != "folder" and not (self.backbone.depth and self.most):
            return self.most * _OF_WEIGHTS
        built = encoder.open_encoder(self.backbone, self.prepare, weights_file=self.given)
        return built.path.stat().st_size * max(1, self.copies)


def check_three_answers(recipes: Sequence[Recipe], positive: str | None, task: Task) -> None:
    """Raise UsageError where a recipe asks for three answers of other than two classes, or findings."""
    if positive is None and task == "classes" and any(recipe.evaluation.sensitivity for recipe in recipes):
        raise UsageError(
            "Expected two classes, or findings, for --sensitivity with --npv; received others. Leave both out, or ingest two classes with --classes."
        )


def check_task(task: Task, classes: Sequence[str], asked: Task | None) -> None:
    """Find out whether classes are meant as classes.

    Raises
    ------
    CatalogError
        They look like combinations of findings, and nobody has said that they are none.
    """
    if task == "classes":
        combinations.check_no_combinations(classes, asked)


def positive_class(classes: Sequence[str], asked: str | None = None, *, task: Task = "classes") -> str | None:
    """Name the positive class: the one asked for, or the one whose name does not deny a finding; None with more than two, and of findings.

    Raises
    ------
    UsageError
        The class asked for is not there, there are more than two, or neither or both of two names deny a finding.
    """
    if asked is not None and asked not in classes:
        raise UsageError(f"Expected --positive to be one of {', '.join(classes)}; received {asked}. Name one of them.")
    if task == "findings" and asked is not None:
        raise UsageError(
            f"Expected no --positive with several findings, each of which is present or absent; received {asked}. Leave it out."
        )
    if task == "findings":
        return None
    if len(classes) != 2:
        if asked is not None:
            raise UsageError(
                f"Expected two classes for --positive; received {len(classes)}. Leave it out, or ingest two with --classes."
            )
        return None
    if asked is not None:
        return asked
    found = class_names.positive_of(classes[0], classes[1])
    if found is None:
        raise UsageError(
            f"Expected one of {classes[0]} and {classes[1]} to be named as negative, such as normal or no finding; received neither "
            "or both. Name the positive class with --positive."
        )
    return found
