"""The page's doors: every request passes here before Gradio sees it.

Whatever is refused gets one plain line. What the page itself does not use is not there at all: of Gradio's 85 routes
some write files, fetch addresses or keep a connection busy for whoever asks. And Gradio takes whoever names a session
for its visitor; here a session belongs to the browser that used it first, which a cookie that no script can read tells
from all others; a program without cookies is told by its address.
"""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from typing import Any

from starlette.datastructures import Headers, QueryParams
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detector.web.exchange import SESSION, UPLOAD, Exchange, Refused, message_of
from detector.web.hosts import Hosts, household, is_local
from detector.web.login import LoginBrake
from detector.web.sessions import NAMED, OWNER, Sessions
from detector.web.uploads import MEGABYTE

__all__ = ["Guard"]

MAX_HELD, SMALL = 64 * MEGABYTE, MEGABYTE // 4
"""All messages under way together; above that, only small ones get through."""

STREAMS_OF_ONE = 32
"""Answers without an end, such as the sign of life of a page, that one address may have open."""

COOKIE = "mask-detector"
TOKEN = re.compile(r"[\w-]{32,64}", re.ASCII)

_OPEN = re.compile(
    r"/(?:login/?|(?:static|assets|svelte)/.*|theme\.css|favicon\.ico|robots\.txt|preview\.jpg|manifest\.json"
    r"|gradio_api/(?:login_check|app_id|user|theme\.css)/?)?"
)
_INSIDE = re.compile(
    r"/(?:logout|config/?|gradio_api/(?:(?:info|openapi\.json|token|queue/(?:join|data|status)|cancel|reset"
    r"|component_server|upload|upload_progress)/?|(?:call|run|api)/.*|heartbeat/[\w-]{1,64}|file[=/](?![\w.+-]{2,}:).*))"
)
_STREAM = re.compile(r"/gradio_api/(?:heartbeat/([\w-]+)|queue/data|upload_progress|call/.*/)")
_FILE = re.compile(r"/gradio_api/file[=/](.*)", re.DOTALL)


