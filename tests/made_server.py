"""A bundle trained in seconds, and the server that users start, on a free loopback port, for the tests of `serve`."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plainfilm import pipeline
from plainfilm.data import phantom

TOKEN = "a-token-for-the-tests"
_QUICK = {"backbone.input_size": 96, "training.epochs": 3}
_STOP_S = 30


def trained(folder: Path) -> Path:
    """Train on 90 made radiographs, `folder`/films, without an audit; give the bundle."""
    phantom.write_phantoms(folder / "films", n=90, seed=4)
    pipeline.ingest(folder / "films", folder / "s.h5", size=96, fit="pad", workers=1)
    run = pipeline.train(folder / "s.h5", folder / "run", settings=_QUICK, audit=False).folder
    return run / "model.plainfilm"


@contextmanager
def serving(bundle: Path, *words: str, token: str | None = None) -> Iterator[str]:
    """Run `plainfilm serve BUNDLE` and give its address; stop it as a user would."""
    environment = {name: value for name, value in os.environ.items() if name != "PLAINFILM_TOKEN"}
    if token:
        environment["PLAINFILM_TOKEN"] = token
    command = [sys.executable, "-m", "plainfilm", "serve", str(bundle), "--port", "0", "--quiet", "--json", *words]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line, f"it ended with {server.wait(_STOP_S)}"
        yield json.loads(line)["address"]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(_STOP_S)
