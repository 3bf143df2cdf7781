"""The app (docs/app.md) as a process, and a client that asks it as a browser does: coming in, listing, working, and what befalls it."""

import hashlib
import json
import logging
import os
import shutil
import signal
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from made_app import App, Client
from made_files import encoded
from plainfilm.serve import telemetry
from waiting import until

NASTY = "<img src=x onerror=alert(1)> & 'q'"


def films(folder, classes=("COVID", NASTY), each=6):
    """Films of several patients a class, no two alike."""
    for place, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            grain = np.random.default_rng([place, number]).integers(0, 256, (8, 8), np.uint8)
            picture = Image.fromarray(grain).resize((96, 96), Image.Resampling.BICUBIC)
            (folder / name / f"p{place}{number}.png").write_bytes(encoded(picture, "PNG"))
    return folder


def contents(folder: Path) -> dict[str, tuple[str, int, int]]:
    """What is in a folder, to the byte, the time and the rights."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
            path.stat().st_mode,
        )
        for path in found
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    films(folder / "home" / "films")
    return folder / "home"


@pytest.fixture(scope="module")
def app(home):
    with App(home, log=home.parent / "log") as started:
        yield started


@pytest.fixture(scope="module")
def client(app):
    return app.client()


def error(answer):
    status, _, body = answer
    told = json.loads(body)["error"]
    assert told["message"].startswith("Expected ")
    assert "\n" not in told["message"]
    return status, told["code"]


# ---- coming in


def test_the_address_is_good_once_and_gives_a_cookie(app, client):
    again = Client(app.told["address"], comes_in=False)
    status, headers, body = again.ask("GET", f"/?key={app.told['address'].rpartition('=')[2]}")
    assert (status, "set-cookie" in headers) == (401, False)
    assert b"Run <code>plainfilm app</code> again" in body
    assert error(again.ask("GET", "/api/state")) == (401, "cookie")
    assert error(again.ask("GET", "/files/films/run/report.html")) == (401, "cookie")
    status, headers, body = client.ask("GET", "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "frame-src 'self'" in headers["content-security-policy"]
    assert client.ask("GET", "/page/../server.py")[0] == 404
    assert client.ask("GET", "/page/%2e%2e%2fserver.py")[0] == 404


def test_a_second_app_opens_the_first(app, client, home):
    with App(home, log=home.parent / "log") as second:
        assert second.told["serves"] is False
        assert second.process.wait(60) == 0
        other = Client(second.told["address"])
    assert other.port == client.port
    assert other.get("/api/state")["work"] == str(home / "plainfilm-projects")


def test_another_sites_page_reaches_nothing(client):
    body, kind = json.dumps({"sources": ["/"]}).encode(), "application/json"
    assert error(client.ask("POST", "/api/look", body, content_type=kind, origin="http://evil.example")) == (
        403,
        "origin",
    )
    assert error(client.ask("POST", "/api/look", body, content_type=kind, origin="null")) == (403, "origin")
    assert error(client.ask("POST", "/api/look", body, content_type="text/plain")) == (415, "type")
    assert error(client.ask("POST", "/api/end", b"jobs=true", content_type="application/x-www-form-urlencoded")) == (
        415,
        "type",
    )
    assert error(client.ask("GET", "/api/state", host="evil.example")) == (403, "host")
    assert error(client.ask("GET", "/api/state", sec_fetch_site="cross-site")) == (403, "origin")


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", "json"), (b"{", "json"), (b"[]", "json"), (b"[" * 100_000, "json"), (b'{"sources": 5}', "inputs"), (b"{}", "inputs"), (b" " * (1 << 21), "body-too-large")],
    ids=range(7),
)  # fmt: skip
def test_a_body_that_is_none_is_said_in_one_line(client, body, code):
    assert error(client.ask("POST", "/api/look", body, content_type="application/json"))[1] == code


def test_what_is_not_there_is_said_in_one_line(client):
    for method, path, wanted in [
        ("GET", "/api/none", (404, "not-found")),
        ("GET", "/api/look/none", (404, "look")),
        ("POST", "/api/state", (405, "method")),
        ("GET", "/api/options?verb=serve", (404, "verb")),
        ("GET", "/files/films/none/report.html", (404, "not-found")),
        ("GET", "/files/films/..%2f..%2f/x", (404, "not-found")),
        ("GET", "/files/.app/jobs/x", (400, "project")),
        ("GET", "/files/%2e%2e/x", (400, "project")),
        ("GET", "/api/picture?of=/etc/passwd", (403, "outside")),
        ("GET", "/api/folders?path=/", (403, "outside")),
        ("GET", "/api/folders?prefix=/etc/pas", (403, "outside")),
        ("GET", "/api/doubts?made=/etc", (403, "outside")),
    ]:
        assert error(client.ask(method, path)) == wanted, path


# ---- looking


def test_folders_are_a_tree_to_choose_from(client, home):
    (home / "archive.zip").write_bytes(b"PK\5\6" + bytes(18))
    (home / "labels.csv").write_text("file_name,label\n")
    told = client.get("/api/folders")
    assert (told["path"], told["parent"]) == (str(home), None)
    assert {each["name"] for each in told["folders"]} == {"films", "plainfilm-projects"}
    assert [each["name"] for each in told["archives"] + told["tables"]] == ["archive.zip", "labels.csv"]
    below = client.get(f"/api/folders?path={quote(str(home / 'films' / 'COVID'))}")
    assert (below["images"], below["parent"], below["more"]) == (6, str(home / "films"), False)
    assert [each["name"] for each in client.get(f"/api/folders?prefix={quote(str(home))}/fi")["folders"]] == ["films"]


def test_a_folder_is_listed_as_ingest_lists_it_with_pictures(client, home):
    told = client.looked(home / "films", size="128")
    assert (told["state"], told["found"], told["by_folder"]) == ("done", 12, {"COVID": 6, NASTY: 6})
    assert told["command"].endswith("--size 128 --dry-run")
    listing = told["listing"]
    assert (listing["format"], listing["images"], listing["classes"]) == (
        "plainfilm-ingest-listing",
        12,
        [NASTY, "COVID"],
    )
    assert [len(paths) for paths in listing["examples"].values()] == [4, 4]
    status, headers, picture = client.ask("GET", f"/api/picture?size=64&of={quote(listing['examples'][NASTY][0])}")
    assert (status, headers["content-type"], picture[:4]) == (200, "image/png", b"\x89PNG")
    (home / "films" / "text.png").write_text("none")
    line = json.loads(client.ask("GET", f"/api/picture?of={quote(str(home / 'films' / 'text.png'))}")[2])["error"]
    (home / "films" / "text.png").unlink()
    assert line["code"] == "picture"
    assert line["message"].startswith("Expected JPEG, PNG")
    assert error(client.ask("GET", "/api/picture?size=9999&of=/x"))[0] in {400, 403}


def test_a_folder_that_is_none_or_was_taken_away_ends_in_one_line(client, home):
    (home / "empty").mkdir(exist_ok=True)
    told = client.looked(home / "empty")
    assert (told["state"], told["listing"]) == ("failed", None)
    assert told["line"].startswith("Expected JPEG, PNG, TIFF")
    shutil.rmtree(home / "empty")
    assert "does not exist" in client.looked(home / "empty")["line"]


# ---- working


def test_a_job_reads_a_folder_and_changes_nothing_in_it(client, home):
    before = contents(home / "films")
    asked = {"verb": "ingest", "inputs": [str(home / "films")], "options": {"size": "64", "workers": 1}}
    shown = client.post("/api/command", asked)
    job = client.post("/api/job", asked)
    assert job["commands"] == shown["commands"]
    done = client.rested(job["id"])
    assert (done["state"], done["line"], done["made"]) == (
        "done",
        "",
        str(home / "plainfilm-projects" / "films" / "films.h5"),
    )
    assert done["progress"][-1]["stage"] == "Reading radiographs"
    store = until(lambda: (found := client.get("/api/state")["projects"][0]["stores"][0])["images"] and found)
    assert (store["images"], store["classes"], store["task"], store["command"]) == (
        12,
        [NASTY, "COVID"],
        "classes",
        shown["commands"],
    )
    (home / "films" / "COVID" / "p09.png").write_bytes(encoded(Image.linear_gradient("L").resize((96, 96)), "PNG"))
    added = client.rested(client.post("/api/job", {"verb": "add", "inputs": [store["path"]]})["id"])
    assert (added["state"], added["commands"][0].endswith("--add")) == ("done", True)
    until(lambda: client.get("/api/state")["projects"][0]["stores"][0]["images"] == 13)
    (home / "films" / "COVID" / "p09.png").unlink()
    assert contents(home / "films") == before


def test_a_folder_taken_away_before_its_turn_ends_in_one_line(client, home):
    films(home / "gone", each=1)
    asked = {"sources": [str(home / "gone")], "recipe": "quick"}
    commands = client.post("/api/command", asked)["commands"]
    shutil.rmtree(home / "gone")
    job = client.post("/api/train", asked)
    assert job["commands"] == commands
    failed = client.rested(job["id"])
    assert (failed["state"], failed["step"]) == ("failed", 0)
    assert failed["line"].startswith("Expected a folder or archive of radiographs; received ")
    films(home / "gone", each=1)
    client.post(f"/api/job/{job['id']}/again")
    assert client.rested(job["id"])["line"].startswith("Expected ")
    assert client.post(f"/api/job/{job['id']}/forget") == {}
    assert client.job(job["id"]) is None
    shutil.rmtree(home / "gone")


def test_two_windows_see_the_same(app, client, home):
    other = Client(json.loads(_second(home))["address"])
    number = other.get("/api/state")["number"]
    job = client.post("/api/job", {"verb": "relabel", "inputs": [str(home / "plainfilm-projects" / "none.h5")]})
    seen = other.get(f"/api/state?since={number}")
    assert job["id"] in [each["id"] for each in seen["jobs"]]
    first, second = client.rested(job["id"]), other.rested(job["id"])
    assert first == second
    assert other.post(f"/api/job/{job['id']}/stop")["error"]["code"] == "state"


def _second(home):
    with App(home, log=home.parent / "log") as second:
        return json.dumps(second.told)


def test_a_page_that_a_run_brings_reaches_nothing_of_ours(client, home):
    run = home / "plainfilm-projects" / "films" / "theirs"
    run.mkdir(parents=True)
    (run / "report.html").write_text("<script>fetch('/api/state')</script>")
    (run / "metrics.json").write_text("{}")
    (run / "out.html").symlink_to("/etc/passwd")
    status, headers, _ = client.ask("GET", "/files/films/theirs/report.html")
    policy = headers["content-security-policy"]
    assert (status, policy.split(";")[0]) == (200, "sandbox allow-scripts allow-popups allow-downloads")
    assert "connect-src" not in policy
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
    assert headers["cross-origin-opener-policy"] == "unsafe-none"
    assert error(client.ask("GET", "/files/films/theirs/out.html"))[0] in {403, 404}
    assert (
        client.ask("GET", "/files/films/theirs/report.html?download=1")[1]["content-disposition"]
        == "attachment; filename*=UTF-8''report.html"
    )
    shutil.rmtree(run)


def test_dropped_files_become_a_source(client, home):
    for path in sorted((home / "films").rglob("*.png")):
        status, told = client.dropped("mine", str(path.relative_to(home)).replace(NASTY, "OTHER"), path.read_bytes())
        assert status == 200, told
    assert client.dropped("mine", "films/.DS_Store", b"x") == (200, {"path": None})
    status, told = client.dropped("mine", "../../evil.png", b"x")
    assert (status, told["error"]["code"]) == (400, "name")
    assert client.dropped("..", "a.png", b"x")[0] == 400
    listing = client.looked(home / "plainfilm-projects" / "mine" / "dropped")["listing"]
    assert (listing["images"], listing["classes"]) == (12, ["COVID", "OTHER"])


# ---- what befalls it


def test_an_app_that_is_killed_leaves_its_job_running_and_the_next_one_finds_it(tmp_path):
    films(tmp_path / "home" / "films")
    (tmp_path / "other").mkdir()
    with App(tmp_path / "home", log=tmp_path / "log") as first:
        client = first.client()
        job = client.post(
            "/api/job",
            {"verb": "ingest", "inputs": [str(tmp_path / "home" / "films")], "options": {"size": "64", "workers": 1}},
        )
        waits = client.post(
            "/api/job",
            {"verb": "ingest", "inputs": [str(tmp_path / "home" / "films")], "options": {"size": "32", "workers": 1}},
        )
        until(lambda: client.job(job["id"])["state"] != "waiting")
        first.end(signal.SIGKILL)
    with App(tmp_path / "home", log=tmp_path / "log") as second:
        client = second.client()
        assert second.told["serves"] is True
        assert [client.rested(each["id"])["state"] for each in (job, waits)] == ["done", "done"]
        stores = (tmp_path / "home" / "plainfilm-projects").glob("*/*.h5")
        assert {str(path.relative_to(path.parents[1])) for path in stores} == {"films/films.h5", "films-2/films.h5"}
        assert client.post("/api/end") == {}
        assert second.process.wait(60) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_ctrl_c_ends_it_and_the_processes_that_serve_the_page(tmp_path):
    films(tmp_path / "home" / "films", each=1)
    with App(tmp_path / "home", log=tmp_path / "log") as started:
        client = started.client()
        picture = tmp_path / "home" / "films" / "COVID" / "p00.png"
        assert client.ask("GET", f"/api/picture?of={quote(str(picture))}")[0] == 200
        below = [
            int(pid)
            for pid in Path(f"/proc/{started.process.pid}/task/{started.process.pid}/children").read_text().split()
        ]
        assert below
        assert started.end(signal.SIGINT) == 0
    assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]
    assert not (tmp_path / "home" / "plainfilm-projects" / ".app" / "app.json").exists()
    assert (tmp_path / "home" / "plainfilm-projects" / ".app").stat().st_mode & 0o077 == 0
    assert (tmp_path / "log").read_text() == ""


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("--host", "0.0.0.0"),
            "Expected --host to be this machine's own, 127.0.0.1; received 0.0.0.0, which other machines reach",
        ),
        (("--root", "/no/such/folder"), "Expected --root to be a folder; received /no/such/folder"),
        (("--work", "/tmp"), "Expected --work to be a folder below "),
        (("--port", "99999"), "Expected --port from 0 to 65535; received 99999"),
    ],
)
def test_what_cannot_be_started_is_said_in_one_line(call, tmp_path, words, line):
    logs = telemetry.LOG.level, logging.getLogger().handlers
    code, out, err = call("app", *([] if "--root" in words else ["--root", str(tmp_path)]), "--no-browser", *words)
    assert (code in {1, 2}, out, err.count("\n")) == (True, "", 1)
    assert line in err
    assert (telemetry.LOG.level, logging.getLogger().handlers) == logs


def test_a_folder_that_another_user_may_have_filled_is_refused(call, tmp_path, monkeypatch):
    (tmp_path / "plainfilm-projects" / ".app").mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    code, _, err = call("app", "--root", str(tmp_path), "--no-browser")
    assert (code, err.count("\n")) == (2, 1)
    assert "this user's own folder" in err
