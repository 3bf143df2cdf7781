"""What the API answers instead of a result: a status, a code for programs, a sentence for people. Imports nothing of ours."""

import json
import secrets

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

CSP = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {  # of every answer
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


class Refused(Exception):  # noqa: N818 - not a fault of the server
    """A request that is not answered.

    `status` is HTTP's; `code` is in kebab-case; `retry_after_s` tells the client when to come again, where that helps; `allow`
    which methods a path has, of a 405.
    """

    def __init__(
        self, status: int, code: str, sentence: str, *, retry_after_s: int | None = None, allow: str | None = None
    ) -> None:
        super().__init__(sentence)
        self.status, self.code, self.retry_after_s, self.allow = status, code, retry_after_s, allow

    def answer(self, scope: Scope) -> Response:
        """Make the answer to the request of `scope`; where its body was not read to the end, the connection ends with it."""
        headers = {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}
        if self.allow is not None:
            headers["allow"] = self.allow
        if self.status == 401:
            headers["www-authenticate"] = 'Bearer realm="plainfilm"'
        if may_have_body(scope):
            headers["connection"] = "close"
        return Response(body_of(self.code, str(self), scope["request_id"]), self.status, headers, "application/json")


def body_of(code: str, sentence: str, request_id: str) -> str:
    """Write what stands in place of a result."""
    return json.dumps({"error": {"code": code, "message": sentence}, "request_id": request_id})


def new_id() -> str:
    """Make the name of a request whose client gave none."""
    return secrets.token_hex(8)


def may_have_body(scope: Scope) -> bool:
    """Whether a body may still come, or was not read to its end."""
    return scope["method"] not in {"GET", "HEAD"} and not scope.get("read_whole")


def failed() -> Refused:
    """Make the refusal of a request that met a fault of ours."""
    return Refused(500, "failed", "Expected to answer; met a fault of the server. Its log names the place.")


async def fault(request: Request, _: Exception) -> Response:
    """Answer a fault of ours, which the guard logs; Starlette gives this request no body to read."""
    return failed().answer(request.scope)


def busy(retry_after_s: int = 1) -> Refused:
    """Make the refusal of a request for which there is no room now."""
    return Refused(
        503,
        "busy",
        "Expected room for this request; received more than can be judged now. Send it again later.",
        retry_after_s=retry_after_s,
    )


def late(seconds: float) -> Refused:
    """Make the refusal of a request that was not answered by its deadline."""
    return Refused(
        503,
        "too-slow",
        f"Expected to answer within {seconds:g} s; there was too much to do. Send it again later, with fewer files.",
        retry_after_s=5,
    )
