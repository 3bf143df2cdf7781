"""The page and the REST interface: routes, and what they answer."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import wraps
from io import BytesIO
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response
from msgspec import structs
from numpy.typing import NDArray
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect

from plainfilm import NOTICE, __version__
from plainfilm.arguments import BY, By, Prevalence, prevalence_of
from plainfilm.errors import PlainfilmError, UsageError
from plainfilm.evidence.inference import grouping
from plainfilm.evidence.inference.context import About
from plainfilm.results import documents
from plainfilm.results.documents import Record
from plainfilm.results.predictions import Prediction
from plainfilm.results.served import (
    DriftAnswer,
    ExplainAnswer,
    ModelChange,
    PredictAnswer,
    ServedGroup,
    ServedPrediction,
)
from plainfilm.serve import http_errors, openapi
from plainfilm.serve.admission import Admission, Amount, Full, Room
from plainfilm.serve.batching import Judge
from plainfilm.serve.clients import client_of
from plainfilm.serve.costs import is_light
from plainfilm.serve.explaining import Examined, Examiner
from plainfilm.serve.http_errors import Refused
from plainfilm.serve.middleware import API, answered
from plainfilm.serve.models import Change, Models, Served
from plainfilm.serve.multipart import Form, Limits, Related, Upload
from plainfilm.serve.page_files import PageFiles
from plainfilm.serve.telemetry import Telemetry
from plainfilm.serve.tokens import Right
from plainfilm.serve.turns import Turn, Turns, settle
from plainfilm.serve.watching import Watch

ANSWER_S = 30.0
GZIP_BYTES, GZIP_LEVEL = 1024, 1  # of an answer from which on it is compressed; more effort saves little of pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class RestService:
    """All that answers: what `application` makes routes of; `models` are the bundles.

    `answer_s` is the time within which a request is answered once its body is there, `body_s` within which the body must come, and
    after `grace_s` never slower than `least_rate` bytes a second. `turns` are those of `judge`.
    `is_ready` says whether requests would be answered now, `trouble` why the DICOM node's work does not move. `stow` puts DICOM files
    into the spool of the node, if there is one (`dicom.stow_rs.received`).
    """

    models: Models
    judge: Judge
    turns: Turns
    admission: Admission
    telemetry: Telemetry
    limits: Limits
    is_ready: Callable[[], bool]
    watch: Watch = field(default_factory=Watch)
    trouble: Callable[[], str] = lambda: ""
    stow: Callable[..., tuple[int, Mapping[str, object]]] | None = None
    answer_s: float = ANSWER_S
    body_s: float = 60.0
    grace_s: float = 5.0
    least_rate: float = 10_000.0


def application(service: RestService, page: PageFiles) -> FastAPI:
    """Make the application of a service, without the guard around it."""
    app = FastAPI(
        title="plainfilm", version=__version__, description=NOTICE, redirect_slashes=False, docs_url=None, redoc_url=None, openapi_url=f"{API}/openapi.json"
    )  # fmt: skip
    app.state.telemetry = service.telemetry
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_BYTES, compresslevel=GZIP_LEVEL)
    for kind in (Refused, Full, HTTPException):
        app.add_exception_handler(kind, _refused)
    app.add_exception_handler(Exception, http_errors.fault)
    routes = _Routes(service, page)
    for under, told in ((API, lambda route: route), (f"{API}/models/{{name}}", openapi.named)):
        app.post(f"{under}/predict", **told(openapi.PREDICT))(_with("predict", routes.predict))
        app.post(f"{under}/explain", **told(openapi.EXPLAIN))(_with("explain", routes.explain))
        app.get(f"{under}/drift", **told(openapi.DRIFT))(routes.drift)
        app.get(f"{under}/card", include_in_schema=False)(routes.card)
    app.get(f"{API}/model", **openapi.MODEL)(routes.model)
    app.get(f"{API}/models", **openapi.MODELS)(routes.listed)
    app.get(f"{API}/models/{{name}}", **openapi.named(openapi.MODEL))(routes.model)
    app.post(f"{API}/models/{{name}}/reload", **openapi.CHANGE)(_with("reload", routes.reload))
    app.post(f"{API}/models/{{name}}/rollback", **openapi.CHANGE)(_with("reload", routes.rollback))
    app.get(f"{API}/health", **openapi.HEALTH)(routes.health)
    app.get(f"{API}/ready", **openapi.READY)(routes.ready)
    app.get(f"{API}/metrics", **openapi.METRICS)(_with("metrics", routes.metrics))
    if service.stow:
        app.post("/dicom-web/studies", **openapi.STOW)(_with("store", routes.stow))
        app.post("/dicom-web/studies/{study}", **openapi.STOW)(_with("store", routes.stow))
    app.get("/", include_in_schema=False)(routes.front)
    app.get("/page/{name}", include_in_schema=False)(routes.page)
    return app


def _with(right: Right, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Answer those who have a right."""

    @wraps(answer)
    async def route(request: Request) -> Response:
        request.scope["access"].check(right)
        return await answer(request)

    return route


