"""The options of each verb: named, typed and explained once, for Python (`plainfilm.train(…)`) and for the command line.

Imports nothing heavy: `plainfilm train --help` reads these classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

from cyclopts import Group, Parameter

from plainfilm.arguments import Device, Target
from plainfilm.model.callbacks import Callback
from plainfilm.model.recipe_schema import FLAGGED, RecipeKey
from plainfilm.workflows.parsing import (
    a_choice,
    a_number_of_folds,
    a_prevalence,
    a_size,
    comma_separated,
    of_recipe,
    texts,
    whole_numbers,
)
from plainfilm.workflows.progress import Progress, silent

HIDDEN = Parameter(parse=False)  # for Python alone
RECIPE = Group(
    "Recipe",
    help="Each flag sets the key in brackets; its default holds where the recipe gives no value. All keys: docs/recipes.md.",
)
_ABOUT_READING = "What a folder or an archive holds and how it is read. A store has been read already."
READ = Parameter(group=Group("Reading radiographs", help=_ABOUT_READING))
CLUSTER = Parameter(group=Group("Several machines", help="Who reads and encodes radiographs, and trains."))
DEVICE = Parameter(group=Group("Processors", help="What networks run on: docs/install.md."))
WHERE_IT_RUNS = frozenset({"workers", "cluster", "mixed", "device"})  # options that say nothing of what comes out
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Place = Annotated[str | Path, Parameter(metavar="PATH")]
Size = int | Literal["auto"]
Folds = Annotated[int | Literal["source"], a_number_of_folds]
Figures = Annotated[Sequence[str], comma_separated]
Labels = Sequence[str] | Mapping[str, str] | None
LABEL_IS_CLASS = Parameter(name=("--map", "--mapping"), metavar="LABEL=CLASS")
Rank = Annotated[Literal["worst", "mean"], a_choice]
Together = Annotated[Sequence[str | Sequence[str]] | None, Parameter(metavar="NAME,NAME"), texts]
RecipeSettings = Annotated[
    Sequence[str] | Mapping[str, Any] | None,
    Parameter(name=("--set", "--settings"), metavar="KEY=VALUE", group=RECIPE),
    texts,
]


@runtime_checkable
class Stored(Protocol):
    """What knows where a store lies: an open `Store`, or what `ingest` returned."""

    @property
    def path(self) -> Path:
        """The store."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in it."""


