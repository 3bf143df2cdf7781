"""All commands in one application. Turns an error into one line and an exit code."""

import atexit
import gc
import os
import sys
from pathlib import Path

import cyclopts

from plainfilm import NOTICE, __version__, extras, shell, wording
from plainfilm.cli import streams
from plainfilm.cli.output import fail
from plainfilm.cli.words import prepared
from plainfilm.errors import PlainfilmError
from plainfilm.model.cpus import processors
from plainfilm.reasons import reason_of

_HELPLESS = {
    UnicodeEncodeError: (
        "Expected names that this system can write; received half a character.",
        "Name it in other letters.",
        2,
    ),
    MemoryError: (
        "Expected memory for this; received none that is left.",
        "End other programs, or use a larger machine.",
        1,
    ),
}
_REPORT = "Report it with the command; PLAINFILM_DEBUG=1 shows more."

app = cyclopts.App(
    name="plainfilm",
    version=__version__,
    version_flags=["--version", "-V"],
    help=f"From a folder of chest X-rays to a classifier, and plain words about what its accuracy is worth.\n\n{NOTICE}",
    suppress_keyboard_interrupt=False,
    default_parameter=cyclopts.Parameter(negative=""),
    help_epilogue="First steps: `plainfilm demo`, then `plainfilm train FOLDER --out run`.\n\n`plainfilm FOLDER` says what is seen in it.",
)
weights_app = cyclopts.App(
    name="weights",
    help="ImageNet weights of the backbones: what is here, where it came from, its licence.",
    help_epilogue="",
)
cluster_app = cyclopts.App(
    name="cluster",
    help="Certificates of a cluster; and jobs for a Slurm array or Kubernetes, without a scheduler of ours: docs/cluster.md.",
    help_epilogue="",
)
app.command(weights_app)
app.command(cluster_app)
app.register_install_completion_command(
    help="Let this shell complete commands and flags: bash, zsh, fish or PowerShell.", help_epilogue=""
)
_COMMANDS = (
    "demo",
    "app",
    "ingest",
    "train",
    "audit",
    "relabel",
    "compare",
    "tune",
    "predict",
    "evaluate",
    "presets",
    "recipes",
    "look",
    "export",
    "serve",
    "drift",
    "info",
    "pack",
    "cache",
    "doctor",
    "scheduler",
    "worker",
)
for _name in _COMMANDS:  # by name, so that the command that is typed is imported, and no other
    app.command(f"plainfilm.cli.{_name}:{_name}", name=_name, help_epilogue="")
_GROUPS = {
    "weights": (weights_app, ("list", "fetch", "import")),
    "cluster": (cluster_app, ("certificate", "plan", "run", "join")),
}
for _group, (_app, _names) in _GROUPS.items():
    for _name in _names:
        _app.command(f"plainfilm.cli.{_group}:{_group}_{_name}", name=_name)


@app.command(name="help", help_epilogue="")
def _help(*command: str) -> None:
    """Show what plainfilm can do, or everything about one command: the same as COMMAND --help.

    Parameters
    ----------
    command
        A command, such as train, or weights fetch.
    """
    app([*command, "--help"], exit_on_error=False, print_error=False)


def _load_all() -> None:
    """Import every command: the help of all says a sentence of each."""
    for parent, names in ((app, _COMMANDS), *_GROUPS.values()):
        for name in names:
            parent[name]


@wording.flags()
def main() -> None:
    """Run the command line."""
    try:
        try:
            _run()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:  # `plainfilm info … | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt as stop:
        fail(_left(stop), "", 130)
    except Exception as error:
        if streams.is_debugging() and not isinstance(error, PlainfilmError):
            raise
        fail(*_told(error))


def _run() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):  # of itself it knows of no container's quota
        os.environ.setdefault(threads, str(processors()))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's: they wait by spinning, beside whatever else runs
    streams.prepare()
    atexit.register(gc.freeze)  # or Python looks through all of Keras for garbage before it ends, for half a second
    words = prepared(sys.argv[1:], {*_COMMANDS, *_GROUPS, "help"})
    if not {*_COMMANDS} & {*words[:1]}:
        _load_all()
    app(words, exit_on_error=False, print_error=False)


def _left(stop: KeyboardInterrupt) -> str:
    """Say what Ctrl-C has left: what whoever was stopped told of it, or what holds where nobody did."""
    if isinstance(stop.__context__, KeyboardInterrupt):
        return (
            "Stopped twice, the second time while it cleared up. A hidden file or folder that ends in .partial may be left beside "
            "what was to be written; the next command that writes there removes it."
        )
    told = getattr(stop, "__notes__", ()) or [
        "What was unfinished is removed, what was there before is as it was. Run the same command to begin again."
    ]
    return " ".join(["Stopped.", *told])


def _told(error: Exception) -> tuple[str, str, int]:
    """Give what to say of an error, what to do about it, and the exit code."""
    match error:
        case cyclopts.CycloptsError():
            return _usage(error), f"See {shell.joined(['plainfilm', *(error.command_chain or ())])} --help.", 2
        case PlainfilmError():
            return str(error), "", error.exit_code
        case ModuleNotFoundError():
            missing = extras.missing(str(error.name).partition(".")[0], "this command")
            return str(missing), "", missing.exit_code
        case OSError():
            where = f" {error.filename}" if error.filename else ""
            received = f"Expected to read and write files; received{where}: {reason_of(error)}."
            return received, "Check the disk and its permissions.", 1
        case UnicodeEncodeError() | MemoryError():
            return next(said for kind, said in _HELPLESS.items() if isinstance(error, kind))
        case _:
            return f"Expected to end well; received a fault of plainfilm's own in {_place(error)}.", _REPORT, 1


def _place(error: BaseException) -> str:
    """Name the line of ours where an error came up."""
    import traceback

    places = [(str(frame.f_globals.get("__name__")), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    module, line = [place for place in places if place[0].startswith("plainfilm")][-1]
    return f"{module}, line {line}"


def _usage(error: cyclopts.CycloptsError) -> str:
    unused = error.unused_tokens or []
    if isinstance(error, cyclopts.MissingArgumentError) and error.argument is not None and not error.tokens_so_far:
        return f"Expected {_shown(error.argument)}; received none."
    if isinstance(error, cyclopts.UnusedCliTokensError) and unused:
        return f"Expected no further words; received {shell.joined(unused)}."
    if isinstance(error, cyclopts.UnknownCommandError) and unused and not error.command_chain:
        near = _near(unused[0])
        return f"Expected a command or a path; received {shell.joined(unused[:1])}, which is neither.{f' Did you mean {near}?' if near else ''}"
    return " ".join(str(error).split())


def _shown(argument: cyclopts.Argument) -> str:
    """Name an argument as it may be given: by its place, or by its flag."""
    if argument.index is None:
        return argument.name
    metavar = argument.parameter.metavar
    return f"{argument.name.lstrip('-').upper() if metavar in {None, 'PATH'} else metavar} (or {argument.name})"


def _near(word: str) -> str:
    """Give the command, file or folder here whose name is nearest to a word, "" for none."""
    import difflib

    here = [path.name for path in Path().iterdir()]
    return next(iter(difflib.get_close_matches(word, [*_COMMANDS, *_GROUPS, *here], n=1, cutoff=0.7)), "")