class Guard:
    """ASGI middleware around the page.

    Args:
        app: the page.
        sessions: of its visitors.
        hosts: under which names it is served.
        max_upload: bytes that one file may have.
        streams: endless answers that may be open at once.
        is_friend: whether cookies are those of a browser that is logged in; None where there is no password.
    """

    def __init__(
        self,
        app: ASGIApp,
        sessions: Sessions,
        hosts: Hosts,
        *,
        max_upload: int,
        streams: int,
        is_friend: Callable[[Mapping[str, str]], bool] | None = None,
    ) -> None:
        self.app, self.sessions, self.hosts, self.is_friend = app, sessions, hosts, is_friend
        self._max_upload, self._max_streams = max_upload + MEGABYTE, streams  # beside the file there are its headers
        self._brake = LoginBrake()
        self._streams: Counter[str] = Counter()
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        if scope["type"] != "http":  # the page has no web sockets
            return
        headers = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
        if self.hosts.are_own:  # a proxy may be there to show the page in a frame, as Hugging Face does
            headers["Content-Security-Policy"] = "frame-ancestors 'self'"
        exchange = Exchange(scope, receive, send, self._max_upload, headers)
        try:
            await self._pass(exchange)
        except Exception as error:
            await exchange.fail(error)

    async def _pass(self, exchange: Exchange) -> None:
        scope, method = exchange.scope, exchange.scope["method"]
        # Gradio would believe the first of these about its own address; it would compress what is read here.
        dropped = {b"x-gradio-server", *([b"accept-encoding"] if exchange.path == UPLOAD else [])}
        scope["headers"] = [each for each in scope["headers"] if each[0] not in dropped]
        self._check_door(scope)
        exchange.declared()
        self._recognise(exchange)
        file = _FILE.fullmatch(scope["path"])
        if file and not self.sessions.store.may_read(file[1], exchange.owner):
            raise Refused(403, "File not allowed")
        for session in QueryParams(scope["query_string"]).getlist("session_hash"):
            self._admit(session, exchange)
        if method != "POST":
            await self._fetch(exchange)
        elif exchange.path == UPLOAD:
            await self._upload(exchange)
        else:
            await self._message(exchange)

    def _check_door(self, scope: Scope) -> None:
        path = scope["path"]
        problem = self.hosts.problem(Headers(scope=scope), scope["method"], path, (scope.get("server") or ("",))[0])
        if problem:
            raise Refused(403, problem)
        if not _OPEN.fullmatch(path):
            if self.is_friend and not self.is_friend(HTTPConnection(scope).cookies):
                raise Refused(401, "log in first")
            if not _INSIDE.fullmatch(path):
                raise Refused(404, "there is nothing here")
        if path == "/logout":
            scope["query_string"] = b"all_session=false"  # else one visitor's would end everyone's

    def _recognise(self, exchange: Exchange) -> None:
        """Note who asks, and give a browser that loads the page its cookie."""
        connection = HTTPConnection(exchange.scope)
        token = connection.cookies.get(COOKIE, "")
        known = TOKEN.fullmatch(token) is not None
        exchange.owner = exchange.scope[OWNER] = token if known else f"at {exchange.address or '?'}"
        if not known and exchange.path in {"/", "/config"}:
            scheme = connection.headers.get("x-forwarded-proto", exchange.scope["scheme"])
            flags = "HttpOnly; Path=/; SameSite=Lax" + ("; Secure" if scheme == "https" else "")
            exchange.cookie = f"{COOKIE}={secrets.token_urlsafe(32)}; {flags}"

    def _admit(self, session: str, exchange: Exchange) -> None:
        if not SESSION.fullmatch(session):
            raise Refused(400, "session_hash must be 1 to 64 letters and digits")
        if not self.sessions.admits(session, exchange.owner):
            raise Refused(403, "This session is not yours: load the page again")

    async def _fetch(self, exchange: Exchange) -> None:
        """A request that may be answered without end."""
        found = _STREAM.match(exchange.scope["path"])
        if not found:
            await self._forward(exchange)
        elif found[1] and exchange.scope["method"] == "GET":  # as long as this is answered, a page is open
            self._admit(found[1], exchange)
            with self._streaming(exchange, "heartbeat"), self.sessions.page(found[1], exchange.owner):
                await self._forward(exchange)
        else:
            with self._streaming(exchange):
                await self._forward(exchange)

    @contextmanager
    def _streaming(self, exchange: Exchange, kind: str = "") -> Iterator[None]:
        limits = {"": self._max_streams}
        if kind:
            limits[kind] = self._max_streams // 2
        if not is_local(exchange.address):
            limits[household(exchange.address)] = STREAMS_OF_ONE
        if any(self._streams[each] >= most for each, most in limits.items()):
            raise Refused(503, "too many pages are open: close some", retry_s=10)
        self._streams.update(limits.keys())
        try:
            yield
        finally:
            self._streams.subtract(limits.keys())
            self._streams = +self._streams

    async def _upload(self, exchange: Exchange) -> None:
        status, said = 0, bytearray()

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            said.extend(message.get("body", b""))
            if status == 200 and message["type"] == "http.response.body" and not message.get("more_body"):
                paths = [path for path in json.loads(said) if isinstance(path, str)]
                self.sessions.store.await_(paths, exchange.owner)
            await exchange.send(message)

        size = exchange.declared()  # a proxy may leave it out
        with self.sessions.store.arriving(exchange.owner, self._max_upload if size is None else size):
            await self.app(exchange.scope, exchange.receive, noted)

    async def _message(self, exchange: Exchange) -> None:
        """A request that is read whole, looked at, and handed on: nobody waits for one that only trickles in."""
        body, more = bytearray(), True
        try:
            while more:
                message = await exchange.receive()
                if message["type"] == "http.disconnect":
                    return
                body += message.get("body", b"")
                self._held += len(message.get("body", b""))
                if len(body) > SMALL and self._held > MAX_HELD:
                    raise Refused(503, "too many people use this page right now: try again", retry_s=5)
                more = message.get("more_body", False)
            if exchange.path == "/login":
                await self._login(exchange, bytes(body))
                return
            try:
                session = message_of(bytes(body)).get("session_hash")
            except ValueError as error:
                raise Refused(400, str(error)) from error
            if session is not None:
                self._admit(session, exchange)
                exchange.scope[NAMED] = session
            await self._forward(exchange, bytes(body))
        finally:
            self._held -= len(body)

    async def _login(self, exchange: Exchange, body: bytes) -> None:
        async with self._brake.attempt(exchange.address) as attempt:
            if attempt.refused_s:
                seconds = ceil(attempt.refused_s)
                raise Refused(429, f"too many wrong passwords: wait {seconds} seconds, then try again", seconds)

            async def watch(message: Message) -> None:
                if message["type"] == "http.response.start" and message["status"] in {200, 400}:
                    attempt.right = message["status"] == 200
                await exchange.send(message)

            await self._forward(exchange, body, watch)

    async def _forward(self, exchange: Exchange, body: bytes | None = None, send: Send | None = None) -> None:
        """Hand a request on to the page, with ``body`` if it was read already."""
        read: list[Any] = [] if body is None else [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return read.pop() if read else await exchange.receive()

        await self.app(exchange.scope, receive, send or exchange.send)
