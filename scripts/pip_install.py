"""`pip install` in sight of who waits: what it fetches now, and how many packages are unpacked.

    .venv/bin/python scripts/pip_install.py --editable '.[train]'

On a terminal this is one line that changes; elsewhere a line for fetching and one for unpacking. What pip complains of is
shown if it fails; the exit code is its own.
"""

import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PACKAGES = Path(sysconfig.get_path("purelib"))
CLEAR = "\r\x1b[K"  # the line of a terminal


def steps(pip: "subprocess.Popen[str]") -> Iterator[str]:
    """Say what pip does, from what it prints; pip itself is silent while it unpacks."""
    wanted, before = 0, len(list(PACKAGES.glob("*.dist-info")))
    for line in pip.stdout or ():
        found = re.match(r"(?:Collecting ([\w.-]+)|Processing \S*?([\w.]+)-[^/\s]+\.whl)", line)
        if found:
            wanted += 1
            yield f"fetching {found[1] or found[2]}"
        if line.startswith("Installing collected packages"):
            break
    while pip.poll() is None:
        here = len(list(PACKAGES.glob("*.dist-info"))) - before
        yield f"unpacking {min(here + 1, wanted)} of {wanted} packages"
        time.sleep(0.2)


def main() -> int:
    started, said, shows = time.monotonic(), "", sys.stdout.isatty()
    command = [sys.executable, "-m", "pip", "install", "--progress-bar", "off", *sys.argv[1:]]
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as pip:
            for step in steps(pip):
                kind = step.partition(" ")[0]
                if shows:
                    print(f"{CLEAR}{time.monotonic() - started:4.0f} s  {step}", end="", flush=True)
                elif kind != said:
                    print(f"{kind} …", flush=True)
                said = kind
        if pip.returncode:
            errors.seek(0)
            print(errors.read(), file=sys.stderr)
    done = "Not installed" if pip.returncode else "Installed"
    print(CLEAR * shows + f"{done}, {time.monotonic() - started:.0f} s.")
    return pip.returncode


if __name__ == "__main__":
    sys.exit(main())
