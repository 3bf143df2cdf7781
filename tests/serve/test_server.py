import asyncio
import datetime
import ipaddress
import json
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from made_files import dataset, dicom_bytes, film
from made_requests import asked, connected, descendants, form, head, own_places, part, post, received, started
from plainfilm.errors import PlainfilmError, UsageError
from plainfilm.serve import listening
from plainfilm.serve import server as running
from plainfilm.serve.clients import client_of
from plainfilm.serve.http_errors import CSP
from plainfilm.serve.http_limits import Connections
from plainfilm.serve.middleware import API
from plainfilm.serve.server import ServerSettings
from waiting import WAIT_S, until

PREDICT = f"{API}/predict"
TOKEN = "a-token-of-some-length"
MARKER = "Doe-Jane-1950"


def refused(bundle="model.plainfilm", **settings):
    with pytest.raises(PlainfilmError) as caught:
        running.serve(
            ServerSettings(bundles={"b": Path(bundle)}, **settings), started=lambda *_: pytest.fail("it was started")
        )
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("Expected ")
    return caught.value


@pytest.fixture(autouse=True)
def no_token(monkeypatch):
    monkeypatch.delenv("PLAINFILM_TOKEN", raising=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "example.org", "127.0.0.1.example.org", "0"])
def test_an_address_that_others_reach_needs_a_token(host):
    assert isinstance(refused(host=host), UsageError)
    assert "token" in str(refused(host=host))


@pytest.mark.parametrize("token", ["short", "fifteen letters", "x" * 20 + "\n" + "y", "ü" * 20])
def test_a_weak_token_is_refused_wherever_it_serves(monkeypatch, tmp_path, token):
    monkeypatch.setenv("PLAINFILM_TOKEN", token)
    assert "at least 16 printable ASCII letters" in str(refused())
    (tmp_path / "token").write_text(token)
    monkeypatch.delenv("PLAINFILM_TOKEN")
    assert "at least 16 printable ASCII letters" in str(refused(token_file=tmp_path / "token"))


def test_an_empty_or_missing_token_file_is_no_open_door(tmp_path):
    (tmp_path / "token").write_text("\n")
    assert "at least 16" in str(refused(token_file=tmp_path / "token"))
    assert "readable file" in str(refused(token_file=tmp_path / "none"))


def test_a_certificate_needs_its_key_and_both_must_be_there(tmp_path):
    (tmp_path / "some.pem").write_text("x")
    assert "together" in str(refused(certificate=tmp_path / "some.pem"))
    assert "together" in str(refused(key=tmp_path / "some.pem"))
    assert "PEM" in str(refused(certificate=tmp_path / "some.pem", key=tmp_path / "none.pem"))


def test_a_certificate_that_is_none_is_said_before_anything_is_opened(tmp_path):
    (tmp_path / "some.pem").write_text("x")
    assert "PEM" in str(refused(certificate=tmp_path / "some.pem", key=tmp_path / "some.pem"))


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, {"127.0.0.1", "localhost", "[::1]"}),
        ({"allowed": ["Films.Example"]}, {"127.0.0.1", "localhost", "[::1]", "films.example"}),
        ({"host": "127.0.0.2"}, {"127.0.0.1", "localhost", "[::1]", "127.0.0.2"}),
        ({"host": "0:0:0:0:0:0:0:1"}, {"127.0.0.1", "localhost", "[::1]"}),
    ],
)
def test_the_names_that_it_answers_to_are_its_own(settings, names):
    assert listening.names_of(**{"host": "127.0.0.1"} | settings) == names


def test_bound_to_all_addresses_it_answers_to_no_wildcard():
    names = listening.names_of("0.0.0.0")
    assert socket.gethostname().lower() in names
    assert "0.0.0.0" not in names


