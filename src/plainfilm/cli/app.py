"""`plainfilm app`."""

import json
import os
import sys
import webbrowser
from pathlib import Path
from threading import Thread
from typing import Annotated

from cyclopts import Parameter

from plainfilm import NOTICE
from plainfilm.cli.options import AsJson
from plainfilm.extras import EXTRAS, require


def app(
    *,
    root: Annotated[Path | None, Parameter(metavar="FOLDER", show_default=False)] = None,
    work: Annotated[Path | None, Parameter(metavar="FOLDER", show_default=False)] = None,
    host: str = "127.0.0.1",
    exposed: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    port: int = 0,
    browser: Annotated[bool, Parameter(negative="--no-browser", show_default=False)] = True,
    quiet: Annotated[bool, Parameter(help="Print the address alone.", negative="", show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Go the whole way in a browser on this machine: choose a folder, train, read the report, try the classifier. Nothing leaves the machine.

    Parameters
    ----------
    root
        The folder below which the app looks for radiographs; by default your home folder. Nothing outside it
        can be chosen, and nothing is written there.
    work
        Where projects are kept, below the root; by default plainfilm-projects in it.
    host
        Address to bind to: this machine's own.
    exposed
        With another host: other machines are to reach the app, and with its address can read all below the root, over a line that is
        not encrypted.
    port
        Port of the page; 0 for any that is free.
    browser
        Open the browser.
    """
    require("the app", *EXTRAS["app"], *EXTRAS["serve"])
    from plainfilm.app import server  # no terminal: its tables bring what answers do not need

    def started(address: str, is_own: bool) -> None:
        if as_json:
            told = {"format": "plainfilm-app", "version": 1, "address": address, "serves": is_own}
            print(json.dumps(told), flush=True)
        elif quiet:
            print(address, flush=True)
        else:
            said = "Open" if is_own else "plainfilm app runs already. Open"
            stops = " Ctrl-C stops; what runs, runs on." if is_own else ""
            print(f"{said} {address}", f"The address is good once. {NOTICE}{stops}", sep="\n", flush=True)
        if browser:
            _open(server.leading_to(address, settings))

    settings = server.AppSettings(root=root or Path.home(), work=work, host=host, port=port, exposed=exposed)
    server.run(settings, started=started)


def _open(address: str) -> None:
    """Open a browser, where there is a screen: one in the terminal would hold us up, and what it draws there hides the address."""
    if sys.platform != "linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"))):
        Thread(target=webbrowser.open, args=(address,), name="browser").start()
