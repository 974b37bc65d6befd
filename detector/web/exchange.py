"""One request and its answer: how much it may bring, in which shape, and in which words it is refused."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from detector.web.uploads import MEGABYTE, FullError

__all__ = ["API", "SESSION", "UPLOAD", "Exchange", "Refused", "malformed", "message_of"]

log = logging.getLogger(__name__)

API = "/gradio_api/"
UPLOAD = "/gradio_api/upload"
SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Gradio keeps the names of sessions, so they have to be short."""

MAX_MESSAGE, MAX_LOGIN = 8 * MEGABYTE, 1 << 16
"""A request that is no upload, where a picture in it may be three quarters of that; and one to log in."""

DEPTH, CONTAINERS = 32, 10_000
"""How deep lists and objects may lie in each other, and how many there may be: Gradio walks over them by recursion."""

HEAR_OUT_S = 2.0
"""Who is refused may send for so long before the connection is closed."""

FULL = {errno.ENOSPC, errno.EDQUOT}


class Refused(Exception):  # noqa: N818 - not an error of ours
    """A request that goes no further.

    Args:
        status: of the answer.
        words: why, in one line.
        retry_s: after how many seconds it may be tried again; 0 says nothing about it.
        hang_up: close the connection after the answer.
    """

    def __init__(self, status: int, words: str, retry_s: int = 0, *, hang_up: bool = True) -> None:
        super().__init__(words)
        self.status, self.words, self.retry_s, self.hang_up = status, words, retry_s, hang_up

    def answer(self, path: str) -> Response:
        """One line; to a call of a function as JSON, which the page shows."""
        headers = {"Connection": "close"} if self.hang_up else {}
        if self.retry_s:
            headers["Retry-After"] = str(self.retry_s)
        line = f"{self.status} {HTTPStatus(self.status).phrase}: {self.words}"
        if path.startswith(API) and not path.startswith(UPLOAD):
            return JSONResponse({"detail": line}, self.status, headers)
        return PlainTextResponse(f"{line}\n", self.status, headers)


class Exchange:
    """One request and its answer.

    Args:
        scope, receive, send: ASGI's.
        max_upload: bytes that it may bring as files.
        headers: to be added to the answer.

    Attributes:
        path: what is asked for, without a slash at its end.
        address: the IP address that it comes from.
        owner: who asks, see :mod:`detector.web.sessions`.
        cookie: one to be set.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, max_upload: int, headers: Mapping[str, str]) -> None:
        self.scope, self._receive, self._send, self.headers = scope, receive, send, dict(headers)
        self.path = str(scope["path"]).rstrip("/") or "/"
        self.address = str(scope["client"][0]) if scope.get("client") else ""
        self.owner = self.cookie = ""
        self._limit = max_upload if self.path == UPLOAD else MAX_LOGIN if self.path == "/login" else MAX_MESSAGE
        self._got, self._more, self._started = 0, True, False

    def declared(self) -> int | None:
        """Bytes that it says it brings; None if it does not say.

        Raises:
            Refused: too many, or no number.
        """
        length = Headers(scope=self.scope).get("content-length")
        if length is not None and not (length.isdecimal() and int(length[:20]) <= self._limit):
            raise self._too_large()
        return None if length is None else int(length)

    async def receive(self) -> Message:
        """The next piece of the request.

        Raises:
            Refused: it brings more than it may.
        """
        message = await self._receive()
        self._got += len(message.get("body", b""))
        self._more = message.get("more_body", False)
        if self._got > self._limit:
            raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        """The next piece of the answer."""
        if message["type"] == "http.response.start":
            self._started = True
            headers = MutableHeaders(scope=message)
            headers.update(self.headers)
            if self.cookie:
                headers.append("Set-Cookie", self.cookie)
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        """End it: with one line, or, where an answer has begun, in the middle."""
        if not self._started:
            await _refusal_of(error).answer(self.path)(self.scope, self._receive, self._send_unended)
            with suppress(asyncio.TimeoutError, Refused):
                await asyncio.wait_for(self._hear_out(), HEAR_OUT_S)
        with suppress(Exception):
            await self._send({"type": "http.response.body", "body": b""})

    async def _send_unended(self, message: Message) -> None:
        await self.send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    async def _hear_out(self) -> None:
        """Take the rest of the request: to who still sends, a connection closed meanwhile loses the answer."""
        while self._more:
            self._more = (await self._receive()).get("more_body", False)

    def _too_large(self) -> Refused:
        return Refused(413, f"at most {self._limit // MEGABYTE or 1} MB in one request")


def _refusal_of(error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, FullError):
        return Refused(507, str(error), hang_up=False)
    if isinstance(error, OSError) and error.errno in FULL:
        return Refused(507, "the disk of this server is full: try again in a few minutes", hang_up=False)
    return Refused(400, "this page cannot do anything with that", hang_up=False)


async def malformed(request: HTTPConnection, error: Exception) -> Response:
    """The answer to a request that Gradio's own code stumbles over, or for which the disk has no room."""
    log.debug("a request to %.30r ended with %s", request.url.path, type(error).__name__, exc_info=error)
    return _refusal_of(error).answer(request.scope["path"])


def message_of(body: bytes) -> dict[str, Any]:
    """What a JSON body says.

    Raises:
        ValueError: why it is not looked at further, in one line.
    """
    if body.count(b"[") + body.count(b"{") > CONTAINERS:
        raise ValueError("the JSON has too many lists and objects")
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("the request is no JSON") from error
    if not isinstance(message, dict):
        raise ValueError("the JSON must be an object")
    session = message.get("session_hash")
    if session is not None and not (isinstance(session, str) and SESSION.fullmatch(session)):
        raise ValueError("session_hash must be 1 to 64 letters, digits, - or _")
    if _is_deep(message, DEPTH):
        raise ValueError(f"the JSON is more than {DEPTH} levels deep")
    return message


def _is_deep(value: Any, left: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value
    return left == 0 or any(_is_deep(each, left - 1) for each in inside if isinstance(each, dict | list))