@pytest.mark.parametrize(
    ("caller", "forwarded", "client"),
    [
        ("192.0.2.1", "203.0.113.9", "203.0.113.9"),
        ("192.0.2.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
    ],
)
def test_a_proxy_that_was_named_says_who_the_client_is_and_nobody_else_does(caller, forwarded, client):
    seen = []

    async def app(scope, receive, send):
        seen.append(client_of(scope["client"]))

    settings = ServerSettings(bundles={"b": Path("b")}, proxies=["192.0.2.1"])
    config = running._config(app, settings, Connections(settings.proxies))
    config.load()
    scope = {"type": "http", "client": (caller, 1), "headers": [(b"x-forwarded-for", forwarded.encode())]}
    asyncio.run(config.loaded_app(scope, None, None))
    assert seen == [client]


def test_without_a_named_proxy_nobody_says_who_the_client_is():
    config = running._config(None, ServerSettings(bundles={"b": Path("b")}), Connections())
    assert config.proxy_headers is False


@pytest.mark.parametrize("proxy", ["*", "proxy.example", "10.0.0.0/8", ""])
def test_a_proxy_is_an_address(proxy):
    assert "--proxy" in str(refused(proxies=[proxy]))


# The command in a process


@pytest.fixture(scope="module")
def kept(small_bundle, tmp_path_factory):
    """A server that several tests ask, with nothing but an empty folder to write to, and not allowed to write a byte of a file."""
    folder = tmp_path_factory.mktemp("kept")
    places = own_places(folder)
    read, write = os.pipe()  # the log: RLIMIT_FSIZE holds for files, and stderr must not be one

    def confined():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        os.dup2(write, 2)

    log = folder / "log"
    keeping = threading.Thread(target=_keep, args=(read, log))
    keeping.start()
    with started(small_bundle, log, **places, preexec_fn=confined) as server:
        os.close(write)
        yield server, folder
        server.stop()
    keeping.join()


def _keep(read, log):
    with os.fdopen(read, "rb") as pipe, log.open("ab", 0) as file:
        while data := pipe.read1():
            file.write(data)


@pytest.mark.slow
def test_uploads_never_touch_the_disk(kept, small_films):
    server, folder = kept
    files = [(path.name, path.read_bytes()) for path in small_films[:5]] + [("big.png", bytes(20_000_000))]
    files.append((f"{MARKER}.dcm", dicom_bytes(dataset(film(300, 200)))))
    for path in (PREDICT, f"{API}/explain"):
        answer = asked(server.port, post(path, form(files if path == PREDICT else files[:1])))
        assert answer.status == 200, answer.body
    assert [each["level"] for each in asked(server.port, post(PREDICT, form(files))).json["predictions"]][5:] != [
        "ok",
        "ok",
    ]
    written = [path for name in ("home", "temporary", "here") for path in (folder / name).rglob("*")]
    assert written == []


@pytest.mark.slow
def test_the_log_is_objects_that_hold_nothing_of_a_file_or_a_header(kept, small_films):
    server, _ = kept
    names = {
        f"X-{MARKER}": MARKER,
        "User-Agent": MARKER,
        "Cookie": MARKER,
        "Referer": MARKER,
        "X-Forwarded-For": MARKER,
    }
    data = dicom_bytes(dataset(film(300, 200), PatientName=MARKER, PatientID=MARKER))
    requests = [
        post(PREDICT, form([(f"{MARKER}.dcm", data)], prevalence="0.1"), names),
        post(PREDICT, form([(f"{MARKER}.dcm", data)], prevalence=MARKER), names),
        post(PREDICT, form([(f"{MARKER}.dcm", data)])[:-9], names),
        post(PREDICT, b"--" + MARKER.encode(), {**names, "Content-Type": f"multipart/form-data; boundary={MARKER}"}),
        post(PREDICT, part(b"x") + MARKER.encode()),
        head("GET", f"/{MARKER}?{MARKER}", names),
        head("GET", f"{API}/health", {"Host": MARKER}),
        head("GET", f"{API}/health", {"Origin": f"http://{MARKER}"}),
        head("GET", f"{API}/health", {"Upgrade": "websocket", "Connection": "upgrade"}),
        f"{MARKER} / HTTP/1.1\r\n\r\n".encode(),
        head("POST", f"{API}/predict", {"Content-Length": MARKER}),
    ]
    before = len(server.lines)
    for request in requests:
        asked(server.port, request)
    until(lambda: len(server.lines) >= before + 9)
    assert {"request", "event", "level", "time", "status", "route", "ms", "method"} <= server.lines[before].keys()
    assert MARKER.lower() not in server.log.read_text().lower()


@pytest.mark.slow
def test_a_second_server_on_the_port_says_so_in_one_line(kept, small_bundle):
    server, _ = kept
    command = [sys.executable, "-m", "plainfilm", "serve", str(small_bundle), "--port", str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_S)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert f"Expected a free port of this machine; received 127.0.0.1:{server.port}" in done.stderr


@pytest.mark.slow
def test_the_server_answers_only_at_its_own_address(kept):
    server, _ = kept
    assert server.address == f"http://127.0.0.1:{server.port}"
    other = next((found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)), "127.0.0.1")
    if other.startswith("127."):
        pytest.skip("needs a second address of this machine")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((other, server.port), timeout=WAIT_S).close()


