"""What a server must still be after hostile requests; `benchmarks/serve_hostile.py` asks it too."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from hostile_requests import MARKER, PREDICT
from made_files import encoded, gray_film
from made_requests import Started, asked, descendants, form, head, post
from waiting import until


def prediction(port: int, *, tries: int = 1) -> Any:
    """What a sound film is answered, without the request's own name; where there is no room, asked again a second later."""
    request = post(PREDICT, form([("film.png", encoded(Image.fromarray(gray_film(300, 260)), "PNG"))]))
    answer = asked(port, request)
    while answer.status == 503 and (tries := tries - 1):
        time.sleep(1.0)
        answer = asked(port, request)
    return answer.status, {**answer.json, "request_id": ""}


def harm(server: Started, before: Any, places: Path, *, tries: int = 1) -> dict[str, Any]:
    """What is no longer as it was, of a server that runs: by what it is about; empty where all is well."""
    port = server.port
    wrong = {
        "the server ended": server.process.poll() is not None,
        "health": asked(port, head("GET", "/api/v1/health")).json != {"status": "ok"},
        "ready": asked(port, head("GET", "/api/v1/ready")).json != {"status": "ready"},
        "the prediction changed": prediction(port, tries=tries) != before,
        "files were written": [str(path) for path in places.rglob("*") if path.is_file()],
        "zombies": _lasting_zombies(server.process.pid),
    }
    return {name: found for name, found in wrong.items() if found}


def _lasting_zombies(pid: int) -> list[int]:
    """Processes that ended and that nobody collects, however long one waits."""

    def found() -> list[int]:
        return [each for each, state in descendants(pid) if state == "Z"]

    with suppress(AssertionError):
        until(lambda: not found())
    return found()


def harm_at_the_end(server: Started) -> dict[str, Any]:
    """Stop a server; what its end and its log have against it, empty where all is well."""
    below = descendants(server.process.pid)
    wrong = {
        "exit": server.stop(),
        "processes left": [pid for pid, _ in below if Path(f"/proc/{pid}").exists()],
    }
    log = server.log.read_text()
    wrong |= {
        "the log tells what was sent": MARKER.lower() in log.lower(),
        "lines that are no objects": [line[:100] for line in log.splitlines() if not _is_object(line)][:5],
        "errors in the log": [line for line in log.splitlines() if '"level": "error"' in line][:5],
    }
    return {name: found for name, found in wrong.items() if found}


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
