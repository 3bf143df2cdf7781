"""Runs the commands of a job, one after another, in a session of its own: it outlives the app, and whoever looks finds how it ended.

`python -P -m plainfilm.app.runner FOLDER`; the folder has job.json, and gets progress-N.jsonl, stdout-N and stderr-N of each command and
ended.json. The lock on `running` is held, by this process and by the command, as long as any of it lives, that on `minded` by this
process alone. A file `stop` ends the command.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from plainfilm.app import locks

JOB, ENDED, STOP, BEGUN = "job.json", "ended.json", "stop", "begun.json"
RUNNING, MINDED = "running", "minded"
_LOOK_S = 0.2
_PATIENCE_S = (20.0, 20.0)  # after SIGINT, and after SIGTERM
_IS_WINDOWS = sys.platform == "win32"


def main(folder: Path) -> None:
    """Run what is left of a job."""
    lock = locks.take(folder / RUNNING, waits=True)
    if lock is None or locks.take(folder / MINDED, waits=True) is None:
        return
    told = json.loads((folder / JOB).read_bytes())
    code, step, was_stopped = 0, told["first"], False
    for step in range(told["first"], len(told["commands"])):
        if _is_made(told, step):
            continue
        code, was_stopped = _run(folder, step, told["commands"][step], lock)
        if code or was_stopped:
            break
    ended = {"code": code, "step": step, "stopped": was_stopped and code != 0, "at": time.time()}
    locks.write(folder / ENDED, json.dumps(ended).encode())


def _is_made(told: dict[str, Any], step: int) -> bool:
    """Whether what a step makes is there since the job was made: commands put it in its place whole."""
    made = Path(told["makes"][step])
    with contextlib.suppress(OSError):
        return bool(told["again"]) and not told["adds"] and made.stat().st_mtime >= told["created"]
    return False


def _run(folder: Path, step: int, words: list[str], lock: int) -> tuple[int, bool]:
    """Run one command; give its exit code, and whether it was asked to stop."""
    environment = os.environ | {
        "PLAINFILM_PROGRESS": str(folder / f"progress-{step}.jsonl"),
        "PYTHONIOENCODING": "utf-8",
    }
    inherited: dict[str, Any] = {} if _IS_WINDOWS else {"pass_fds": [lock], "start_new_session": True}
    with (folder / f"stdout-{step}").open("wb") as out, (folder / f"stderr-{step}").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "plainfilm", *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            **inherited,
        )
    locks.write(folder / BEGUN, json.dumps({"pid": process.pid, "step": step, "at": time.time()}).encode())
    was_asked = False
    while process.poll() is None:
        if not was_asked and (folder / STOP).exists():
            was_asked = True
            _stop(process)
        time.sleep(_LOOK_S)
    return process.returncode, was_asked


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Let a command stop as Ctrl-C does, then as who waits in vain does; its own processes end with it."""
    if _IS_WINDOWS:  # no Ctrl-C reaches a process without a console; what it writes is whole or not there
        process.terminate()
        process.wait()
        return
    process.send_signal(signal.SIGINT)
    for kind, seconds in zip((signal.SIGTERM, signal.SIGKILL), _PATIENCE_S, strict=True):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, kind)
        else:
            return
    process.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