@pytest.mark.slow
def test_at_another_address_of_this_machine_it_answers_to_that(small_bundle, tmp_path):
    with started(small_bundle, tmp_path / "log", "--host", "127.0.0.2") as server:
        assert server.address.startswith("http://127.0.0.2:")
        with socket.create_connection(("127.0.0.2", server.port), timeout=WAIT_S) as link:
            link.sendall(head("GET", f"{API}/health", {"Host": f"127.0.0.2:{server.port}"}))
            assert received(link).status == 200


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("whole_group", [False, True])
def test_told_to_stop_it_answers_what_is_under_way_and_leaves_nothing(
    small_bundle, small_films, tmp_path, kind, whole_group
):
    with started(small_bundle, tmp_path / "log", start_new_session=True) as server:
        body = form([(str(n), small_films[n % 20].read_bytes()) for n in range(24)])
        assert asked(server.port, post(PREDICT, body)).status == 200
        below = [pid for pid, _ in descendants(server.process.pid)]
        assert below, "processes that decode"
        with connected(server.port) as link, connected(server.port) as idle:
            link.sendall(post(PREDICT, body))
            idle.sendall(head("GET", f"{API}/health"))
            assert received(idle).status == 200
            (os.killpg if whole_group else os.kill)(server.process.pid, kind)
            answer = received(link)
        assert answer.status == 200
        assert [each["level"] for each in answer.json["predictions"]].count("unreadable") == 0
        assert server.process.wait(WAIT_S) == 0
        assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]
        assert {line["level"] for line in server.lines} == {"info"}


