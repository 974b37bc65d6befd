"""What a request may bring: how much of it, and, where it is JSON, in which shape."""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["MESSAGE", "SESSION", "UPLOAD", "limit_of", "message_of"]

MESSAGE = "mask-detector message"
"""Under this name the guard leaves in a request's scope what its JSON says."""

UPLOAD = "/gradio_api/upload"
SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Gradio keeps the names of sessions, so they have to be short."""

DEPTH, CONTAINERS = 32, 10_000
"""How deep lists and objects may lie in each other, and how many there may be: Gradio walks over them by recursion."""


def limit_of(path: str, upload: int, other: int) -> int:
    """The most bytes that a request to ``path`` may bring: ``upload`` for files, 64 kB to log in, else ``other``."""
    path = path.removesuffix("/")
    return upload if path == UPLOAD else 1 << 16 if path == "/login" else other


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
