"""The page and the REST interface: routes, and what they answer."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response
from msgspec import structs
from numpy.typing import NDArray
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from plainfilm import NOTICE, __version__
from plainfilm.errors import UsageError
from plainfilm.evidence.inference.context import About
from plainfilm.evidence.inference.predictor import Predictor
from plainfilm.results import documents
from plainfilm.results.documents import Record
from plainfilm.results.predictions import Prediction
from plainfilm.results.served import ExplainAnswer, ModelName, PredictAnswer, ServedPrediction
from plainfilm.serve import http_errors, openapi
from plainfilm.serve.admission import Admission, Full, Room
from plainfilm.serve.batching import Judge
from plainfilm.serve.explaining import Examined, Examiner
from plainfilm.serve.http_errors import Refused
from plainfilm.serve.middleware import API
from plainfilm.serve.multipart import Form, Limits, Related, Upload
from plainfilm.serve.static_pages import Pages
from plainfilm.serve.telemetry import Telemetry

DRAIN_BYTES = 1 << 20  # a body of this size is read to its end before it is refused, so that the client hears why


@dataclass(frozen=True, slots=True, kw_only=True)
class RestService:
    """All that answers: what `application` makes routes of.

    `answer_s` is the time within which a request is answered once its body is there, `body_s` within which the body must come.
    `is_ready` says whether requests would be answered now, `trouble` why the DICOM node's work does not move. `stow` puts DICOM files
    into the spool of the node, if there is one (`dicom.stow.received`).
    """

    predictor: Predictor
    examiner: Examiner
    judge: Judge
    admission: Admission
    telemetry: Telemetry
    limits: Limits
    is_ready: Callable[[], bool]
    trouble: Callable[[], str] = lambda: ""
    stow: Callable[..., tuple[int, Mapping[str, object]]] | None = None
    answer_s: float = 30.0
    body_s: float = 60.0
    details: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "details"))


def application(service: RestService, pages: Pages) -> FastAPI:
    """Make the application of a service, without the guard around it."""
    app = FastAPI(
        title="plainfilm", version=__version__, description=NOTICE, redirect_slashes=False, docs_url=None, redoc_url=None, openapi_url=f"{API}/openapi.json"
    )  # fmt: skip
    for kind in (Refused, Full, HTTPException, Exception):
        app.add_exception_handler(kind, _refused)
    routes = _Routes(service)
    app.post(f"{API}/predict", **openapi.PREDICT)(routes.predict)
    app.post(f"{API}/explain", **openapi.EXPLAIN)(routes.explain)
    app.get(f"{API}/model", **openapi.MODEL)(routes.model)
    app.get(f"{API}/health", **openapi.HEALTH)(routes.health)
    app.get(f"{API}/ready", **openapi.READY)(routes.ready)
    app.get(f"{API}/metrics", **openapi.METRICS)(routes.metrics)
    if service.stow:
        app.post("/dicom-web/studies", **openapi.STOW)(routes.stow)
        app.post("/dicom-web/studies/{study}", **openapi.STOW)(routes.stow)
    pages.add_to(app)
    return app


class _Routes:
    """What each route answers."""

    def __init__(self, service: RestService) -> None:
        bundle, identity = service.predictor.bundle, service.examiner.identity
        told = openapi.model(service.examiner, bundle, service.limits, seconds=service.answer_s)
        self._service, self._model = service, documents.encode(told)
        self._name = ModelName(name=identity.name, version=identity.version)

    async def predict(self, request: Request) -> Response:
        """Answer for radiographs: class, calibrated probability, and what stands against believing it."""
        service = self._service
        with service.admission.room() as room:
            form = await _form(request, service, room)
            prevalence = _prevalence(form)
            about = _stated(service, prevalence)
            answers = await _within(service.answer_s, _judged(service.judge, form.files, prevalence))
        service.telemetry.files(answer.level for answer in answers)
        request.scope["noted"] = {"files": len(answers)}
        return _json(
            PredictAnswer(
                request_id=request.scope["request_id"],
                model=self._name,
                **structs.asdict(about.context),
                notice=NOTICE,
                predictions=tuple(_served(answer, about) for answer in answers),
            )
        )

    async def explain(self, request: Request) -> Response:
        """Answer for one radiograph, with the radiograph and what spoke for the answer, as pictures."""
        service = self._service
        with service.admission.room() as room:
            form = await _form(request, service, room)
            if len(form.files) != 1:
                raise Refused(400, "one-file", f"Expected one file; received {len(form.files)}. Send them one by one.")
            upload, prevalence = form.files[0], _prevalence(form)
            examine = asyncio.get_running_loop().run_in_executor(
                service.details, _details, service.examiner, upload, prevalence
            )
            found, picture, heat = await _within(service.answer_s, examine)
        return _json(
            ExplainAnswer(
                request_id=request.scope["request_id"],
                prediction=_served(found.prediction, _stated(service, prevalence)),
                explained=found.explained,
                method=service.examiner.method,
                picture=picture,
                heatmap=heat,
            )
        )

    async def stow(self, request: Request) -> Response:
        """Take DICOM files in for the node, as STOW-RS (PS3.18 10.5)."""
        service = self._service
        if service.stow is None:
            raise Refused(404, "not-found", "Expected a server with a DICOM node. Start it with --dicom-port.")
        with service.admission.room() as room:
            form = await _form(request, service, room, Related)
            parts = [bytes(file.data) for file in form.files]
            status, told = await asyncio.to_thread(service.stow, parts, study=request.path_params.get("study"))
        return Response(json.dumps(told), status, media_type="application/dicom+json")

    async def model(self) -> Response:
        """Say which model answers, what it was tested on, what its accuracy is worth, and the limits of a request."""
        return Response(self._model, media_type="application/json")

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

    async def metrics(self) -> Response:
        """Give counts and times in the text format of Prometheus."""
        return Response(self._service.telemetry.page(), media_type="text/plain; version=0.0.4")


async def _form(request: Request, service: RestService, room: Room, kind: type[Form] = Form) -> Form:
    """Read a body into memory, by its time and within its limits."""
    if service.admission.is_full:
        await _drain(request)
        raise http_errors.busy()
    form = kind(request.headers.get("content-type", ""), service.limits, lambda length: room.take(held=length))
    try:
        async with asyncio.timeout(service.body_s):
            async for piece in request.stream():
                form.write(piece)
    except TimeoutError as error:
        raise Refused(408, "slow-body", f"Expected the whole body within {service.body_s:g} s; received a part. Send less at once.") from error  # fmt: skip
    except ClientDisconnect as error:
        raise Refused(400, "gone", "Expected the whole body; the connection ended before.") from error
    request.scope["read_whole"] = True
    form.finish()
    if not form.files:
        raise Refused(400, "no-files", "Expected files in the field `files`; received none. Write for example: curl -F files=@film.png")  # fmt: skip
    room.take(files=len(form.files))
    return form


async def _drain(request: Request) -> None:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) <= DRAIN_BYTES:
        with suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(1.0):
                async for _ in request.stream():
                    pass
            request.scope["read_whole"] = True


async def _judged(judge: Judge, files: list[Upload], prevalence: float | None) -> list[Prediction]:
    asked = [asyncio.wrap_future(judge.ask(file.name, file.data, prevalence=prevalence)) for file in files]
    try:
        return await asyncio.gather(*asked)
    finally:
        for each in asked:
            each.cancel()  # where one failed, nobody waits for the others


async def _within(seconds: float, work: Awaitable[Any]) -> Any:
    """Wait for work; cancelled, what has not begun is not done."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise http_errors.late(seconds) from error
    except UsageError as error:
        raise Refused(400, "prevalence", str(error)) from error


