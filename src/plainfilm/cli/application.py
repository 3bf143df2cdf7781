"""All commands in one application. Turns an error into one line and an exit code."""

import atexit
import gc
import os
import shlex
import sys

import cyclopts

from plainfilm import NOTICE, __version__, extras
from plainfilm.cli.output import fail
from plainfilm.errors import PlainfilmError
from plainfilm.model.cpus import processors

app = cyclopts.App(
    name="plainfilm",
    version=__version__,
    help=f"From a folder of chest X-rays to a classifier, and plain words about what its accuracy is worth.\n\n{NOTICE}",
    suppress_keyboard_interrupt=False,
    default_parameter=cyclopts.Parameter(negative=""),
    help_epilogue="First steps: `plainfilm demo`, then `plainfilm ingest FOLDER --out my.h5` and `plainfilm train my.h5 --out run`.",
)
weights_app = cyclopts.App(
    name="weights",
    help="ImageNet weights of the backbones: what is here, where it came from, its licence.",
    help_epilogue="",
)
app.command(weights_app)
_COMMANDS = (
    "demo",
    "ingest",
    "train",
    "audit",
    "compare",
    "tune",
    "predict",
    "evaluate",
    "presets",
    "export",
    "serve",
    "info",
    "doctor",
)
for _name in _COMMANDS:  # by name, so that the command that is typed is imported, and no other
    app.command(f"plainfilm.cli.{_name}:{_name}", name=_name, help_epilogue="")
for _name in ("list", "fetch", "import"):
    weights_app.command(f"plainfilm.cli.weights:weights_{_name}", name=_name)


def _load_all() -> None:
    """Import every command: the help of all says a sentence of each."""
    for parent, names in ((app, _COMMANDS), (weights_app, tuple(weights_app))):
        for name in names:
            parent[name]


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):  # of itself it knows of no container's quota
        os.environ.setdefault(threads, str(processors()))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's: they wait by spinning, beside whatever else runs
    atexit.register(gc.freeze)  # or Python looks through all of Keras for garbage before it ends, for half a second
    if not {*_COMMANDS} & {*sys.argv[1:2]}:
        _load_all()
    try:
        app(sys.argv[1:], exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        fail(_usage(error), f"See {shlex.join(['plainfilm', *(error.command_chain or ())])} --help.", 2)
    except PlainfilmError as error:
        fail(str(error), "", error.exit_code)
    except ModuleNotFoundError as error:
        missing = extras.missing(str(error.name).partition(".")[0], "this command")
        fail(str(missing), "", missing.exit_code)
    except BrokenPipeError:  # `plainfilm info … | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        fail(f"Expected to read and write files; received: {error}.", "Check the disk and its permissions.", 1)
    except KeyboardInterrupt:
        fail("Stopped. Nothing was half-written; run the same command to start again.", "", 130)


def _usage(error: cyclopts.CycloptsError) -> str:
    if isinstance(error, cyclopts.MissingArgumentError) and error.argument is not None and not error.tokens_so_far:
        return f"Expected {error.argument.name}; received none."
    return " ".join(str(error).split())
