"""Addresses as they may be shown: whatever is mistyped in them, without the password."""

from __future__ import annotations

import re

from detector.errors import SourceError

__all__ = ["HOW_TO", "checked_address", "looks_like_an_address", "without_password"]

STREAM_SCHEMES = frozenset({"http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "srt", "tcp"})

BEGINNING = re.compile(
    r"\s*((?:[a-z][a-z0-9+.-]*:[/\\]+)|(?:(?:https?|rts?ps?|rtmps?|udp|srt|tcp)(?::|[/\\]{2,})))?", re.I
)
SECRETS = re.compile(r"(?i)([?&;][^=&#]*(?:pass|pwd|token|key|secret|auth|sig|user|login)[^=&#]*=)[^&#]*")
HOST = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:.%]+\])(?::\d*)?")
MAX_PORT = 65535
HOW_TO = (
    "in a user name or password write # as %23, / as %2F, ? as %3F, [ as %5B, ] as %5D, @ as %40, : as %3A, % as %25 "
    "and a space as %20"
)


def looks_like_an_address(text: str) -> bool:
    """Whether this is no name of a file, but an address, perhaps with a slip in it."""
    return bool(_beginning(text).strip()) and not re.match(r"[A-Za-z]:[\\/](?![\\/])", text)


def without_password(text: str) -> str:
    """An address as it may be shown: without user name and password, and what it asks for under such a name.

    A password may hold what ends the host of an address: where an @ stands behind it, all before the last one is left
    out, unless it can only be part of the path. Where the @ itself is missing, the host is left out. Names of files
    stay as they are.
    """
    beginning = _beginning(text)
    rest = text[len(beginning) :]
    before, at, behind = rest.rpartition("@")
    host, path = re.match(r"([^/?#\\]*)(.*)", before if at else rest, re.DOTALL).groups()  # type: ignore[union-attr]
    if at and (":" in before or (beginning and host == before)):
        rest = behind
    elif not at and beginning and not (HOST.fullmatch(host) or re.fullmatch(r"(:\d+)?", host)):
        rest = f"***{path}"
    return SECRETS.sub(r"\1***", f"{beginning.strip()}{rest}")


def _beginning(text: str) -> str:
    start = BEGINNING.match(text)
    return start[0] if start else ""


def checked_address(text: str) -> str:
    """The address for FFmpeg, which knows schemes in small letters only.

    Raises:
        SourceError: it has no scheme that is known, no host, or a password with a character that ends it early.
    """
    name = without_password(text)
    scheme, separator, rest = text.strip().partition("://")
    if not separator or scheme.lower() not in STREAM_SCHEMES:
        raise SourceError(f"{name}: not an address that can be opened: begin it with rtsp://, http:// or https://")
    authority, end, behind = re.match(r"([^/?#]*)(.?)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    host = authority.rpartition("@")[2]
    if "@" in behind and not HOST.fullmatch(host):
        raise SourceError(f"{name}: its password ends early, at {end}: {HOW_TO}")
    if not (HOST.fullmatch(host) or (scheme.lower() in {"udp", "rtp", "srt", "tcp"} and re.fullmatch(r":\d+", host))):
        raise SourceError(f"{name}: not an address (its host or port cannot be): check it; {HOW_TO}")
    if int(host.rpartition("]")[2].partition(":")[2] or 0) > MAX_PORT:
        raise SourceError(f"{name}: not an address (no port is higher than {MAX_PORT}): check it")
    return f"{scheme.lower()}://{rest}"
