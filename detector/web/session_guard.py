"""What stands behind the doors: to each visitor their own session, files of this page only, and a full disk said.

Gradio takes whoever names a session's hash for its visitor. Here a session belongs to the browser that used it first,
which a cookie that no script can read tells from all others; a program without cookies is told by its address.
"""

from __future__ import annotations

import errno
import json
import re
import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detector.web.bodies import MESSAGE, SESSION
from detector.web.sessions import OWNER, Visitors
from detector.web.uploads import MEGABYTE, FullError
from detector.web.video_tab import MAX_BYTES

__all__ = ["SessionGuard", "refusal"]

COOKIE = "mask-detector"
TOKEN = re.compile(r"[\w-]{32,64}", re.ASCII)

LENGTH = re.compile("[0-9]{1,15}")
LARGEST = MAX_BYTES + MEGABYTE  # with what stands around the file

API = "/gradio_api/"

FULL = {errno.ENOSPC, errno.EDQUOT}


class _RefusedError(Exception):
    """An answer instead of the one asked for."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class SessionGuard:
    """ASGI middleware.

    Args:
        app: what it stands before.
        visitors: whose sessions these are.
    """

    def __init__(self, app: ASGIApp, visitors: Visitors) -> None:
        self.app, self.visitors = app, visitors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request, begun = Request(scope), False
        token = request.cookies.get(COOKIE, "")
        known = TOKEN.fullmatch(token) is not None
        scope[OWNER] = token if known else f"at {scope['client'][0] if scope.get('client') else '?'}"
        new = secrets.token_urlsafe(32) if not known and scope["path"] in {"/", "/config", "/config/"} else ""

        async def answer(message: Message) -> None:
            nonlocal begun
            begun = True
            if new and message["type"] == "http.response.start":
                secure = "; Secure" if request.headers.get("x-forwarded-proto", scope["scheme"]) == "https" else ""
                cookie = f"{COOKIE}={new}; HttpOnly; Path=/; SameSite=Lax{secure}"
                message["headers"] = [*message["headers"], (b"set-cookie", cookie.encode())]
            await send(message)

        try:
            await self._serve(request, receive, answer)
        except (FullError, _RefusedError, OSError) as error:
            answered = refusal(error)
            if begun or answered is None:
                raise
            await answered(scope, receive, answer)

    async def _serve(self, request: Request, receive: Receive, send: Send) -> None:
        scope, method, path = request.scope, request.method, request.scope["path"]
        if not path.startswith(API):
            await self.app(scope, receive, send)
            return
        route = path[len(API) :]
        for session in request.query_params.getlist("session_hash"):
            self._admit(session, request)
        session = scope.get(MESSAGE, {}).get("session_hash")
        if session is not None:
            self._admit(session, request)
        if method == "POST" and route.rstrip("/") == "upload":
            await self._upload(request, receive, send)
        elif method == "GET" and route.startswith("heartbeat/"):
            session = route.removeprefix("heartbeat/")
            self._admit(session, request)
            with self.visitors.page(session, scope[OWNER]):
                await self.app(scope, receive, send)
        elif route.startswith(("file=", "file/")) and not self._may_read(route[len("file=") :], scope[OWNER]):
            raise _RefusedError(403, "File not allowed")
        else:
            await self.app(scope, receive, send)

    def _admit(self, session: object, request: Request) -> None:
        if not isinstance(session, str) or not SESSION.fullmatch(session):
            raise _RefusedError(400, "session_hash must be 1 to 64 letters and digits")
        if not self.visitors.admits(session, request.scope[OWNER]):
            raise _RefusedError(403, "This session is not yours: load the page again")

    def _may_read(self, path: str, owner: str) -> bool:
        """An upload, for who knows the hash of its content; a result, for whose it is."""
        return self.visitors.store.key(path) is not None or self.visitors.store.owner(path) == owner

    async def _upload(self, request: Request, receive: Receive, send: Send) -> None:
        store, owner = self.visitors.store, request.scope[OWNER]
        length = request.headers.get("content-length", "")
        size = int(length) if LENGTH.fullmatch(length) else LARGEST  # a proxy may leave it out
        status, said = 0, bytearray()

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            said.extend(message.get("body", b""))
            if status == 200 and message["type"] == "http.response.body" and not message.get("more_body"):
                store.await_([path for path in json.loads(said) if isinstance(path, str)], owner)
            await send(message)

        with store.arriving(owner, size):
            await self.app(request.scope, receive, noted)


def refusal(error: Exception) -> Response | None:
    """What is said instead of "Internal Server Error"; None for an error that is none of a visitor's or the disk's."""
    if isinstance(error, _RefusedError):
        return JSONResponse({"detail": str(error)}, error.status)
    if isinstance(error, FullError):
        return PlainTextResponse(str(error), 507)
    if isinstance(error, OSError) and error.errno in FULL:
        return PlainTextResponse("The disk of this server is full: try again in a few minutes", 507)
    return None
