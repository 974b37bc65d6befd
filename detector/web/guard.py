"""The page's doors: every request passes here before Gradio sees it.

Whatever is refused gets one plain line. What the page itself does not use is not there at all: of Gradio's 85 routes
some write files, fetch addresses or keep a connection busy for whoever asks.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from math import ceil

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detector.web.bodies import MESSAGE, UPLOAD, limit_of, message_of
from detector.web.hosts import Names, household, is_local
from detector.web.login import LoginBrake
from detector.web.session_guard import refusal

__all__ = ["Guard", "malformed"]

log = logging.getLogger(__name__)

MEGABYTE = 2**20
MAX_MESSAGE = 8 * MEGABYTE
"""A request that is no upload; a picture in it may be three quarters of that."""

MAX_HELD, SMALL = 64 * MEGABYTE, MEGABYTE // 4
"""All messages under way together; above that, only small ones get through."""

STREAMS_OF_ONE = 32
"""Answers without an end, such as the sign of life of a page, that one address may have open."""

_OPEN = re.compile(
    r"/(?:login/?|(?:static|assets|svelte)/.*|theme\.css|favicon\.ico|robots\.txt|manifest\.json"
    r"|gradio_api/(?:login_check|app_id|user|theme\.css)/?)?"
)
_INSIDE = re.compile(
    r"/(?:logout|config/?|gradio_api/(?:(?:info|openapi\.json|token|queue/(?:join|data|status)|cancel|reset"
    r"|component_server|upload|upload_progress)/?|(?:call|run|api)/.*|heartbeat/[\w-]{1,64}|file[=/](?![\w.+-]{2,}:).*))"
)
_STREAM = re.compile(r"/gradio_api/(?:(heartbeat)/|queue/data|upload_progress|call/.*/)")


class _Refused(Exception):  # noqa: N818 - not an error of ours
    def __init__(self, status: int, words: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(words)
        self.status, self.words, self.headers = status, words, dict(headers or {})


class Guard:
    """ASGI middleware around the page.

    Args:
        app: the page.
        names: under which names it is served.
        max_upload: bytes that one request may bring as files.
        streams: endless answers that may be open at once.
        is_friend: whether cookies are those of a browser that is logged in; None where there is no password.
    """

    def __init__(
        self, app: ASGIApp, names: Names, *, max_upload: int, streams: int,
        is_friend: Callable[[Mapping[str, str]], bool] | None = None,
    ) -> None:  # fmt: skip
        self.app, self.names, self.is_friend = app, names, is_friend
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
        exchange = _Exchange(receive, send, self.names.are_own)
        try:
            await self._pass(scope, exchange)
            if exchange.is_too_large:
                raise _too_large(exchange.limit)
        except _Refused as refusal:
            await exchange.refuse(scope, refusal)
        except Exception as error:
            if exchange.is_too_large:
                await exchange.refuse(scope, _too_large(exchange.limit))
                return
            # Gradio's, which has answered already, or whose answer has begun: that is ended.
            log.debug("a request to %.30r ended with %s", scope["path"], type(error).__name__, exc_info=True)
            with suppress(Exception):
                await send({"type": "http.response.body", "body": b""})

    async def _pass(self, scope: Scope, exchange: _Exchange) -> None:
        # Gradio would believe this header about its own address, and its own Node server alone may send it.
        scope["headers"] = [each for each in scope["headers"] if each[0] != b"x-gradio-server"]
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        problem = self.names.problem(headers, method, path, (scope.get("server") or ("",))[0])
        if problem:
            raise _Refused(403, problem)
        if not _OPEN.fullmatch(path):
            if self.is_friend and not self.is_friend(HTTPConnection(scope).cookies):
                raise _Refused(401, "log in first")
            if not _INSIDE.fullmatch(path):
                raise _Refused(404, "there is nothing here")
        if path == "/logout":
            scope["query_string"] = b"all_session=false"  # else one visitor's would end everyone's
        exchange.limit = limit_of(path, self._max_upload, MAX_MESSAGE)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > exchange.limit:
            raise _too_large(exchange.limit)
        address = scope["client"][0] if scope.get("client") else ""
        if method != "POST":
            await self._stream(scope, exchange, address)
        elif path.removesuffix("/") == UPLOAD:
            await self.app(scope, exchange.receive, exchange.send)
        else:
            await self._message(scope, exchange, address)

    async def _stream(self, scope: Scope, exchange: _Exchange, address: str) -> None:
        """A request that may be answered without end."""
        found = _STREAM.match(scope["path"])
        if not found:
            await self.app(scope, exchange.receive, exchange.send)
            return
        kinds = [("", self._max_streams)]
        if found[1]:
            kinds.append(("heartbeat", self._max_streams // 2))
        if not is_local(address):
            kinds.append((household(address), STREAMS_OF_ONE))
        if any(self._streams[kind] >= most for kind, most in kinds):
            raise _Refused(503, "too many pages are open: close some", {"Retry-After": "10"})
        self._streams.update(kind for kind, _ in kinds)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        finally:
            self._streams.subtract(kind for kind, _ in kinds)
            self._streams = +self._streams

    async def _login(self, scope: Scope, exchange: _Exchange, body: bytes, address: str) -> None:
        async with self._brake.attempt(address) as attempt:
            if attempt.refused_s:
                seconds = ceil(attempt.refused_s)
                words = f"too many wrong passwords: wait {seconds} seconds, then try again"
                raise _Refused(429, words, {"Retry-After": str(seconds)})

            async def watch(message: Message) -> None:
                if message["type"] == "http.response.start" and message["status"] in {200, 400}:
                    attempt.right = message["status"] == 200
                await exchange.send(message)

            await self.app(scope, _Replayed(body, exchange.receive), watch)

    async def _message(self, scope: Scope, exchange: _Exchange, address: str) -> None:
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
                    raise _Refused(503, "too many people use this page right now: try again", {"Retry-After": "5"})
                more = message.get("more_body", False)
            if scope["path"].removesuffix("/") == "/login":
                await self._login(scope, exchange, bytes(body), address)
                return
            try:
                scope[MESSAGE] = message_of(bytes(body))
            except ValueError as error:
                raise _Refused(400, str(error)) from error
            await self.app(scope, _Replayed(bytes(body), exchange.receive), exchange.send)
        finally:
            self._held -= len(body)


class _Exchange:
    """One request and its answer.

    Attributes:
        limit: bytes that the request may still bring.
        is_too_large: it brought more. The page behind is told that the visitor has gone, and its answer is dropped.
    """

    def __init__(self, receive: Receive, send: Send, are_own: bool) -> None:
        self._receive, self._send, self._are_own = receive, send, are_own
        self._started, self._got, self.limit, self.is_too_large = False, 0, 0, False

    async def receive(self) -> Message:
        """The next piece of the request."""
        message = await self._receive()
        self._got += len(message.get("body", b""))
        self.is_too_large = self.is_too_large or self._got > self.limit
        return {"type": "http.disconnect"} if self.is_too_large else message

    async def send(self, message: Message) -> None:
        """The next piece of the answer."""
        if self.is_too_large and not self._started:
            return
        if message["type"] == "http.response.start":
            self._started = True
            headers = MutableHeaders(scope=message)
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "same-origin"
            if self._are_own:  # a proxy may be there to show the page in a frame, as Hugging Face does
                headers["Content-Security-Policy"] = "frame-ancestors 'self'"
        await self._send(message)

    async def refuse(self, scope: Scope, refusal: _Refused) -> None:
        """Answer with one line, unless an answer has begun."""
        if self._started:
            return
        self.is_too_large = False
        headers = {**refusal.headers, "Connection": "close"}  # what is left of the request is not wanted
        words = f"{refusal.status} {HTTPStatus(refusal.status).phrase}: {refusal.words}\n"
        await PlainTextResponse(words, refusal.status, headers)(scope, self._receive, self.send)


class _Replayed:
    """A request whose body was read already."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._first: Message | None = {"type": "http.request", "body": body, "more_body": False}
        self._receive = receive

    async def __call__(self) -> Message:
        first, self._first = self._first, None
        return first or await self._receive()


def _too_large(limit: int) -> _Refused:
    return _Refused(413, f"at most {limit // MEGABYTE or 1} MB in one request")


async def malformed(request: HTTPConnection, error: Exception) -> Response:
    """The answer to a request that Gradio's own code stumbles over, or for which the disk has no room."""
    log.debug("a request to %.30r ended with %s", request.url.path, type(error).__name__, exc_info=error)
    return refusal(error) or PlainTextResponse("400 Bad Request: this page cannot do anything with that\n", 400)