def _prevalence(form: Form) -> float | None:
    if unknown := form.fields.keys() - {"prevalence"}:
        raise Refused(
            400, "unknown-field", f"Expected files and prevalence; received the field {min(unknown)}. Leave it out."
        )
    text = form.fields.get("prevalence", "").strip()
    try:
        return float(text) if text else None
    except ValueError:
        raise Refused(
            400, "prevalence", "Expected a prevalence between 0 and 1; received no number. Leave it out, or write 0.05."
        ) from None


def _stated(service: RestService, prevalence: float | None) -> About:
    about = service.examiner.about
    return about if prevalence is None else replace(about, prevalence=prevalence)


def _served(answer: Prediction, about: About) -> ServedPrediction:
    return ServedPrediction(**structs.asdict(answer), meaning=about.meaning(answer))


def _details(examiner: Examiner, upload: Upload, prevalence: float | None) -> tuple[Examined, str | None, str | None]:
    found = examiner.examine(upload.data, name=upload.name, prevalence=prevalence)
    heat = None if found.attribution is None else np.rint(255 * found.attribution).astype(np.uint8)
    return found, _png(found.view), _png(heat)


def _png(gray: NDArray[np.uint8] | None) -> str | None:
    if gray is None:
        return None
    file = BytesIO()
    Image.fromarray(gray).save(file, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _json(answer: Record) -> Response:
    return Response(documents.encode(answer), media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    """Answer a refusal of ours, or the framework's own (no such path, another method) in our words."""
    return _ours(error).answer(request.scope)


def _ours(error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, Full):
        return http_errors.busy()
    if isinstance(error, HTTPException) and error.status_code == 404:
        return Refused(404, "not-found", f"Expected a path of this server; received another. See {API}/openapi.json.")
    if isinstance(error, HTTPException) and error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return Refused(405, "method", f"Expected {allow} for this path; received another method. See {API}/openapi.json.", allow=allow)  # fmt: skip
    return http_errors.failed()
