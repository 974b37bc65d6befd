"""Starting the page's server, its share link, and what to say where there is none."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import uvicorn
from gradio import networking, tunneling
from starlette.applications import Starlette
from starlette.middleware import Middleware

from detector.errors import SourceError
from detector.web.connections import BACKLOG, bounded, room_for_connections
from detector.web.guard import Guard, malformed
from detector.web.hosts import Names
from detector.web.session_guard import SessionGuard
from detector.web.sessions import Visitors
from detector.web.video_tab import MAX_BYTES

__all__ = ["Served", "serve"]

log = logging.getLogger(__name__)

SESSIONS = 256
"""Pages whose settings Gradio keeps; by default it would be ten thousand."""

PORTS = range(7860, 7960)
"""Where none is asked for, the first of these that is free."""

FONTS = ["system-ui", "sans-serif"]  # Gradio's own are asked for at Google's: not offline, and not of visitors

CLOSING_S = 3
"""How long the answers under way may take when the page ends."""

STUMBLES = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""What Gradio's own routes raise for a request of a shape that they did not expect."""


@dataclass(frozen=True)
class Served:
    """Where the page is.

    Args:
        local: address on this computer or in its network.
        share: public address, or None.
        why_not: the reason why there is no public address although one was asked for.
    """

    local: str
    share: str | None
    why_not: str = ""


@contextlib.contextmanager
def serve(
    demo: gr.Blocks, *, host: str = "127.0.0.1", port: int | None = None, auth: tuple[str, str] | None = None,
    share: bool = False, allow_hosts: Sequence[str] = (),
) -> Iterator[Served]:  # fmt: skip
    """Serve the page until the ``with`` is left.

    Not with Gradio's own ``launch``: there is no place in it for our guard and our limits of connections, and it asks
    for its own address through whatever proxy the environment names.

    Args:
        demo: see :func:`~detector.web.page.build_demo`.
        host: whom to answer: 127.0.0.1 is this computer only, 0.0.0.0 everyone who can reach it.
        port: None takes the first free one from 7860.
        auth: user and password, asked for before anything is shown or answered.
        share: ask Gradio's service for a public link.
        allow_hosts: names of proxies under which the page is served too; "*" allows all.

    Raises:
        SourceError: the address or port cannot be used.
    """
    host = host.removeprefix("[").removesuffix("]")
    listener = _listen(host, port)
    names, limit = Names(host, allow_hosts), room_for_connections()
    server = _Server(_guarded(demo, names, limit, auth), limit, listener)
    page: Any = demo
    page.is_running, page.server = True, server  # for Gradio's own close()
    try:
        server.start()
        link, why_not = _link(demo, listener, names) if share else (None, "")
        with _visitors(demo).kept_tidy():
            yield Served(_address(host, listener), link, why_not)
    finally:
        with contextlib.redirect_stdout(io.StringIO()):  # Gradio says on stdout that it ends its tunnel
            for tunnel in tunneling.CURRENT_TUNNELS:
                tunnel.kill()  # type: ignore[no-untyped-call]
            demo.close(verbose=False)


class _Server(uvicorn.Server):
    """uvicorn in a thread of its own."""

    def __init__(self, app: Guard, limit: int, listener: socket.socket) -> None:
        config = uvicorn.Config(
            app, http=bounded(limit), ws="none", loop="asyncio", backlog=BACKLOG, log_level="critical",
            timeout_graceful_shutdown=CLOSING_S, server_header=False,
        )  # fmt: skip
        super().__init__(config)
        self._thread = threading.Thread(target=self.run, args=([listener],), name="page", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()
        while not self.started and self._thread.is_alive():
            time.sleep(0.01)

    def close(self) -> None:
        """Stop answering; Gradio calls this when the page is closed."""
        self.should_exit = True
        self._thread.join(2 * CLOSING_S)


def _guarded(demo: gr.Blocks, names: Names, limit: int, auth: tuple[str, str] | None) -> Guard:
    """The page as an application, behind its doors."""
    demo.state_session_capacity = SESSIONS
    app = gr.mount_gradio_app(
        Starlette(), demo, path="/", auth=auth, max_file_size=MAX_BYTES, footer_links=[], run_history=False,
        show_error=False, enable_monitoring=False, ssr_mode=False, mcp_server=False, pwa=False,
        root_path=os.environ.get("GRADIO_ROOT_PATH"),
        app_kwargs={
            "middleware": [Middleware(SessionGuard, visitors=_visitors(demo))],
            "exception_handlers": dict.fromkeys(STUMBLES, malformed),
        },
        auth_message="This page is protected: enter the user and the password that you were given. After a few wrong "
        "passwords there is a pause before each further one.",
        theme=gr.themes.Default(primary_hue="indigo", font=FONTS, font_mono=["ui-monospace", "monospace"]),
    )  # fmt: skip
    inner = demo.app = app.routes[-1].app  # so that Gradio's own close() stops its endless answers

    def is_friend(cookies: Mapping[str, str]) -> bool:
        kinds = ("access-token", "access-token-unsecure")
        return any(cookies.get(f"{kind}-{inner.cookie_id}") in inner.tokens for kind in kinds)

    return Guard(app, names, max_upload=MAX_BYTES, streams=limit // 2, is_friend=is_friend if auth else None)


def _visitors(demo: gr.Blocks) -> Visitors:
    visitors: Visitors = vars(demo)["visitors"]
    return visitors


def _listen(host: str, port: int | None) -> socket.socket:
    """A socket at the address, for connections to come."""
    error: OSError = OSError("none of 7860 to 7959 is free")
    for each in PORTS if port is None else (port,):
        try:
            found = socket.getaddrinfo(host, each, type=socket.SOCK_STREAM)
            family, kind, protocol, _, place = min(found, key=lambda one: one[0] != socket.AF_INET)
            listener = socket.socket(family, kind, protocol)
        except (OSError, UnicodeError) as wrong:
            raise SourceError(_unusable(host, port, wrong)) from wrong
        try:
            if os.name == "posix":  # elsewhere it would share a port that is taken
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(BACKLOG)
        except OSError as taken:
            listener.close()
            error = taken
        else:
            return listener
    raise SourceError(_unusable(host, port, error)) from error


def _unusable(host: str, port: int | None, error: Exception) -> str:
    place = f"{host}:{port}" if port else host
    reason = getattr(error, "strerror", None) or error
    return f"--host {place}: cannot be used ({reason}): choose another --port or --host"


def _address(host: str, listener: socket.socket) -> str:
    """Where a browser on this computer finds the page."""
    name = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{listener.getsockname()[1]}/"


def _link(demo: Any, listener: socket.socket, names: Names) -> tuple[str | None, str]:
    """A public link to the page, or None and the reason in Gradio's words."""
    place = listener.getsockname()
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(place[0], place[0])  # noqa: S104
    said = io.StringIO()  # Gradio's tunnel says on stdout and stderr what went wrong
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            name = urlsplit(networking.setup_tunnel(here, place[1], demo.share_token, None, None)).netloc
    except Exception as error:  # whatever hinders it, the page is served here
        return None, " ".join(f"{type(error).__name__}: {error}".split())[:300]
    names.allow(urlsplit(f"//{name}").hostname or "")
    demo.share = True
    return f"https://{name}", ""
