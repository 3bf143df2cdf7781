"""Starting and stopping: bundles, their processes, the web server, and the DICOM node beside it."""

import ipaddress
import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, Protocol, Self

import uvicorn

from plainfilm.arguments import Device
from plainfilm.data import confinement
from plainfilm.data.decoder_pool import Decoders
from plainfilm.data.images import MAX_BYTES
from plainfilm.errors import UsageError
from plainfilm.model.cpus import processors
from plainfilm.model.shared_trunk import Trunks
from plainfilm.reasons import reason_of
from plainfilm.serve import http_limits, telemetry, tls, tokens
from plainfilm.serve.admission import Admission, Amount
from plainfilm.serve.answer_log import AnswerLog
from plainfilm.serve.batching import Judge
from plainfilm.serve.clients import client_of
from plainfilm.serve.explaining import OrderlyExaminer
from plainfilm.serve.http_limits import Connections
from plainfilm.serve.listening import Server, is_loopback, listening_at, names_of, shown
from plainfilm.serve.middleware import Door, Guard
from plainfilm.serve.models import Models, Opening, Served
from plainfilm.serve.multipart import Limits
from plainfilm.serve.page_files import PageFiles
from plainfilm.serve.routes import ANSWER_S, RestService, application
from plainfilm.serve.tokens import Tokens
from plainfilm.serve.turns import Turns
from plainfilm.serve.watching import Watch

TOKEN_VARIABLE = "PLAINFILM_TOKEN"
FEWEST_TOKEN_LETTERS = 16
LIMITS = Limits(files=64, file_bytes=MAX_BYTES, request_bytes=256_000_000)
MOST = Amount(uploads=128, files=128, held=1 << 30)  # of all clients; one alone may hold half of it
STOP_S = 20
_STDERR = 2
_HOST = re.compile(r"([^\s:/*\[\]]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")
_ROOT = re.compile(r"(/(?!\.+(/|\Z))[A-Za-z0-9._~-]+)*")
_OWN = (["api"], ["page"], ["dicom-web"])  # first parts of our paths


class BackgroundNode(Protocol):
    """What a DICOM node is to the server; `serve.dicom.node` has the one that there is."""

    def start(self) -> None:
        """Take connections, and go on with what is left from before."""

    def stop(self, grace_s: float) -> None:
        """Take no more, and finish what is begun."""

    @property
    def is_alive(self) -> bool:
        """Whether it takes connections and answers."""

    spool: Any

    def trouble(self) -> str:
        """Why its work does not move; nothing where it does."""

    def answer_by(self, examiner: OrderlyExaminer) -> None:
        """Let another model answer from now on."""

    def counts(self) -> Mapping[str, int]:
        """How many were received, judged, delivered, wait, and failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What is served, and where.

    `bundles` are files by the name that they answer under (`models.named`), the first by default, signed for `require_signature` if that is given, with the calibration of
    `site`, on `device`; `host` and `port` to bind to, port 0 for any that is free; `allow_hosts` further names in a Host header, such as a proxy's; `token_file` a file with
    the access token for everybody, else the variable PLAINFILM_TOKEN; `tokens` a file of named ones; `proxies` addresses whose X-Forwarded-For names the client; `root_path`
    what a proxy puts before ours; `certificate` and `key` PEM files for TLS; `shows_text` leaves text in radiographs uncovered; `node` makes the DICOM node, if there is one,
    for the bundle named `node_model`, or the first; answers are appended to `log_answers`, with
    `log_names` under the names that files were sent by.
    """

    bundles: Mapping[str, Path]
    require_signature: Path | None = None
    site: str | None = None
    device: Device | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    allow_hosts: Sequence[str] = ()
    token_file: Path | None = None
    tokens: Path | None = None
    root_path: str = ""
    proxies: Sequence[str] = ()
    certificate: Path | None = None
    key: Path | None = None
    shows_text: bool = False
    node: Callable[[OrderlyExaminer], BackgroundNode] | None = None
    node_model: str | None = None
    log_answers: Path | None = None
    log_names: bool = False


