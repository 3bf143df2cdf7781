"""What the interface says of itself: the model in `/model`, and each route in OpenAPI, with examples."""

import dataclasses
from typing import Any

from msgspec import structs

from plainfilm import NOTICE
from plainfilm.arguments import BY
from plainfilm.data.images import MAX_PIXELS
from plainfilm.model.bundle import Bundle
from plainfilm.results.served import AuditSummary, ModelAnswer, RequestLimits
from plainfilm.serve.explaining import Examiner
from plainfilm.serve.multipart import Limits

Json = dict[str, Any]  # of the OpenAPI document
_TESTED = ("accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "auroc", "auprc", "brier", "ece")
_ANSWER = {
    "file": "film.png",
    "class": "COVID",
    "level": "ok",
    "probabilities": {"COVID": 0.93, "NORMAL": 0.07},
    "at_prevalence": 0.41,
    "reasons": [],
    "notes": ["low resolution: 200 × 180 px, the network looks at 224"],
    "attribution_in_lungs": None,
    "meaning": "Where 5 % of those examined have COVID, 41 of 100 radiographs with this answer show it, if the probability is right.",
}
_ESTIMATE = {"value": 0.95, "low": 0.92, "high": 0.97}
_MODEL = {"name": "COVID or NORMAL, mobilenet", "version": "0.1.0+3f2a9c1b22d0"}
_WORTH = "Not to be believed. A classifier that never sees the lungs reaches AUROC 1.00; yours reaches 1.00. What you measured is mostly not disease."
_STANDING = {
    "classes": ["COVID", "NORMAL"],
    "positive": "COVID",
    "threshold": 0.5,
    "calibrated_at_prevalence": 0.34,
    "prevalence": 0.05,
    "verdict": "not to be believed",
    "worth": _WORTH,
}


def model(examiner: Examiner, bundle: Bundle, limits: Limits, *, seconds: float) -> ModelAnswer:
    """Give what `/model` answers."""
    about, manifest, metrics = examiner.about, bundle.manifest, bundle.metrics
    audit, test = metrics.audit, metrics.test
    return ModelAnswer(
        **dataclasses.asdict(examiner.identity) | structs.asdict(about.context),
        made=manifest.created,
        worth_level=about.loudest.level,
        backbone=manifest.backbone.name,
        licences=tuple(f"{each.backbone}: {each}" for each in manifest.backbone.origins),
        input_size=manifest.preprocessing.input_size,
        is_signed=bundle.is_signed,
        tested={"part": metrics.tested, "n": test.n, **{name: getattr(test, name) for name in _TESTED}},
        audit=AuditSummary(verdict=audit.verdict, sentence=audit.sentence, reasons=audit.reasons, cues=audit.cues)
        if audit
        else None,
        intended_use=manifest.intended_use,
        explains_by=examiner.method,
        limits=RequestLimits(
            file_bytes=limits.file_bytes,
            files=limits.files,
            request_bytes=limits.request_bytes,
            pixels=MAX_PIXELS,
            seconds=seconds,
        ),
        notice=NOTICE,
    )


def _json(about: str, example: Any) -> Json:
    return {"description": about, "content": {"application/json": {"example": example}}}


def _refused(about: str, code: str, message: str) -> Json:
    return _json(about, {"error": {"code": code, "message": message}, "request_id": "5f0c1d2e3a4b5c6d"})


def _later(refusal: Json) -> Json:
    header = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return {**refusal, "headers": header}


_REFUSALS: dict[int | str, Json] = {
    400: _refused("Not what is expected.", "no-files", "Expected files in the field `files`; received none."),
    401: _refused("No token, or another.", "token", "Expected the header Authorization: Bearer TOKEN."),
    403: _refused(
        "Another Host or Origin, or a token without the right.",
        "origin",
        "Expected a request of this server's own page.",
    ),
    408: _refused("The body came too slowly.", "slow-body", "Expected the whole body within 60 s; received a part."),
    413: _refused("Too many bytes or files.", "too-many-bytes", "Expected at most 100 MB in a file; received more."),
    415: _refused("Another content type.", "not-multipart", "Expected multipart/form-data with a boundary."),
    503: _later(_refused("No room now, or too late.", "busy", "Expected room for this request; send it again later.")),
}
_FILE = {
    "type": "string",
    "format": "binary",
    "description": "JPEG, PNG, TIFF, WebP, BMP, GIF, JPEG 2000, PNM, NPY or DICOM.",
}
_PREVALENCE = {
    "anyOf": [{"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, {"type": "string"}],
    "description": "Share of those examined who have the positive class, or of findings NAME=SHARE with commas between; by default that of the calibration.",
}


_BY = {
    "type": "string",
    "enum": [*BY],
    "description": "One answer for all files of a study or a patient, by StudyInstanceUID or PatientID of DICOM files; files without one are of one.",
}


def _form(files: Json, **more: Json) -> Json:
    fields = {"files": files, "prevalence": _PREVALENCE, **more}
    schema = {"type": "object", "required": ["files"], "properties": fields}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def _route(about: str, example: Any, **more: Any) -> Json:
    return {"response_model": None, "responses": {200: _json(about, example), **more.pop("refusals", {})}, **more}


PREDICT = _route(
    "An answer for each file, in the order of the files, or `by` study or patient; a file that cannot be read has the level unreadable.",
    {"request_id": "5f0c1d2e3a4b5c6d", "model": _MODEL, **_STANDING, "notice": NOTICE, "predictions": [_ANSWER]},
    refusals=_REFUSALS,
    openapi_extra=_form({"type": "array", "items": _FILE}, by=_BY),
)
EXPLAIN = _route(
    "The answer, the film, and over it, of the same size, what spoke for the answer (0 to 255).",
    {
        "request_id": "5f0c1d2e3a4b5c6d",
        "prediction": {**_ANSWER, "attribution_in_lungs": 0.41},
        "explained": "COVID",
        "method": "gradcam",
        "picture": "data:image/png;base64,…",
        "heatmap": "data:image/png;base64,…",
    },
    refusals=_REFUSALS,
    openapi_extra=_form(_FILE),
)
MODEL = _route(
    "Which model answers, and what it is worth.",
    {
        **_MODEL,
        "sha256": "3f2a9c1b22d0…",
        "made": "2026-11-25T04:06:03+00:00",
        **_STANDING,
        "worth_level": "warning",
        "backbone": "mobilenet",
        "licences": ["mobilenet: Apache-2.0 (https://storage.googleapis.com/…)"],
        "input_size": 224,
        "is_signed": False,
        "tested": {"part": "test", "n": 397, **dict.fromkeys(_TESTED, _ESTIMATE)},
        "audit": {"verdict": "not to be believed", "sentence": _WORTH.partition(". ")[2], "reasons": [], "cues": []},
        "intended_use": "Research on classifying chest radiographs; not for diagnosis.",
        "explains_by": "gradcam",
        "limits": {
            "file_bytes": 100_000_000,
            "files": 64,
            "request_bytes": 256_000_000,
            "pixels": MAX_PIXELS,
            "seconds": 30,
        },
        "notice": NOTICE,
    },
    refusals={401: _REFUSALS[401]},
)
_NAME: Json = {
    "name": "name",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "Of `GET models`.",
}
_NO_MODEL = _refused(
    "No such model, or not for this token.", "model", "Expected the name of a model that answers here."
)
_MODEL_CHANGE = {
    "request_id": "5f0c1d2e3a4b5c6d",
    "served_as": "chest",
    "before": _MODEL,
    "now": _MODEL,
    "changed": True,
}


def named(route: Json) -> Json:
    """Give the route of one model by its name, of the route of the first."""
    more = {**route.get("openapi_extra", {}), "parameters": [_NAME]}
    return {**route, "responses": {**route["responses"], 404: _NO_MODEL}, "openapi_extra": more}


MODELS = _route(
    "Which models answer, and which where none is named.",
    {"default": "chest", "models": [{**_MODEL, "served_as": "chest"}]},
    refusals={401: _REFUSALS[401]},
)
CHANGE = named(
    _route(
        "What answered before, and what answers now. Needs a named token with the right reload.",
        _MODEL_CHANGE,
        refusals={
            401: _REFUSALS[401],
            403: _refused("Without the right.", "right", "Expected a token with the right reload."),
            409: _refused("Not changed.", "bundle", "Expected a whole plainfilm bundle; received another file."),
        },
    )
)
STOW: Json = {
    "response_model": None,
    "responses": {
        200: {
            "description": "All are in the spool.",
            "content": {"application/dicom+json": {"example": {"00081199": {}}}},
        },
        202: {"description": "Some are."},
        409: {"description": "None is."},
        **{code: _REFUSALS[code] for code in (400, 401, 403, 408, 413, 415, 503)},
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {"multipart/related": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
}
HEALTH = _route("It runs.", {"status": "ok"})
READY = _route("It answers.", {"status": "ready"}, refusals={503: _REFUSALS[503]})
DRIFT = _route(
    "Whether answers are still like those on the training's own test.",
    {
        "model": {"name": "COVID or NORMAL, mobilenet", "version": "0.3.0+0123456789ab"},
        "watched": True,
        "weeks": [
            {
                "week": "2026-01-05",
                "images": 412,
                "families": {"scores": {"evidence": 1.7, "alarm": False, "most": "COVID"}},
            }
        ],
    },
    refusals={401: _REFUSALS[401]},
)
METRICS: Json = {
    "response_model": None,
    "responses": {
        200: {
            "description": "Prometheus text.",
            "content": {"text/plain": {"example": "plainfilm_files_under_way 0.0"}},
        },
        401: _REFUSALS[401],
        403: _REFUSALS[403],
    },
}
