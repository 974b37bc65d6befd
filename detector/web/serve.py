"""Starting the page's server, its share link, and what to say where there is none."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import gradio as gr
from starlette.middleware import Middleware

from detector.errors import SourceError
from detector.web.film import MAX_BYTES
from detector.web.session_guard import SessionGuard
from detector.web.visitors import Visitors

__all__ = ["Served", "serve"]

log = logging.getLogger(__name__)

SESSIONS = 256
"""Pages whose settings Gradio keeps; by default it would be ten thousand."""

FONTS = ["system-ui", "sans-serif"]  # Gradio's own are asked for at Google's: not offline, and not of visitors


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
    share: bool = False,
) -> Iterator[Served]:  # fmt: skip
    """Serve the page until the ``with`` is left.

    Args:
        demo: see :func:`~detector.web.page.build_demo`.
        host: whom to answer: 127.0.0.1 is this computer only, 0.0.0.0 everyone who can reach it.
        port: None takes the first free one from 7860.
        auth: user and password, asked for before anything is shown or answered.
        share: ask Gradio's service for a public link.

    Raises:
        SourceError: the address or port cannot be used.
    """
    _check_address(host, port)
    visitors: Visitors = vars(demo)["visitors"]
    said = io.StringIO()  # Gradio says on stdout why there is no link, and nowhere else
    try:
        with contextlib.redirect_stdout(said):
            _, local, link = demo.launch(
                server_name=host, server_port=port, auth=auth, share=share, prevent_thread_lock=True, quiet=True,
                inbrowser=False, max_file_size=MAX_BYTES, footer_links=[], run_history=False,
                state_session_capacity=SESSIONS, enable_monitoring=False, ssr_mode=False, mcp_server=False, pwa=False,
                auth_message="This page is protected: enter the user and the password that you were given.",
                app_kwargs={"middleware": [Middleware(SessionGuard, visitors=visitors)]},
                theme=gr.themes.Default(primary_hue="indigo", font=FONTS, font_mono=["ui-monospace", "monospace"]),
            )  # fmt: skip
    except OSError as error:
        raise SourceError(_unusable(host, port, error)) from error
    try:
        with visitors.kept_tidy():
            yield Served(local, link or None, "" if link or not share else _reason(said.getvalue()))
    finally:
        with contextlib.redirect_stdout(said):
            demo.close(verbose=False)


def _check_address(host: str, port: int | None) -> None:
    """Try the address first: Gradio waits for minutes for a page that it could not put there."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":  # elsewhere it would share a port that is taken
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise SourceError(_unusable(host, port, error)) from error


def _unusable(host: str, port: int | None, error: OSError) -> str:
    place = f"{host}:{port}" if port else host
    return f"--host {place}: cannot be used ({error.strerror or error}): choose another --port or --host"


def _reason(said: str) -> str:
    """Gradio's own explanation, its first sentences on one line."""
    words = " ".join(said.split())
    _, found, reason = words.partition("Could not create share link.")
    return reason.partition(" You can install manually")[0].strip() if found else words or "Gradio gives no reason"