class _Routes:
    """What each route answers."""

    def __init__(self, service: RestService, page: PageFiles) -> None:
        self._service, self._page = service, page

    async def front(self) -> Response:
        """Show the page."""
        return self._page.answer("index.html")

    async def page(self, name: str) -> Response:
        """Give a file of the page."""
        return self._page.answer(name)

    async def predict(self, request: Request) -> Response:
        """Answer for radiographs: class, calibrated probability, and what stands against believing it."""
        served = self._asked(request)
        service, room = self._service, self._room(request)
        form = await _form(request, service, room)
        by = _by(form, served)
        prevalence = _prevalence(form, served)
        about = _stated(served, prevalence, by)
        turn = service.turns.turn(room.client, is_light=all(is_light(file.data) for file in form.files))
        answers = await _within(service, request, turn, _judged(service.judge, served, form.files, turn, prevalence))
        service.telemetry.files(answer.level for answer in answers)
        request.scope["noted"] = {"model": served.name, "files": len(answers)}
        return _json(
            PredictAnswer(
                request_id=request.scope["request_id"],
                model=served.model,
                **structs.asdict(about.context),
                notice=NOTICE,
                predictions=await _told(service.judge, served, form.files, answers, about, prevalence),
            ),
            room,
        )

    async def explain(self, request: Request) -> Response:
        """Answer for one radiograph, with the radiograph and what spoke for the answer, as pictures."""
        served = self._asked(request)
        service, room = self._service, self._room(request)
        form = await _form(request, service, room)
        if len(form.files) != 1:
            raise Refused(400, "one-file", f"Expected one file; received {len(form.files)}. Send them one by one.")
        prevalence = _prevalence(form, served)
        turn = service.turns.turn(room.client, is_light=False)
        asked = _explained(service.turns, served.examiner, form.files[0], turn, prevalence)
        found, picture, heat = await _within(service, request, turn, asyncio.wrap_future(asked))
        return _json(
            ExplainAnswer(
                request_id=request.scope["request_id"],
                prediction=_served(found.prediction, _stated(served, prevalence)),
                explained=found.explained,
                method=served.examiner.method,
                picture=picture,
                heatmap=heat,
            ),
            room,
        )

    async def stow(self, request: Request) -> Response:
        """Take DICOM files in for the node, as STOW-RS (PS3.18 10.5)."""
        service = self._service
        if service.stow is None:
            raise Refused(404, "not-found", "Expected a server with a DICOM node. Start it with --dicom-port.")
        form = await _form(request, service, self._room(request), Related)
        parts = [bytes(file.data) for file in form.files]
        status, told = await asyncio.to_thread(service.stow, parts, study=request.path_params.get("study"))
        return Response(json.dumps(told), status, media_type="application/dicom+json")

    async def model(self, request: Request) -> Response:
        """Say which model answers, what it was tested on, what its accuracy is worth, and the limits of a request."""
        return Response(self._asked(request).told, media_type="application/json")

    async def card(self, request: Request) -> Response:
        """Show the model's card."""
        return Response(self._asked(request).card, media_type="text/html")

    async def listed(self, request: Request) -> Response:
        """Name the models that answer, and which where none is named."""
        return Response(
            documents.encode(self._service.models.listed(request.scope["access"])), media_type="application/json"
        )

    async def reload(self, request: Request) -> Response:
        """Read a model's file again; the one that answers now answers on until another has been checked whole, and where it is none."""
        return await self._changed(request, self._service.models.reload)

    async def rollback(self, request: Request) -> Response:
        """Let the model answer again that answered before."""
        return await self._changed(request, self._service.models.back)

    async def health(self) -> Response:
        """Say that the server runs."""
        return Response(b'{"status": "ok"}', media_type="application/json")

    async def ready(self) -> Response:
        """Say whether requests are answered and work moves now."""
        trouble = await asyncio.to_thread(self._service.trouble) or (
            "" if self._service.is_ready() else "something has stopped"
        )
        if trouble:
            raise Refused(503, "not-ready", f"Expected to be ready; {trouble}. See the log.", retry_after_s=5)
        return Response(b'{"status": "ready"}', media_type="application/json")

    async def metrics(self, request: Request) -> Response:  # noqa: ARG002 - as all routes with a right
        """Give counts and times in the text format of Prometheus."""
        page = await asyncio.to_thread(self._service.telemetry.page)  # the node counts files of its spool
        return Response(page, media_type="text/plain; version=0.0.4")

    async def drift(self, request: Request) -> Response:
        """Say whether scores, refusals and images of this week and the last are still those of the training."""
        asked = self._asked(request)
        weeks = self._service.watch.weeks(asked.examiner.identity.sha256)
        told = DriftAnswer(model=asked.model, watched=weeks is not None, weeks=weeks or ())
        return Response(documents.encode(told), media_type="application/json")

    def _asked(self, request: Request) -> Served:
        """Give the model that a request names, or the first: the same to its end, whatever answers the next."""
        return self._service.models.get(request.path_params.get("name"), request.scope["access"])

    async def _changed(self, request: Request, change: Callable[[str], Change]) -> Response:
        try:
            done = await asyncio.to_thread(change, self._asked(request).name)
        except PlainfilmError as error:
            raise Refused(409, "bundle", str(error)) from error
        told = ModelChange(
            request_id=request.scope["request_id"],
            served_as=done.name,
            before=done.before.model,
            now=done.now.model,
            changed=done.now is not done.before,
        )
        return Response(documents.encode(told), media_type="application/json")

    def _room(self, request: Request) -> Room:
        """Room for a request until its answer has been taken."""
        room: Room = request.scope["held"].enter_context(
            self._service.admission.room(client_of(request.scope.get("client")))
        )
        return room


