"""`plainfilm audit`: what an accuracy on a store is worth."""

from dataclasses import dataclass
from pathlib import Path

from plainfilm.data.files import followed
from plainfilm.data.store import Store
from plainfilm.errors import UsageError, VerdictError
from plainfilm.evidence.audit.audit import audit as examine
from plainfilm.model import bundle
from plainfilm.reporting import audit as report
from plainfilm.results.audit import Audit
from plainfilm.workflows.audited_model import ComparedModel, compared_model, complete, default_encoder
from plainfilm.workflows.checks import check_figures, check_out, check_seed
from plainfilm.workflows.clustering import on_cluster, on_device
from plainfilm.workflows.folders import new_folder
from plainfilm.workflows.options import AuditOptions
from plainfilm.workflows.progress import stage
from plainfilm.workflows.stored import Reading, command_of, open_store
from plainfilm.workflows.verb import Run, verb

_WORST = {None: (), "possible": ("caution", "warning"), "not-to-be-believed": ("warning",)}  # levels at which to fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An audit that can begin: the open store, and the classifier that its probes are compared with."""

    options: AuditOptions
    store: Store
    read: Reading | None
    model: ComparedModel
    folder: Path


def plan(options: AuditOptions) -> Plan:
    """Check the options; open the store and the bundle.

    Raises
    ------
    PlainfilmError
        One line: what was expected, what came, what to do.
    """
    folder = followed(options.out)
    if options.fail_on not in _WORST:
        raise UsageError(
            f"Expected --fail-on to be possible or not-to-be-believed; received {options.fail_on}. Write one of them."
        )
    check_seed(options.seed)
    check_out(folder, overwrite=options.overwrite)
    check_figures(options.figures)
    with on_device(options):
        opened = bundle.load(options.model) if options.model else None
    store, read = open_store(options.store, options, options.progress, show_text=options.show_text)
    model = compared_model(store, opened, Path(options.model or "").name)
    return Plan(options=options, store=store, read=read, model=model, folder=folder)


@on_cluster
def run(plan: Plan) -> Run[Audit]:
    """Run the probes, reach the verdict and write the folder."""
    options, model = plan.options, plan.model
    with plan.store as store, new_folder(plan.folder, overwrite=options.overwrite) as partial:
        own = model.encoder or default_encoder(store)
        with stage(options.progress, "Auditing") as advance:
            found = examine(store, own, model=model.metrics, seed=options.seed, advance=advance)
            found = complete(found, store, model)
        command = command_of(options.command, options.store, options)
        report.write(partial, found, store=store.shown, name=plan.folder.name, command=command, formats=options.figures)
    return Run(plan.folder, found.result, store.path)


def is_failed(plan: Plan, found: Audit) -> bool:
    """Whether the verdict is one to fail on, as was asked."""
    return found.level in _WORST[plan.options.fail_on]


def run_or_fail(plan: Plan) -> Run[Audit]:
    """Run, and raise VerdictError at a verdict to fail on; the folder is whole then."""
    done = run(plan)
    if is_failed(plan, done.result):
        raise VerdictError(
            f"Expected no verdict of {plan.options.fail_on} or worse; received: {done.result.verdict}. Read {done.folder / 'audit.html'}"
        )
    return done


audit = verb(AuditOptions, plan, run_or_fail)
