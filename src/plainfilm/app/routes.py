"""What the app answers under each address: JSON in, JSON out; the files of the page, and those of the runs."""

import asyncio
import json
import mimetypes
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from plainfilm import NOTICE
from plainfilm.app import folders
from plainfilm.app.coming_in import FILE_HEADERS, PAGE_CSP, AppDoor
from plainfilm.app.desk import Desk
from plainfilm.app.doubts import Doubts
from plainfilm.app.drops import drop, forget
from plainfilm.app.illustrator import SIZES_PX
from plainfilm.app.places import as_json, is_plain
from plainfilm.errors import PlainfilmError
from plainfilm.serve import http_errors
from plainfilm.serve.http_errors import Refused
from plainfilm.serve.middleware import answered
from plainfilm.serve.page_files import PageFiles

POLL_S = 20.0
_MOST_BYTES = 1 << 20  # of a body in JSON
_SHARED = ("base.css", "parts.js", "given.js", "icon.svg")  # with the page that `plainfilm serve` shows
_STRANGER = (
    f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>plainfilm</title></head><body><h1>plainfilm</h1>'
    f"<p>Expected the address that plainfilm app opened; received none, or one that was used before. "
    f"Run <code>plainfilm app</code> again: it opens a new one.</p><p>{NOTICE}</p></body></html>"
)
_GO_ON = (  # for who follows a link of another place: browsers show no strict cookie where such a link is redirected to
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>plainfilm</title>'
    '<meta http-equiv="refresh" content="0;url={0}"></head><body><p><a href="{0}">plainfilm</a></p></body></html>'
)
_Answer = Callable[[Request], Awaitable[Response]]


def application(desk: Desk, door: AppDoor) -> Starlette:
    """Make the application, without the guard around it."""
    routes = _Routes(desk, door)
    app = Starlette(
        routes=[
            Route("/", routes.front),
            Route("/page/{name}", routes.page),
            Route("/words/{name}", routes.words),
            Route("/files/{project}/{name:path}", routes.file),
            Route("/api/key", routes.key, methods=["POST"]),
            Route("/api/state", routes.state),
            Route("/api/folders", routes.folders),
            Route("/api/table", routes.table),
            Route("/api/options", routes.options),
            Route("/api/look", routes.look, methods=["POST"]),
            Route("/api/look/{id}", routes.looked),
            Route("/api/train", routes.train, methods=["POST"]),
            Route("/api/job", routes.job, methods=["POST"]),
            Route("/api/job/{id}/{act}", routes.act, methods=["POST"]),
            Route("/api/command", routes.command, methods=["POST"]),
            Route("/api/picture", routes.picture),
            Route("/api/drop", routes.drop, methods=["POST"]),
            Route("/api/drop/forget", routes.undrop, methods=["POST"]),
            Route("/api/try", routes.trying, methods=["POST"]),
            Route("/api/doubts", routes.doubts),
            Route("/api/doubts", routes.decide, methods=["POST"]),
            Route("/api/doubts/picture", routes.doubted),
            Route("/api/end", routes.end, methods=["POST"]),
        ],
        exception_handlers={
            **dict.fromkeys((Refused, PlainfilmError, HTTPException, ClientDisconnect), _refused),
            Exception: http_errors.fault,
        },
    )
    app.router.redirect_slashes = False
    return app