async def _form(request: Request, service: RestService, room: Room, kind: type[Form] = Form) -> Form:
    """Read a body into memory, by its time and within its limits; what cannot fit is refused before it is read."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "encoded", "Expected a body that is not compressed; received one with a Content-Encoding. Send it as it is.")  # fmt: skip
    if kind is Form and (astray := sorted({"prevalence", "by"} & request.query_params.keys())):
        raise Refused(400, "unknown-field", f"Expected {astray[0]} as a field of the form; received it behind the ? of the address. Write for example: curl -F {astray[0]}=…")  # fmt: skip
    form = kind(request.headers.get("content-type", ""), service.limits, lambda length: room.take(Amount(held=length)))
    declared = request.headers.get("content-length", "")
    service.admission.check(room.client, Amount(held=min(int(declared or 0), service.limits.request_bytes)))
    room.take(coming := Amount(uploads=1))
    await _read(request, service, form)
    room.give(coming)
    form.finish()
    if not form.files:
        raise Refused(400, "no-files", "Expected files in the field `files`; received none. Write for example: curl -F files=@film.png")  # fmt: skip
    room.take(Amount(files=len(form.files)))
    return form


async def _read(request: Request, service: RestService, form: Form) -> None:
    """Read a body to its end, by its time and no slower than it may come."""
    loop, received = asyncio.get_running_loop(), 0
    begun = loop.time()
    try:
        async with asyncio.timeout(min(service.body_s, service.grace_s)) as limit:
            async for piece in request.stream():
                form.write(piece)
                received += len(piece)
                limit.reschedule(begun + min(service.body_s, service.grace_s + received / service.least_rate))
    except TimeoutError as error:
        raise Refused(408, "slow-body", f"Expected the whole body within {service.body_s:g} s, {service.least_rate / 1000:g} kB a second or more; received a part. Send less at once.") from error  # fmt: skip
    except ClientDisconnect as error:
        raise Refused(400, "gone", "Expected the whole body; the connection ended before.") from error
    request.scope["read_whole"] = True


async def _judged(
    judge: Judge, served: Served, files: list[Upload], turn: Turn, prevalence: Prevalence | None
) -> list[Prediction]:
    asked = [
        asyncio.wrap_future(judge.ask(served.predictor, file.name, file.data, turn, prevalence=prevalence))
        for file in files
    ]
    try:
        return await asyncio.gather(*asked)
    finally:
        for each in asked:
            each.cancel()  # where one failed, nobody waits for the others


async def _within(service: RestService, request: Request, turn: Turn, work: Awaitable[Any]) -> Any:
    """Wait for work, less long for its first turn, and only while its client is there; then what is left of it is not done."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    first_s = min(turn.waits_s, service.answer_s)
    try:
        await asyncio.wait({task, gone}, timeout=first_s, return_when=asyncio.FIRST_COMPLETED)
        if turn.begun and not (task.done() or gone.done()):
            left_s = service.answer_s - first_s
            await asyncio.wait({task, gone}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise Refused(400, "gone", "Expected to be waited for; the connection ended before.")
        raise http_errors.late(service.answer_s) if turn.begun else Full("turns")
    finally:
        task.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _by(form: Form, served: Served) -> By | None:
    """Give what one answer is for, where it is not a film."""
    asked = form.fields.pop("by", "").strip()
    found = next((by for by in BY if by == asked), None)
    if asked and found is None:
        raise Refused(
            400, "by", "Expected by as study or patient; received another text. Leave it out, or write study."
        )
    if found is not None:
        try:
            grouping.ways_of(served.predictor)
        except UsageError as error:
            raise Refused(400, "by", str(error)) from error
    return found


def _prevalence(form: Form, served: Served) -> Prevalence | None:
    """Give the prevalence that is stated, which the model that answers can mean."""
    if unknown := form.fields.keys() - {"prevalence"}:
        raise Refused(
            400,
            "unknown-field",
            f"Expected files and prevalence, of /predict also by; received the field {min(unknown)}. Leave it out.",
        )
    text = form.fields.get("prevalence", "").strip()
    try:
        stated = prevalence_of(text) if text else None
        served.predictor.stated(stated)
    except UsageError as error:
        raise Refused(400, "prevalence", str(error)) from error
    except ValueError:
        raise Refused(
            400,
            "prevalence",
            "Expected a prevalence between 0 and 1, or of findings NAME=SHARE with commas between, each once; received another text. Leave it out, or write 0.05.",
        ) from None
    return stated


async def _told(
    judge: Judge,
    served: Served,
    files: list[Upload],
    answers: list[Prediction],
    about: About,
    prevalence: Prevalence | None,
) -> tuple[ServedPrediction | ServedGroup, ...]:
    """Give the answers as they are told: of each file, or joined by the ids in DICOM headers; files without one are of one study."""
    if about.by is None:
        return tuple(_served(answer, about) for answer in answers)
    headers = await asyncio.to_thread(judge.headers, [file.data for file in files])
    units = grouping.numbered(grouping.key_of(told, about.by) for told in headers)
    found = grouping.joined(served.predictor, answers, units, about.by, prevalence=prevalence)
    return tuple(ServedGroup(**structs.asdict(each), meaning=about.meaning(each)) for each in found)


def _stated(served: Served, prevalence: Prevalence | None, by: By | None = None) -> About:
    if by is None and prevalence is None:
        return served.examiner.about
    return About.of(served.predictor, prevalence, by)


def _served(answer: Prediction, about: About) -> ServedPrediction:
    return ServedPrediction(**structs.asdict(answer), meaning=about.meaning(answer))


def _explained(
    turns: Turns, examiner: Examiner, upload: Upload, turn: Turn, prevalence: Prevalence | None
) -> "Future[tuple[Examined, str | None, str | None]]":
    def work(answer: "Future[Any]") -> None:
        settle(answer, lambda: _details(examiner, upload, prevalence, lambda: not answer.cancelled()))

    return turns.submit(turn, work, is_light=False)


def _details(
    examiner: Examiner, upload: Upload, prevalence: Prevalence | None, is_wanted: Callable[[], bool]
) -> tuple[Examined, str | None, str | None]:
    found = examiner.examine(upload.data, name=upload.name, prevalence=prevalence, is_wanted=is_wanted)
    heat = None if found.attribution is None else np.rint(255 * found.attribution).astype(np.uint8)
    return found, _png(found.view), _png(heat)


def _png(gray: NDArray[np.uint8] | None) -> str | None:
    if gray is None:
        return None
    file = BytesIO()
    Image.fromarray(gray).save(file, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _json(answer: Record, room: Room) -> Response:
    """Make an answer, which is held in place of the request that it answers."""
    body = documents.encode(answer)
    room.give(room.holds)
    room.take(Amount(held=len(body)), must_fit=False)
    return Response(body, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    """Answer a refusal of ours, or the framework's own (no such path, another method) in our words."""
    if isinstance(error, Full):
        request.app.state.telemetry.turned_away(error.what)
    return await answered(_ours(error, request.scope.get("root_path", "")), request.scope, request.receive)


def _ours(error: Exception, root: str) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, Full):
        return http_errors.busy(error.retry_after_s)
    if isinstance(error, HTTPException) and error.status_code == 404:
        return Refused(
            404, "not-found", f"Expected a path of this server; received another. See {root}{API}/openapi.json."
        )
    if isinstance(error, HTTPException) and error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return Refused(405, "method", f"Expected {allow} for this path; received another method. See {root}{API}/openapi.json.", allow=allow)  # fmt: skip
    return http_errors.failed()