@pytest.mark.slow
def test_a_stop_does_not_wait_for_those_who_hold_a_connection_open(small_bundle, tmp_path, monkeypatch):
    with started(small_bundle, tmp_path / "log", "--quiet") as server:
        with connected(server.port) as silent, connected(server.port) as half:
            half.sendall(b"GET / HTTP/1.1\r\nHo")
            silent.sendall(b"")
            time.sleep(0.2)
            assert server.stop() == 0
        assert server.log.read_text() == "", "uvicorn tells whom it waited for in vain"


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    """A certificate for 127.0.0.1 and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder, key = tmp_path_factory.mktemp("certified"), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "plainfilm tests")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder


@pytest.mark.slow
def test_https_and_a_token_from_a_file(small_bundle, small_films, certified, tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    words = [
        "--certificate",
        certified / "certificate.pem",
        "--key",
        certified / "key.pem",
        "--token-file",
        tmp_path / "token",
    ]
    with started(small_bundle, tmp_path / "log", *words) as server:
        assert server.address.startswith("https://127.0.0.1:")
        trusted = ssl.create_default_context(cafile=certified / "certificate.pem")
        with connected(server.port) as link, trusted.wrap_socket(link, server_hostname="127.0.0.1") as safe:
            body = form([("a", small_films[0].read_bytes())])
            safe.sendall(post(PREDICT, body, {"Authorization": f"Bearer {TOKEN}"}))
            answer = received(safe)
            assert (answer.status, answer.headers["content-security-policy"]) == (200, CSP)
            safe.sendall(head("GET", f"{API}/model"))
            assert received(safe).status == 401
            safe.sendall(head("GET", f"{API}/health"))
            assert received(safe).status == 200
        with connected(server.port) as plain:
            plain.sendall(head("GET", f"{API}/health"))
            assert plain.recv(100)[:5] != b"HTTP/"
        assert server.stop() == 0
        assert TOKEN not in server.log.read_text()
        assert all(json.dumps(line) for line in server.lines)


@pytest.mark.slow
def test_with_a_token_it_may_be_reached_from_elsewhere_under_the_names_it_was_given(small_bundle, tmp_path):
    words = ["--host", "0.0.0.0", "--allow-host", "films.example"]
    with started(small_bundle, tmp_path / "log", *words, env={"PLAINFILM_TOKEN": TOKEN}) as server:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert asked(server.port, head("GET", f"{API}/model", {**bearer, "Host": "films.example"})).status == 200
        assert asked(server.port, head("GET", f"{API}/model", {**bearer, "Host": "evil.example"})).status == 403
        assert asked(server.port, head("GET", f"{API}/model", {"Host": "films.example"})).status == 401


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_number_that_no_port_has_is_refused(port):
    with (
        pytest.raises(UsageError, match=f"--port from 0 to 65535; received {port}"),
        listening.listening_at("127.0.0.1", port),
    ):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]", ""])
def test_where_all_addresses_are_meant_the_one_that_is_printed_can_be_asked(host):
    assert listening.shown(host) == socket.gethostname()
    assert listening.shown(host).lower() in listening.names_of(host)


def test_a_site_that_the_bundle_does_not_know_is_refused_before_anything_is_started(small_bundle):
    assert "Expected a bundle that knows sites" in str(refused(small_bundle, site="Guangzhou"))


@pytest.mark.parametrize(
    "root",
    [
        "xray",
        "/xray/",
        "/x ray",
        "/api",
        "/page/x",
        "/dicom-web",
        "/a//b",
        "/a/../b",
        "/..",
        "/<b>",
        "/x?y",
        "//evil.example",
    ],
)
def test_a_path_before_ours_that_cannot_be_meant_is_refused_before_anything_is_started(root):
    assert "Expected --root-path as /xray" in str(refused(root_path=root))


@pytest.mark.parametrize("name", ["*", "*.example", "a b", "http://films.example", ""])
def test_a_host_that_no_request_can_name_is_refused_before_anything_is_started(name):
    assert f"without * or blanks; received {name}. Give each name." in str(refused(allow_hosts=[name]))


def test_a_host_is_allowed_whatever_its_port():
    assert {"films.example", "[::1]"} <= listening.names_of("127.0.0.1", ["Films.example:8000", "[::1]"])


def test_a_model_of_the_node_that_is_not_served_is_refused_before_anything_is_started():
    assert "Expected --dicom-model to name a bundle (b); received c." in str(refused(node_model="c"))


def test_named_tokens_alone_are_tokens(tmp_path):
    (tmp_path / "tokens.toml").write_text("")
    assert "received 0.0.0.0" not in str(refused(host="0.0.0.0", tokens=tmp_path / "tokens.toml"))
    assert "which has none" in str(refused(host="0.0.0.0", tokens=tmp_path / "tokens.toml"))