Source = Place | Stored | Sequence[str | Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """Where radiographs are read and encoded, and trainings run.

    Parameters
    ----------
    cluster
        here, local:N for N processes of this machine, or a Dask scheduler, tls://HOST:8786: docs/cluster.md. By default what
        PLAINFILM_CLUSTER says, or [cluster] in the recipe's file, or here.
    mixed
        Let processors of several kinds take part: features and trainings differ in their last bits by the machine that made them.
    device
        What networks run on in ONNX Runtime: cpu, or cuda, rocm, openvino, directml or coreml where the build of it that is installed
        offers it and it answers as the processor does; auto takes cuda or rocm where they are there. By default what PLAINFILM_DEVICE
        says, or auto. The jobs of a cluster run on processors.
    """

    cluster: Annotated[str | None, Parameter(metavar="WHERE"), CLUSTER] = None
    mixed: Annotated[Flag, CLUSTER] = False
    device: Annotated[Device | None, a_choice, DEVICE] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions(ClusterOptions):
    r"""What the files, folders and tables of a SOURCE mean.

    Parameters
    ----------
    labels
        A table with file_name and label that overrides the folders' names: CSV, TSV, JSON, and with the extra `tables` XLSX and Parquet.
    label_column
        The table's column of labels, by its name or by its number from 1.
    file_column
        Its column of file names.
    patient_column
        Its column of patients.
    source_column
        Its column of sources: hospitals or collections.
    label_of
        One finding of a table with several an image: the classes are FINDING and no FINDING.
    task
        classes: each image is of one class; findings: each has none, one or several, and a classifier tells each by itself. By
        default what the tables say; classes whose names put findings together are asked about.
    label_pattern
        A regular expression that finds the label in the path of a file, as its first group: '_(\d)\.png$'.
    layout
        What the folder levels mean, from the first: class, split, source, patient or -, as in split/class.
    classes_from
        The folder level whose names are the classes: 1 for the first, -1 for the folder of the file.
    preset
        How a public data set is read; see plainfilm presets.
    keep
        A column of a table or a DICOM header that stays in the store as it is; again for more. By default columns that may tell
        who somebody is are left out: docs/privacy.md.
    pseudonyms
        Numbers take the place of the names of files and sources; what they mean is written to NAME.pseudonyms.csv beside what is made.
    """

    labels: Annotated[Place | None, READ] = None
    label_column: Annotated[str | None, READ] = None
    file_column: Annotated[str | None, READ] = None
    patient_column: Annotated[str | None, READ] = None
    source_column: Annotated[str | None, READ] = None
    label_of: Annotated[str | None, Parameter(metavar="FINDING"), READ] = None
    task: Annotated[Literal["classes", "findings"] | None, a_choice, READ] = None
    label_pattern: Annotated[str | None, Parameter(metavar="REGEX"), READ] = None
    layout: Annotated[str | None, READ] = None
    classes_from: Annotated[int | None, Parameter(metavar="LEVEL"), READ] = None
    preset: Annotated[str | None, Parameter(metavar="NAME"), READ] = None
    keep: Annotated[Sequence[str] | None, Parameter(metavar="COLUMN"), texts, READ] = None
    pseudonyms: Annotated[Flag, READ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoringOptions(ReadingOptions):
    r"""How the radiographs of a SOURCE become a store.

    Parameters
    ----------
    mapping
        A label of the data and the class that it is, LABEL=CLASS: COVID=SICK,PNEUMONIA=SICK joins two; again, or with commas, for more. A
        name with a comma or = in it stands in double quotes. Labels that are not named stay classes of their own.
    classes
        Keep these classes only: COVID,NORMAL; of findings, train on these only.
    size
        Height and width of the stored images in pixels, 32 to 2048. auto, for ingest and train: what the recipe's backbones look at, 256
        at least.
    fit
        stretch, crop (the middle square) or pad (black bars).
    on_bad
        skip: list files that cannot be read and go on; fail: stop at the first.
    workers
        Processes that decode; 0 for one per processor.
    resplit
        Make a new split even where folders or a table give one.
    separate_sources
        Keep patients of equal id apart where their sources differ; by default they are one patient.
    keep_non_radiographs
        Go on where most of the files are no chest radiographs.
    """

    mapping: Annotated[Labels, LABEL_IS_CLASS, texts, READ] = None
    classes: Annotated[Sequence[str] | None, comma_separated, READ] = None
    size: Annotated[Size, a_size, READ] = 256
    fit: Annotated[Literal["stretch", "crop", "pad"], a_choice, READ] = "stretch"
    on_bad: Annotated[Literal["skip", "fail"], a_choice, READ] = "skip"
    workers: Annotated[int, READ] = 0
    resplit: Annotated[Flag, READ] = False
    separate_sources: Annotated[Flag, READ] = False
    keep_non_radiographs: Annotated[Flag, READ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions(StoringOptions):
    r"""What a verb that takes a store does with a SOURCE: it is read into a store in the cache, and found there the next time.

    Parameters
    ----------
    split_seed
        Random seed of the split and of the order of the rows, where a folder is read.
    """

    split_seed: Annotated[int, READ] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbOptions(SourceOptions):
    """What a verb does with the folder that it makes, and whom it tells how far it is.

    Parameters
    ----------
    overwrite
        Replace a folder that an earlier run wrote.
    command
        What the user typed, for the report.
    progress
        Called with stage, steps done, all steps and a note.
    """

    overwrite: Flag = False
    command: Annotated[str, HIDDEN] = ""
    progress: Annotated[Progress, HIDDEN] = silent


@dataclass(frozen=True, slots=True)
class IngestOptions(StoringOptions):
    r"""Read folders or archives of radiographs into one HDF5 store.

    Parameters
    ----------
    sources
        Folders or archives (zip, tar, MedMNIST's npz): CLASS/\*, train|val|test/CLASS/\*, one with a metadata.csv, or DICOM files; see docs/data.md.
    out
        The store to write, NAME.h5; NAME.problems.csv is written beside it.
    seed
        Random seed of the row order and of the split.
    overwrite
        Replace a store of that name; the old one stays until the new one is whole.
    recipe
        With --size auto: the recipe, or TOML file, whose backbones are going to look at the images.
    backbone
        With --size auto: the backbone, where it is not the recipe's.
    add
        Add to a store of that name what its folders have got since: what it holds is not decoded again and keeps its part of the split.
    shard
        Radiographs a shard, 8 to 4096: the store is then an index with its shards beside it, whatever its size; by default one of up to 1 GB is one file.
    test_from
        Split by date: the studies of this day or later (2025-01-15, 2025-01, 2025) are the test set, by StudyDate of DICOM headers or a
        table's column. The store has the parts, and no date.
    date_column
        The table's column of dates, where its name does not tell.
    both_sides
        Patients with studies on both sides of the date: train keeps all of theirs for training and validation; leave-out for nothing.
    dry_run
        Show what would be read, and what folders and tables are taken for; read no pixels, write nothing.
    progress
        Called with stage, steps done, all steps and a note.
    """

    sources: Annotated[Sequence[str | Path] | str | Path, Parameter(metavar="FOLDER")]
    out: Place
    _: KW_ONLY
    seed: int = 0
    overwrite: Flag = False
    recipe: Annotated[str | Path, Parameter(metavar="STR", show_default=False)] = "default"
    backbone: str | None = None
    add: Flag = False
    shard: int | None = None
    test_from: Annotated[str | None, Parameter(metavar="DATE"), READ] = None
    date_column: Annotated[str | None, READ] = None
    both_sides: Annotated[Literal["train", "leave-out"], a_choice, READ] = "train"
    dry_run: Flag = False
    progress: Annotated[Progress, HIDDEN] = silent


def _flag(name: str) -> Parameter:
    """Describe the flag of a key of the recipe; type, range, default and text come from the schema."""
    key = FLAGGED[name]
    return Parameter(
        help=_help(key), converter=of_recipe(key.key), metavar=_metavar(key), group=RECIPE, show_choices=False
    )


def _metavar(key: RecipeKey) -> str:
    return "CHOICE" if key.choices else {int: "INT", float: "FLOAT"}.get(key.kind, "STR")


def _help(key: RecipeKey) -> str:
    default = f"default {key.shown_default}" if key.shown_default else ""
    about = "; ".join(filter(None, (key.allowed, default)))
    return f"{key.meaning} [{': '.join(filter(None, (key.key, about)))}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeOptions(VerbOptions):
    """Keys of the recipe that are set often; what is None is as the recipe has it."""

    backbone: Annotated[str | None, _flag("backbone")] = None
    weights: Annotated[str | Path | None, _flag("weights")] = None
    input_size: Annotated[int | None, _flag("input_size")] = None
    epochs: Annotated[int | None, _flag("epochs")] = None
    batch_size: Annotated[int | None, _flag("batch_size")] = None
    optimizer: Annotated[Literal["adam", "adamw", "sgd", "rmsprop", "nadam"] | None, _flag("optimizer")] = None
    learning_rate: Annotated[float | None, _flag("learning_rate")] = None
    loss: Annotated[Literal["crossentropy", "mean_squared_error"] | None, _flag("loss")] = None
    class_weight: Annotated[Literal["balanced", "by source", "group-dro", "none"] | None, _flag("class_weight")] = None
    augment: Annotated[int | None, _flag("augment")] = None
    finetune: Annotated[str | None, _flag("finetune")] = None
    threshold: Annotated[str | None, _flag("threshold")] = None
    sensitivity: Annotated[float | None, _flag("sensitivity")] = None
    npv: Annotated[float | None, _flag("npv")] = None
    seed: Annotated[int | None, _flag("seed")] = None

    def of_recipe(self) -> dict[str, Any]:
        """Give what is not None as settings of a recipe, by its keys."""
        chosen = {key.key: getattr(self, name) for name, key in FLAGGED.items()}
        return {
            key: str(value) if isinstance(value, Path) else value for key, value in chosen.items() if value is not None
        }


RecipeOptions.__doc__ = "\n".join(
    [f"{RecipeOptions.__doc__}\n\nParameters\n----------"]
    + [f"{name}\n    {_help(key)}" for name, key in FLAGGED.items()]
)


@dataclass(frozen=True, slots=True)
class TrainOptions(RecipeOptions):
    """Train a classifier on a store, test it, and write a run folder with its report.

    Parameters
    ----------
    store
        A store of `plainfilm ingest`, or folders or archives of radiographs, which are read into one in the cache. In Python
        also what `plainfilm.ingest` returned.
    out
        The folder to make: report.html, metrics.json, model.plainfilm, history.csv, predictions.csv, recipe.toml, figures/.
    recipe
        default, hidden-layer, paper-mobilenet, paper-resnet50, darkcovidnet, robust, or a TOML file.
    settings
        Any value of the recipe, KEY=VALUE: head.layers='dense 64, dropout 0.5'. In Python: {"training.epochs": 5, "seed": 1}.
    positive
        The positive class, which sensitivity is about; by default the one that is not called normal. Two classes only.
    folds
        Cross-validate with 2 to 100 folds: each radiograph is tested by a classifier that has not seen its patient, and
        model.plainfilm joins the classifiers of all folds. 0: one training, tested on the test set. source: after that training,
        leave out each source in turn, and say what to expect of a hospital that was never seen.
    together
        Sources that hold the films or patients of one another and are left out together: NIH,RSNA; again for more. Those that share
        5 % of their patients or films are found without it.
    curve
        With folds by source: also train on 1, 2, 4 … sources and on parts of their films, about a hundred short trainings at most, and
        say what another hospital is worth against more films.
    resume
        Go on with an interrupted fine-tuning from its last epoch; it ends as if it had not been interrupted.
    audit
        Run the probes and put their verdict beside the accuracy.
    sign
        A private key (PEM, Ed25519): sign model.plainfilm with it.
    show_text
        Leave text in the radiographs of the report, such as a burned-in name, uncovered.
    mlflow
        Log recipe, metrics, verdict and artefacts to MLflow: at this URI, such as sqlite:///mlflow.db, or where MLFLOW_TRACKING_URI says.
    subgroups
        Columns that the store keeps, with commas between: scanner_room,ethnicity. The results are told apart by them too, beside sex, age,
        view, source and manufacturer; what `ingest` leaves out is kept with its --keep.
    figures
        Write figures/ in these formats too, with commas between: svg,pdf. PNG at 300 dpi is always there.
    callbacks
        Callbacks of Keras, called at the begin and end of each training and of its epochs, with the model and loss, accuracy, val_loss and
        val_accuracy; `model.stop_training` ends a training. One that waits for batches is refused.
    """

    store: Source
    out: Place = "run"
    _: KW_ONLY
    recipe: Annotated[str | Path, Parameter(metavar="STR", group=RECIPE, show_default=False)] = "default"
    settings: RecipeSettings = None
    positive: str | None = None
    folds: Folds = 0
    together: Together = None
    curve: Flag = False
    resume: Flag = False
    audit: Annotated[bool, Parameter(negative="--no-audit")] = True
    sign: Place | None = None
    show_text: Flag = False
    mlflow: Annotated[bool | str, Parameter(negative="", show_default=False, metavar="[URI]")] = False
    subgroups: Annotated[Sequence[str], comma_separated] = ()
    figures: Figures = ()
    callbacks: Annotated[Sequence[Callback], HIDDEN] = ()


@dataclass(frozen=True, slots=True)
class AuditOptions(VerbOptions):
    """Say what an accuracy on these data is worth: classifiers that never see the lungs, sources, leaks, a verdict.

    Parameters
    ----------
    store
        A store of `plainfilm ingest`, or folders or archives of radiographs, which are read into one in the cache. In Python
        also what `plainfilm.ingest` returned.
    out
        The folder to make: audit.html, audit.json, figures/.
    model
        A model.plainfilm whose encoder and accuracy are audited; without one the default backbone looks at the data alone.
    seed
        Random seed of the sample that the probes see, and of the cross-validation.
    fail_on
        possible or not-to-be-believed: at that verdict or a worse one exit with 1, in Python raise VerdictError, once all is written.
    show_text
        Leave text in the radiographs of the report, such as a burned-in name, uncovered.
    figures
        Write figures/ in these formats too, with commas between: svg,pdf. PNG at 300 dpi is always there.
    """

    store: Source
    out: Place = "audit"
    _: KW_ONLY
    model: Place | None = None
    seed: int = 0
    fail_on: Annotated[Literal["possible", "not-to-be-believed"] | None, a_choice] = None
    show_text: Flag = False
    figures: Figures = ()


@dataclass(frozen=True, slots=True)
class EvaluateOptions(ReadingOptions):
    """External validation: test a classifier on another hospital's radiographs, at its own threshold.

    Parameters
    ----------
    bundle
        A model.plainfilm of `plainfilm train`.
    source
        A folder of radiographs, in any layout that docs/data.md names, or a store of the same size and fit. Of the store
        that the model was trained on only the test set is used. Images that the model was made from are left out.
    out
        The folder to make: report.html, metrics.json, predictions.csv, overlap.csv, figures/.
    mapping
        A label of the data and the class that it stands for, LABEL=CLASS; again, or with commas, for more. Labels that
        stand for no class are left out, and counted.
    recalibrate
        Also write recalibrated.plainfilm: its probabilities fit these data, its answers stay.
    prevalence
        Recalibrate to this share of the positive class among those examined, above 0 and below 1, without looking at labels:
        for radiographs taken as they come. They need no labels. Of findings by name, Effusion=0.1,Mass=0.02; one that is left out
        keeps its own calibration.
    site
        With --recalibrate: keep the calibration in recalibrated.plainfilm under this name, for predict --site; without: test
        the calibration that the bundle has for this site.
    workers
        Processes that decode; 0 for one per processor.
    require_signature
        A public key (PEM): go on only if the bundle is signed for it.
    subgroups
        Columns that the store keeps, with commas between: scanner_room,ethnicity. The results are told apart by them too, beside sex, age,
        view, source and manufacturer; what `ingest` leaves out is kept with its --keep.
    figures
        Write figures/ in these formats too, with commas between: svg,pdf. PNG at 300 dpi is always there.
    overwrite
        Replace a folder that an earlier run wrote.
    command, progress
        As for `train`.
    """

    bundle: Place
    source: Place
    out: Place
    _: KW_ONLY
    mapping: Annotated[Labels, LABEL_IS_CLASS, texts] = None
    recalibrate: Flag = False
    prevalence: Annotated[float | Mapping[str, float] | None, a_prevalence] = None
    site: str | None = None
    workers: int = 0
    require_signature: Place | None = None
    subgroups: Annotated[Sequence[str], comma_separated] = ()
    figures: Figures = ()
    overwrite: Flag = False
    command: Annotated[str, HIDDEN] = ""
    progress: Annotated[Progress, HIDDEN] = silent


@dataclass(frozen=True, slots=True)
class CompareOptions(VerbOptions):
    """Train several recipes with several random seeds each on one store, or take finished runs, and test them on the same patients.

    Parameters
    ----------
    store
        A store of `plainfilm ingest`, or folders or archives of radiographs, which are read into one in the cache. In Python
        also what `plainfilm.ingest` returned. Or two or more run folders of `train` or `evaluate` that were tested on the same
        radiographs: nothing is trained then.
    out
        The folder to make: comparison.html, comparison.json, comparison.csv, differences.csv, and trainings/ with each as a run of its own.
    recipes
        Names of recipes or TOML files, with commas between: paper-mobilenet,default. With a store.
    seeds
        Training runs (seeds) per recipe, 1 to 100; the seeds are 0, 1, ….
    folds
        source: also leave out each source in turn, rank the recipes there, and say what the choice is worth at sources that had
        no part in it.
    together
        As for `train`.
    rank
        worst: by the worst source that was left out; mean: by the mean of all.
    settings
        Any value of all recipes, KEY=VALUE, but the seed.
    positive
        The positive class, as for `train`.
    figures
        Write figures/ in these formats too, with commas between: svg,pdf. PNG at 300 dpi is always there.
    """

    store: Source
    out: Place = "comparison"
    _: KW_ONLY
    recipes: Annotated[Sequence[str | Path], comma_separated] = ()
    seeds: int = 5
    folds: Folds = 0
    together: Together = None
    rank: Rank = "worst"
    settings: RecipeSettings = None
    positive: str | None = None
    figures: Figures = ()


@dataclass(frozen=True, slots=True)
class TuneOptions(VerbOptions):
    """Search for a recipe: try heads and trainings on cached features; the test set is never looked at.

    The same command on the same folder goes on with the search.

    Parameters
    ----------
    store
        A store of `plainfilm ingest`, or folders or archives of radiographs, which are read into one in the cache. In Python
        also what `plainfilm.ingest` returned.
    out
        The folder to make, or to go on in: tuning.html, tuning.json, trials.csv, best.toml, trials.db, figures/.
    trials
        How many trials in all.
    timeout
        Seconds after which no further trial begins.
    epochs
        Epochs of each trial, 1 to 10,000.
    folds
        1: score trials on the validation set; 2 to 20: cross-validate in training and validation set together. source: leave out each
        source of these in turn and score trials there, and say what the choice is worth at sources that had no part in it.
    together
        As for `train`.
    rank
        worst: score trials by the worst source that was left out; mean: by the mean of all.
    backbones
        Names with commas between: mobilenet,resnet50; by default those of Keras whose weights are on this machine.
    input_sizes
        Input sizes in pixels to choose among, with commas between; 0 is the backbone's own.
    views
        Augmented views of each image that a trial may train with; 0 leaves augmentation out of the search.
    seed
        Random seed of the search and of each training.
    figures
        Write figures/ in these formats too, with commas between: svg,pdf. PNG at 300 dpi is always there.
    overwrite
        Begin anew: remove the search that is in the folder.
    """

    store: Source
    out: Place = "tuning"
    _: KW_ONLY
    trials: int = 100
    timeout: float | None = None
    epochs: int = 20
    folds: Folds = 1
    together: Together = None
    rank: Rank = "worst"
    backbones: Annotated[Sequence[str], comma_separated] = ()
    input_sizes: Annotated[Sequence[int], whole_numbers] = (0,)
    views: int = 0
    seed: int = 0
    figures: Figures = ()
    overwrite: Flag = False


@dataclass(frozen=True, slots=True)
class RelabelOptions(VerbOptions):
    """List the radiographs whose label is doubtful, as a table and a page of pictures; or write a store with corrected labels.

    Parameters
    ----------
    store
        A store of `plainfilm ingest`, or folders or archives of radiographs, which are read into one in the cache. In Python
        also what `plainfilm.ingest` returned.
    out
        The folder to make: relabel.csv, relabel.html, relabel.json; with apply the store to write, NAME.h5.
    apply
        A relabel.csv whose column `correction` holds the right class where a label is wrong: write a new store with these
        corrections, and NAME.corrections.csv beside it. The old store stays as it is.
    by
        With apply: who corrects, where the table's column `by` does not say it.
    show
        Radiographs on the page at most, 0 to 2000.
    repeats
        Cross-validations whose scores are averaged, 1 to 100.
    seed
        Random seed of their folds.
    show_text
        Leave text in the radiographs of the page, such as a burned-in name, uncovered.
    overwrite
        Replace a folder that an earlier run wrote, or with apply a store of that name.
    """

    store: Source
    out: Place = "relabel"
    _: KW_ONLY
    apply: Place | None = None
    by: str | None = None
    show: int = 100
    repeats: int = 5
    seed: int = 0
    show_text: Flag = False
    overwrite: Flag = False


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Write a bundle in another runtime's format, and keep the file only if it answers as the bundle does.

    Parameters
    ----------
    bundle
        A model.plainfilm of `plainfilm train`.
    to
        onnx, openvino, keras or tflite.
    out
        The file to write: .onnx, .xml (its .bin comes beside it), .keras or .tflite.
    site
        The hospital whose calibration it has, by the name that evaluate --recalibrate --site kept it under.
    overwrite
        Replace a file that is there.
    require_signature
        A public key (PEM): go on only if the bundle is signed for it.
    """

    bundle: Path
    _: KW_ONLY
    to: Annotated[Target, a_choice]
    out: Path
    site: str | None = None
    overwrite: Flag = False
    require_signature: Path | None = None


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Go the whole way on synthetic radiographs of three invented hospitals, without a network.

    Parameters
    ----------
    out
        The folder to make; it gets radiographs/, demo.h5 and run/.
    images
        How many radiographs to make; fewer than 60 may be too few to train on.
    seed
        Random seed of the radiographs, the split and the training.
    shortcut
        Plant a shortcut with the sick, such as hospital: the accuracy rises, and the sentence beside it says why that means nothing.
    overwrite
        Replace a folder that an earlier run wrote.
    command, progress
        As for `train`.
    """

    out: Place
    _: KW_ONLY
    images: int = 360
    seed: int = 0
    shortcut: str | None = None
    overwrite: Flag = False
    command: Annotated[str, HIDDEN] = ""
    progress: Annotated[Progress, HIDDEN] = silent
