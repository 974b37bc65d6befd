"""Polite requests: a pause between two to the same host, and an end to what never ends."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

__all__ = ["NETWORK_ERRORS", "NotCollectedError", "be_polite", "download", "reason"]

NETWORK_ERRORS = (requests.RequestException, HTTPError, OSError, ValueError)
"""What a request raises; ValueError for addresses that are none."""

CHUNK = 2**16
TEMPORARY = frozenset({408, 425, 429})
PATIENCE = 6  # a whole download may take so many times the time-out, however slowly it drips


class NotCollectedError(Exception):
    """Why an address gave no picture.

    Args:
        message: the reason.
        final: asking again is of no use.
    """

    def __init__(self, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.final = final


class _Paced(HTTPAdapter):
    """Waits before a request to a host that was asked less than ``pause`` seconds ago."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self._pause = pause
        self._free_at: dict[str | None, float] = {}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        host = urlsplit(request.url or "").hostname
        time.sleep(max(0.0, self._free_at.get(host, 0.0) - time.monotonic()))
        try:
            return super().send(request, *args, **kwargs)
        finally:
            self._free_at[host] = time.monotonic() + self._pause


def be_polite(session: requests.Session, pause: float) -> None:
    """Make a session wait ``pause`` seconds between two requests to one host."""
    paced = _Paced(pause)
    session.mount("http://", paced)
    session.mount("https://", paced)


def download(session: requests.Session, url: str, *, max_bytes: int, timeout: float) -> bytes:
    """The bytes at an address.

    Args:
        session: asks.
        url: the address; redirections are followed.
        max_bytes: larger files are not read to their end.
        timeout: seconds without an answer; a download may take some times as long.

    Raises:
        NotCollectedError: there is nothing, or too much.
        requests.RequestException: and the other NETWORK_ERRORS: no answer.
    """
    began = time.monotonic()
    too_large = NotCollectedError(f"more than {max_bytes / 2**20:.0f} MiB", final=True)
    with session.get(url, timeout=timeout, stream=True) as response:
        code = response.status_code
        if code != requests.codes.ok:
            raise NotCollectedError(f"answers {code}", final=400 <= code < 500 and code not in TEMPORARY)
        if int(response.headers.get("Content-Length") or 0) > max_bytes:
            raise too_large
        data = bytearray()
        for chunk in response.iter_content(CHUNK):
            data += chunk
            if len(data) > max_bytes:
                raise too_large
            if time.monotonic() - began > PATIENCE * timeout:
                raise NotCollectedError("too slow", final=False)
    return bytes(data)


def reason(error: BaseException) -> str:
    """What went wrong on the network, in a few words: requests' own messages go on for lines."""
    inner: BaseException | None = error
    while inner is not None:  # down to the one that knows: "Name or service not known"
        error, inner = inner, inner.__cause__ or inner.__context__ or _argument(inner)
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0][:120]


def _argument(error: BaseException) -> BaseException | None:
    return next((item for item in [getattr(error, "reason", None), *error.args] if isinstance(item, Exception)), None)
