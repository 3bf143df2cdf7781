"""`plainfilm demo`: the whole way on synthetic radiographs."""

from dataclasses import dataclass
from pathlib import Path

from plainfilm.data import claims, phantom
from plainfilm.data.files import followed
from plainfilm.errors import telling
from plainfilm.model.cpus import processors
from plainfilm.results.metrics import RunMetrics
from plainfilm.workflows.checks import check_can_train, check_out, check_range, check_seed
from plainfilm.workflows.ingest import check_new, ingest
from plainfilm.workflows.options import DemoOptions
from plainfilm.workflows.train import train
from plainfilm.workflows.verb import Run, verb

_FEWEST, _MOST = 6, 1_000_000  # radiographs: a patient of each of two classes in each part of the split


@dataclass(frozen=True, slots=True)
class Plan:
    """A demonstration that can begin."""

    options: DemoOptions


def plan(options: DemoOptions) -> Plan:
    """Check the options.

    Raises
    ------
    PlainfilmError
        What trains is not installed, the folder cannot be made, or the seed or the number of radiographs is out of its range.
    """
    check_can_train()
    check_seed(options.seed)
    check_range("--images", options.images, _FEWEST, _MOST)
    claims.check_free(followed(options.out))
    check_out(followed(options.out) / "run", overwrite=options.overwrite)
    check_new(followed(options.out) / "demo.h5", overwrite=options.overwrite)
    return Plan(options)


def run(plan: Plan) -> Run[RunMetrics]:
    """Make radiographs, read them, train and audit."""
    options, folder = plan.options, followed(plan.options.out)
    folder.mkdir(parents=True, exist_ok=True)
    with claims.turn(folder, waits=False), telling(lambda: _kept(folder)):
        return _run(options, folder)


def _run(options: DemoOptions, folder: Path) -> Run[RunMetrics]:
    options.progress("Making radiographs", 0, options.images, "")
    phantom.write_phantoms(
        folder / "radiographs",
        n=options.images,
        seed=options.seed,
        shortcut=options.shortcut,
        workers=processors(),
        overwrite=options.overwrite and _is_synthetic(folder / "radiographs"),
        progress=lambda done, every: options.progress("Making radiographs", done, every, ""),
    )
    ingest(
        folder / "radiographs",
        folder / "demo.h5",
        seed=options.seed,
        overwrite=options.overwrite,
        progress=options.progress,
    )
    return train(
        folder / "demo.h5",
        folder / "run",
        settings={"seed": options.seed},
        overwrite=options.overwrite,
        command=options.command,
        progress=options.progress,
    )


def _kept(folder: Path) -> str:
    """What a demo that is stopped leaves."""
    whole = [str(folder / name) for name in ("radiographs", "demo.h5", "run") if (folder / name).exists()]
    if not whole:
        return ""
    return f"Whole and kept: {', '.join(whole)}. Run the same command with --overwrite to begin again."


def _is_synthetic(radiographs: Path) -> bool:
    """Whether an earlier demo wrote this folder: nobody else's radiographs are ever removed."""
    table = radiographs / "metadata.csv"
    return table.is_file() and table.read_bytes().startswith(",".join(phantom.COLUMNS).encode())


demo = verb(DemoOptions, plan, run)