def serve(settings: ServerSettings, *, quiet: bool = False, started: Callable[[str, Models], None]) -> None:
    """Serve until SIGINT or SIGTERM; then finish what is under way, `STOP_S` seconds at most. SIGHUP has files of bundles and of tokens read again.

    Parameters
    ----------
    settings
        What and where.
    quiet
        Log warnings and errors alone.
    started
        Called with the address and those who answer, once connections are taken.

    Raises
    ------
    UsageError
        An address that is not this machine's alone without a token, or settings that do not fit each other.
    BundleError
        As `plainfilm.load`.
    PlainfilmError
        The port is taken.
    """
    token = _token(settings.token_file)
    _check(settings, token)
    allowed = _tokens(settings, token)
    telemetry.log_to_stderr(quiet=quiet)
    with ExitStack() as stack:
        hangups = stack.enter_context(_Hangups())
        listening = stack.enter_context(listening_at(settings.host, settings.port))
        connections = Connections({client_of((each,)) for each in settings.proxies})
        service = _opened(settings, stack, connections)
        door = Door(hosts=names_of(settings.host, settings.allow_hosts), tokens=allowed, root=settings.root_path)
        app = Guard(application(service, PageFiles.of("plainfilm.serve")), door, service.telemetry)
        hangups.work = partial(_read_again, service.models, lambda: allowed.replace(_tokens(settings, token)))
        server = Server(_config(app, settings, connections))
        address = f"{'https' if settings.certificate else 'http'}://{shown(settings.host)}:{listening.getsockname()[1]}"
        started(address, service.models)
        server.run(sockets=[listening])


def _opened(settings: ServerSettings, stack: ExitStack, connections: Connections) -> RestService:
    """Start the processes, the judge and the node; the stack stops them, the node first."""
    turns = Turns(max(2, processors()) + 1)  # one is kept for light work
    decoders = Decoders(turns.places)
    watch = _watch(settings, stack)
    models = Models(settings.bundles, _opening(settings, decoders, watch))
    stack.callback(decoders.close)
    decoders.start()
    judge = Judge(decoders, turns)
    stack.callback(judge.close)
    stack.callback(turns.close)
    if unbounded := sorted(set(confinement.ALL) - set(decoders.bounded())):
        telemetry.LOG.warning("decoders not confined", extra={"event": {"unbounded": unbounded}})
    node = _node(settings, models, turns)
    stow = None
    if node:
        from plainfilm.serve.dicom import stow_rs as storing

        node.start()
        stack.callback(node.stop, STOP_S)
        stow = partial(storing.received, node.spool)
    admission = Admission(MOST)

    return RestService(
        models=models,
        judge=judge,
        turns=turns,
        admission=admission,
        telemetry=telemetry.Telemetry(partial(_gauges, connections, admission, turns, node), watch),
        watch=watch,
        limits=LIMITS,
        is_ready=lambda: judge.is_alive and (node is None or node.is_alive),
        trouble=node.trouble if node else lambda: "",
        stow=stow,
    )


def _gauges(
    connections: Connections, admission: Admission, turns: Turns, node: BackgroundNode | None
) -> Mapping[str, float]:
    """Give the numbers of this moment."""
    now = admission.under_way
    own = {
        "connections_turned_away": connections.turned_away,
        "files_under_way": now.files,
        "held_bytes": now.held,
        "uploads": now.uploads,
        "clients": admission.clients,
        **turns.figures(),
    }
    return own | {f"dicom_{name}": count for name, count in node.counts().items()} if node else own


def _opening(settings: ServerSettings, decoders: Decoders, watch: Watch) -> Opening:
    return Opening(
        decoders=decoders,
        limits=LIMITS,
        seconds=ANSWER_S,
        require_signature=settings.require_signature,
        site=settings.site,
        device=settings.device,
        shows_text=settings.shows_text,
        root=settings.root_path,
        trunks=Trunks() if len(settings.bundles) > 1 else None,  # of one alone, one session is the quicker
        watch=watch.over,
    )


