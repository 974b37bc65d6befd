"""Starting the page's server, its share link, and what to say where there is none."""

from __future__ import annotations

import contextlib
import io
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

from detector.errors import SourceError
from detector.web.connections import BACKLOG, bounded, room_for_connections
from detector.web.exchange import malformed
from detector.web.guard import Guard
from detector.web.hosts import Hosts
from detector.web.link_preview import preview_route, set_link_preview
from detector.web.uploads import MAX_BYTES

__all__ = ["Served", "serve"]

SESSIONS = 256
"""Pages whose settings Gradio keeps; by default it would be ten thousand."""

PORTS = range(7860, 7960)
"""Where none is asked for, the first of these that is free."""

FONTS = ["system-ui", "sans-serif"]  # Gradio's own are asked for at Google's: not offline, and not of visitors

CLOSING_S = 3
"""How long the answers under way may take when the page ends."""


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
    demo: gr.Blocks,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    auth: tuple[str, str] | None = None,
    share: bool = False,
    allow_hosts: Sequence[str] = (),
) -> Iterator[Served]:
    """Serve the page until the ``with`` is left.

    Not with Gradio's own ``launch``: there is no place in it for our guard and our limits of connections, and it asks
    for its own address through whatever proxy the environment names.

    Args:
        demo: see :func:`~detector.web.page.build_page`.
        host: whom to answer: 127.0.0.1 is this computer only, 0.0.0.0 everyone who can reach it.
        port: None takes the first free one from 7860.
        auth: user and password, asked for before anything is shown or answered.
        share: ask Gradio's service for a public link.
        allow_hosts: names of proxies under which the page is served too; "*" allows all.

    Raises:
        SourceError: the address or port cannot be used.
    """
    host = host.removeprefix("[").removesuffix("]")
    page: Any = demo
    page.is_running, page.server = True, None  # for Gradio's close(), and for its answers without an end
    with _listen(host, port) as listener:
        hosts, limit = Hosts(host, allow_hosts), room_for_connections()
        with _running(_guarded(page, hosts, limit, auth), limit, listener):
            try:
                link, why_not = _link(page, listener, hosts) if share else (None, "")
                with page.sessions.kept_tidy():
                    yield Served(_address(host, listener), link, why_not)
            finally:
                with contextlib.redirect_stdout(io.StringIO()):  # Gradio says on stdout that it ends its tunnel
                    for tunnel in tunneling.CURRENT_TUNNELS:
                        tunnel.kill()  # type: ignore[no-untyped-call]
                    page.close(verbose=False)


@contextlib.contextmanager
def _running(app: Guard, limit: int, listener: socket.socket) -> Iterator[None]:
    """Uvicorn in a thread of its own."""
    config = uvicorn.Config(
        app,
        http=bounded(limit),
        ws="none",
        loop="asyncio",
        backlog=BACKLOG,
        log_level="critical",
        timeout_graceful_shutdown=CLOSING_S,
        server_header=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="page", daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(2 * CLOSING_S)


def _guarded(page: Any, hosts: Hosts, limit: int, auth: tuple[str, str] | None) -> Guard:
    """The page as an application, behind its doors."""
    page.state_session_capacity = SESSIONS
    set_link_preview()
    app = gr.mount_gradio_app(
        Starlette(routes=[preview_route()]),
        page,
        path="/",
        auth=auth,
        auth_message="This page is protected: enter the user and the password that you were given. After a few wrong "
        "passwords there is a pause before each further one.",
        max_file_size=MAX_BYTES,
        footer_links=[],
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        root_path=os.environ.get("GRADIO_ROOT_PATH"),
        app_kwargs={"exception_handlers": {Exception: malformed}},
        theme=_theme(),
    )
    inner = page.app = app.routes[-1].app  # so that Gradio's own close() stops its endless answers

    def is_friend(cookies: Mapping[str, str]) -> bool:
        kinds = ("access-token", "access-token-unsecure")
        return any(cookies.get(f"{kind}-{inner.cookie_id}") in inner.tokens for kind in kinds)

    friends = is_friend if auth else None
    return Guard(app, page.sessions, hosts, max_upload=MAX_BYTES, streams=limit // 2, is_friend=friends)


def _theme() -> gr.themes.Base:
    """Gradio's own, with the contrast of 4.5 to 1 that WCAG asks of text; it has 1.9 for its hints."""
    theme = gr.themes.Default(primary_hue="indigo", font=FONTS, font_mono=["ui-monospace", "monospace"])
    return theme.set(
        body_text_color_subdued="*neutral_600",
        color_accent="*primary_600",  # in the dark: page.css
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_hover_dark="*primary_700",
    )


def _listen(host: str, port: int | None) -> socket.socket:
    """A socket at the address, for connections to come."""
    error: Exception = OSError("none of 7860 to 7959 is free")
    for each in PORTS if port is None else (port,):
        try:
            found = socket.getaddrinfo(host, each, type=socket.SOCK_STREAM)
            family, *_, place = min(found, key=lambda one: one[0] != socket.AF_INET)
        except (OSError, UnicodeError) as wrong:
            error = wrong
            break
        try:
            both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
            return socket.create_server(place, family=family, backlog=BACKLOG, dualstack_ipv6=both)
        except OSError as taken:
            error = taken
    named = f"{host}:{port}" if port else host
    reason = str(getattr(error, "strerror", None) or error).partition(" (while")[0]
    raise SourceError(f"--host {named}: cannot be used ({reason}): choose another --port or --host") from error


def _address(host: str, listener: socket.socket) -> str:
    """Where a browser on this computer finds the page."""
    name = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{listener.getsockname()[1]}/"


def _link(page: Any, listener: socket.socket, hosts: Hosts) -> tuple[str | None, str]:
    """A public link to the page, or None and the reason in Gradio's words."""
    place = listener.getsockname()
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(place[0], place[0])  # noqa: S104
    said = io.StringIO()  # Gradio's tunnel says on stdout and stderr what went wrong
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            name = urlsplit(networking.setup_tunnel(here, place[1], page.share_token, None, None)).netloc
    except Exception as error:  # whatever hinders it, the page is served here
        return None, " ".join(f"{type(error).__name__}: {error}".split())[:300]
    hosts.allow(urlsplit(f"//{name}").hostname or "")
    page.share = True
    return f"https://{name}", ""