class _Routes:
    def __init__(self, desk: Desk, door: AppDoor) -> None:
        self._desk, self._door = desk, door
        self._trying = asyncio.Lock()
        shared = PageFiles.of("plainfilm.serve").found
        own = PageFiles.of("plainfilm.app").found
        self._page = PageFiles({name: shared[name] for name in _SHARED} | {**own})

    # ---- the page

    async def front(self, request: Request) -> Response:
        """Let in who shows a key; show the page to who is known, else how to come in."""
        key, to = request.query_params.get("key"), f"{self._door.root}/"
        if key and self._door.keys.use(key):
            given, site = {"set-cookie": self._door.given()}, request.headers.get("sec-fetch-site", "none")
            return RedirectResponse(to, 303, given) if site == "none" else HTMLResponse(_GO_ON.format(to), 200, given)
        if not self._door.is_known(request.scope):
            return HTMLResponse(_STRANGER, 401)
        return RedirectResponse(to, 303) if key else self._file("index.html")

    async def page(self, request: Request) -> Response:
        """Give a file of the page."""
        return self._file(request.path_params["name"])

    async def words(self, request: Request) -> Response:
        """Give the page's words in a language."""
        return self._file(f"words/{request.path_params['name']}")

    def _file(self, name: str) -> Response:
        return self._page.answer(name, {"content-security-policy": PAGE_CSP})

    async def key(self, _request: Request) -> Response:
        """Give another `plainfilm app` of this user a one-time key."""
        self._desk.heard_now()
        return _json({"key": self._door.keys.new()})

    # ---- what is known

    async def state(self, request: Request) -> Response:
        """Give the state once it is newer than what the page has."""
        self._desk.heard_now()
        return Response(await self._desk.state.after(_since(request), POLL_S), media_type="application/json")

    async def folders(self, request: Request) -> Response:
        """List a folder, or complete what is typed."""
        places, asked = self._desk.places, request.query_params
        if (typed := asked.get("prefix")) is not None:
            cut = max(typed.rfind("/"), typed.rfind(os.sep)) + 1
            path = places.inside(typed[:cut])
            return _json(await run_in_threadpool(folders.listed, places, path, typed[cut:]))
        path = places.inside(asked.get("path") or str(self._desk.home))
        return _json(await run_in_threadpool(folders.listed, places, path))

    async def table(self, request: Request) -> Response:
        """Give the columns of a table, and its first rows."""
        path = self._desk.places.inside(request.query_params.get("path"))
        return _json(await run_in_threadpool(folders.columns, path))

    async def options(self, request: Request) -> Response:
        """Give the options of a verb; where names are known that may be typed, with those."""
        from plainfilm.app import declared  # as in `commands`

        found = declared.of(request.query_params.get("verb", ""))
        names = {"preset": declared.presets, "recipe": declared.recipes}
        told = [option.told() for option in found.values()]
        for each in told:
            if each["name"] in names:
                each["choices"] = await run_in_threadpool(names[each["name"]])
        return _json(told)

    # ---- what is done

    async def look(self, request: Request) -> Response:
        """Begin to list folders."""
        asked = await _body(request)
        look = await self._desk.begin_look(asked.get("sources"), asked.get("options"))
        return _json({"look": look.name, "command": look.typed}, 202)

    async def looked(self, request: Request) -> Response:
        """Give a listing as far as it is, once that is more than the page has."""
        look = self._desk.looked(request.path_params["id"])
        return Response(await look.news.after(_since(request), POLL_S), media_type="application/json")

    async def train(self, request: Request) -> Response:
        """Put a training into the line."""
        return _json(await self._desk.begin(partial(self._desk.maker.train, await _body(request))), 202)

    async def job(self, request: Request) -> Response:
        """Put any other command into the line."""
        return _json(await self._desk.begin(partial(self._desk.maker.job, await _body(request))), 202)

    async def command(self, request: Request) -> Response:
        """Say which commands would run, and run none."""
        asked = await _body(request)
        make = self._desk.maker.job if "verb" in asked else self._desk.maker.train
        work = await run_in_threadpool(make, asked)
        return _json({"commands": work.typed, "project": work.project, "makes": [str(path) for path in work.makes]})

    async def act(self, request: Request) -> Response:
        """Stop a job, go on with it, let it be the next, or forget it."""
        line = self._desk.line
        acts = {"stop": line.stop, "again": line.again, "first": line.first, "forget": line.forget}
        act = request.path_params["act"]
        if act not in acts:
            raise Refused(404, "not-found", f"Expected one of {', '.join(acts)}; received another. Choose one.")
        await _body(request, needed=False)
        told = await self._desk.act(acts[act], request.path_params["id"])
        return _json({} if act == "forget" else told)

    async def end(self, request: Request) -> Response:
        """End the app; its jobs run on, unless they are to end too."""
        asked = await _body(request, needed=False)
        if asked.get("jobs") is True:
            await self._desk.stop_all()
        self._desk.end()
        return _json({})

    # ---- pictures, doubtful labels, dropped files, trying

    async def picture(self, request: Request) -> Response:
        """Draw a file below ROOT, or a member of an archive there."""
        path = self._desk.places.inside(request.query_params.get("of"))
        return await self._drawn(request, {"path": str(path)})

    async def doubts(self, request: Request) -> Response:
        """Give some of the doubtful labels."""
        doubts = await self._doubts(request.query_params.get("made"))
        start, many = _number(request, "from", 0), _number(request, "many", 20)
        return _json(await run_in_threadpool(doubts.told, start, many))

    async def decide(self, request: Request) -> Response:
        """Keep a correction, or take it back."""
        asked = await _body(request)
        doubts = await self._doubts(asked.get("made"))
        return _json(
            {
                "decided": await self._desk.done(
                    partial(doubts.decide, asked.get("sha256"), asked.get("correction"), asked.get("finding"))
                )
            }
        )

    async def doubted(self, request: Request) -> Response:
        """Draw a film whose label is doubtful, or its copy, as the store has it."""
        doubts = await self._doubts(request.query_params.get("made"))
        film = doubts.picture(_number(request, "place", -1), _number(request, "which", 0))
        made = await run_in_threadpool(self._desk.projects.made, doubts.folder)
        store = self._desk.places.inside((made or {}).get("store"))
        return await self._drawn(request, {"store": str(store), **film})

    async def _doubts(self, made: object) -> Doubts:
        return await run_in_threadpool(Doubts.read, self._desk.places.inside(made))

    async def _drawn(self, request: Request, asked: dict[str, str]) -> Response:
        size = _number(request, "size", 256)
        if size not in SIZES_PX:
            raise Refused(
                400,
                "size",
                f"Expected {SIZES_PX.start} to {SIZES_PX.stop - 1} px; received {size}. Ask for another size.",
            )
        return Response(await self._desk.illustrator.draw({**asked, "size": size}), media_type="image/png")

    async def drop(self, request: Request) -> Response:
        """Take a file that was dropped on the page; hidden files, as systems put beside others, are passed over."""
        asked, name = request.query_params, request.query_params.get("name", "")
        if name.rpartition("/")[2].startswith("."):
            return _json({"path": None})
        path = await drop(self._desk.places, asked.get("into", ""), name, request.stream())
        request.scope["read_whole"] = True
        return _json({"path": str(path), "folder": str(self._desk.places.project(asked.get("into")) / "dropped")})

    async def undrop(self, request: Request) -> Response:
        """Remove the copies of files that were dropped, as long as nothing was made of them."""
        asked = await _body(request)
        project = self._desk.places.project(asked.get("into"))

        def forgotten() -> None:  # in one turn: no job may be put into the line between the two
            forget(project, is_used=project in {path.parent for path in self._desk.line.claimed()})

        await self._desk.done(forgotten)
        return _json({})

    async def trying(self, request: Request) -> Response:
        """Start a server of a classifier."""
        asked = await _body(request)
        bundle = self._desk.places.inside(asked.get("bundle"))
        async with self._trying:
            return _json({"address": await run_in_threadpool(self._desk.tries.open, bundle)})

    # ---- files of runs

    async def file(self, request: Request) -> Response:
        """Give a file that a run wrote, shut into a sandbox: it may be anyone's."""
        folder = self._desk.places.project(request.path_params["project"])
        parts = request.path_params["name"].split("/")
        path = folder.joinpath(*parts)
        if not all(map(is_plain, parts)) or self._desk.places.inside(str(path)) != path or not path.is_file():
            raise Refused(
                404,
                "not-found",
                "Expected a file that a run wrote; received another name. It may have been moved: look at the project.",
            )
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        headers = dict(FILE_HEADERS)
        if request.query_params.get("download"):
            headers["content-disposition"] = f"attachment; filename*=UTF-8''{quote(path.name)}"
        return FileResponse(path, media_type=kind, headers=headers)