def _node(settings: ServerSettings, models: Models, turns: Turns) -> BackgroundNode | None:
    """Make the node, which one of the models answers for, whatever takes its place."""
    if settings.node is None:
        return None
    name = settings.node_model or models.default.name
    answering = next(each for each in models if each.name == name)
    node = settings.node(OrderlyExaminer(answering.examiner, turns, "dicom"))

    def changed(now: Served) -> None:
        if now.name == name:
            node.answer_by(OrderlyExaminer(now.examiner, turns, "dicom"))

    models.changed = changed
    return node


class _Hangups:
    """What SIGHUP does: nothing until there is something to read again, then that; and where our terminal was closed, what SIGTERM does."""

    def __init__(self) -> None:
        self.work: Callable[[], None] | None = None
        self._had_terminal = os.isatty(_STDERR)

    def __enter__(self) -> Self:
        if hasattr(signal, "SIGHUP"):  # not on Windows
            self._before = signal.signal(signal.SIGHUP, self._came)
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._before)

    def _came(self, *_: object) -> None:
        if self._had_terminal and not os.isatty(_STDERR):
            signal.raise_signal(signal.SIGTERM)
        elif self.work is not None:
            Thread(target=self.work, name="reload", daemon=True).start()


def _read_again(models: Models, tokens: Callable[[], None]) -> None:
    """Read tokens and bundles again; what is none changes nothing."""
    try:
        tokens()
    except UsageError as error:
        telemetry.LOG.error("tokens not reloaded", extra={"event": {"reason": str(error)}})
    models.reload_all()


def _watch(settings: ServerSettings, stack: ExitStack) -> Watch:
    """Open the log of answers, if there is to be one, and see to what is answered."""
    if settings.log_answers is None:
        if settings.log_names:
            raise UsageError(
                "Expected --log-names beside --log-answers; received it alone. Name the file, or leave it out."
            )
        return Watch()
    log = AnswerLog(settings.log_answers)
    stack.callback(log.close)
    return Watch(log, named=settings.log_names)


def _config(app: Guard, settings: ServerSettings, connections: Connections) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        timeout_graceful_shutdown=STOP_S,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
        **http_limits.options(connections),
    )


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"Expected a readable file with a token; received {file} ({reason_of(error)}). Check --token-file."
        ) from None


def _tokens(settings: ServerSettings, token: str | None) -> Tokens:
    return tokens.read(settings.tokens, models=tuple(settings.bundles), everybodys=token)


def _check(settings: ServerSettings, token: str | None) -> None:
    if token is None and settings.tokens is None and not is_loopback(settings.host):
        raise UsageError(
            f"Expected a token, since {settings.host} can be reached from other machines; received none. Set {TOKEN_VARIABLE}, "
            "--token-file or --tokens, or serve at 127.0.0.1 behind a proxy that asks for one."
        )
    if token is not None and (len(token) < FEWEST_TOKEN_LETTERS or not token.isascii() or not token.isprintable()):
        raise UsageError(
            f"Expected a token of at least {FEWEST_TOKEN_LETTERS} printable ASCII letters; received another. Make one with: openssl rand -hex 32"
        )
    if wrong := [each for each in settings.proxies if not _is_address(each)]:
        raise UsageError(
            f"Expected --proxy to be an IP address; received {wrong[0]}. Give the one that the proxy calls from."
        )
    if odd := [each for each in settings.allow_hosts if not _HOST.fullmatch(each)]:
        raise UsageError(
            f"Expected --allow-host to be a name, or an address, as it stands in the browser, without * or blanks; received {odd[0]}. Give each name."
        )
    if not _ROOT.fullmatch(settings.root_path) or settings.root_path.split("/")[1:2] in _OWN:
        raise UsageError(
            f"Expected --root-path as /xray, without a / at its end and none of our own ({', '.join('/' + own for (own,) in _OWN)}); "
            f"received {settings.root_path}. Name the path that the proxy has."
        )
    if settings.node_model is not None and settings.node_model not in settings.bundles:
        raise UsageError(
            f"Expected --dicom-model to name a bundle ({', '.join(settings.bundles)}); received {settings.node_model}. Name one of them."
        )
    tls.check(settings.certificate, settings.key, flags=("--certificate", "--key"))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