def _json(told: Any, status: int = 200) -> Response:
    return Response(as_json(told), status, media_type="application/json")


def _since(request: Request) -> int:
    return _number(request, "since", 0)


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else default


async def _body(request: Request, *, needed: bool = True) -> dict[str, Any]:
    """Read a body in JSON, of this page alone: another site's form cannot send that type.

    Raises
    ------
    Refused
        415 for another type, 413 for one that is too long, 400 for what is no object.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "type", "Expected a body of the type application/json; received another. Send that.")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise Refused(
                413,
                "body-too-large",
                f"Expected at most {_MOST_BYTES >> 20} MB of JSON; received more. Ask for less at once.",
            )
    request.scope["read_whole"] = True
    if not body and not needed:
        return {}
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise Refused(400, "json", "Expected a JSON object; received none. Send one.")
    return asked


async def _refused(request: Request, error: Exception) -> Response:
    match error:
        case Refused():
            refused = error
        case PlainfilmError():
            refused = Refused(400, "refused", str(error))
        case ClientDisconnect():
            refused = Refused(400, "disconnected", "Expected the whole of a body; received a part. Send it again.")
        case HTTPException(status_code=405):
            refused = Refused(
                405,
                "method",
                "Expected another method for this address; received this one.",
                allow=(error.headers or {}).get("Allow"),
            )
        case HTTPException(status_code=404):
            refused = Refused(404, "not-found", "Expected an address of the app; received another. Open / instead.")
        case _:
            refused = http_errors.failed()
    return await answered(refused, request.scope, request.receive)
