"""Under which names the page may be asked for, by whose pages, and from where.

A foreign page can point its own name at this computer (DNS rebinding) or post to it from a visitor's browser. Both show
in what browsers send along and scripts cannot change: ``Host``, ``Origin``, ``Sec-Fetch-Site``. Starlette's own
middleware looks at one Host only, knows no IPv6 and no origins.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers

__all__ = ["Hosts", "host_name", "household", "is_local"]

EVERYONE = "*"
"""In place of a name: all of them."""

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@?#\[\]\\,]+)(?::([0-9]{1,5}))?")
_PORTS = {"http": "80", "https": "443"}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Hosts:
    """The names of a page.

    Args:
        host: the address that it listens on, as in ``--host``.
        allowed: further names, of proxies in front of it; :data:`EVERYONE` allows all.
    """

    def __init__(self, host: str, allowed: Iterable[str] = ()) -> None:
        self._allowed = set(map(_normal, allowed))
        address = _address(_normal(host))
        self._anywhere = address is not None and address.is_unspecified
        self._own = {_normal(host)}
        if self._anywhere or address is None or address.is_loopback:
            self._own |= {"localhost", "127.0.0.1", "::1"}
        if address is None or not address.is_loopback:
            own = socket.gethostname().lower()
            self._own |= {own, f"{own}.local"}

    @property
    def are_own(self) -> bool:
        """Whether nobody stands in front of the page whose pages may show it in a frame."""
        return not self._allowed

    def allow(self, name: str) -> None:
        """A further name, such as a share link's."""
        self._allowed.add(_normal(name))

    def problem(self, headers: Headers, method: str, path: str, server: str) -> str:
        """Why a request that came in at the address ``server`` is refused, in one line, or ""."""
        if not headers.getlist("host"):
            return "a request must say with Host whom it asks"
        behind = ",".join(headers.getlist("x-forwarded-host"))
        hosts = {*headers.getlist("host"), *(each.strip() for each in behind.split(",") if behind)}
        if not all(self._is_known(host_name(host), server) for host in hosts):
            return "this page is not served under that name: its owner can allow it with --allow-host NAME"
        if EVERYONE not in self._allowed and self._is_foreign(headers, method, path, hosts):
            return "another site's page may not use this one: its owner can allow it with --allow-host NAME"
        return ""

    def _is_known(self, name: str, server: str) -> bool:
        if EVERYONE in self._allowed:
            return bool(name)
        if name in self._own or name in self._allowed:
            return True
        # An address cannot be pointed elsewhere as a name can. Private ones are how a network, a container or a virtual
        # machine reaches this computer, under addresses that it does not know itself.
        address = _address(name)
        return self._anywhere and address is not None and (not address.is_global or name == _normal(server))

    def _is_foreign(self, headers: Headers, method: str, path: str, hosts: set[str]) -> bool:
        origins = headers.getlist("origin")
        if origins:
            return not all(self._is_same(origin, hosts) for origin in origins)
        if headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            # A link on another page leads to the front door, and nowhere else.
            return not (method in _SAFE and path == "/" and headers.get("sec-fetch-mode") == "navigate")
        referer = headers.get("referer")
        return referer is not None and method not in _SAFE and not self._is_same(referer, hosts)

    def _is_same(self, url: str, hosts: set[str]) -> bool:
        """Whether an address of another page, "null" included, is of this one."""
        try:
            parts = urlsplit(url)
            usual = _PORTS[parts.scheme]
            name, port = _normal(parts.hostname or ""), str(parts.port or usual)
        except (KeyError, ValueError):
            return False
        found = filter(None, map(_HOST.fullmatch, hosts))
        return name in self._allowed or (name, port) in {(_normal(host[1]), host[2] or usual) for host in found}


def host_name(value: str) -> str:
    """The name in a ``Host`` header, lower case, without a port or brackets; "" if it is malformed."""
    found = _HOST.fullmatch(value)
    return _normal(found[1]) if found else ""


def is_local(address: str) -> bool:
    """Whether an IP address is this computer's own, where a tunnel or a proxy brings everyone from."""
    ip = _address(address)
    return ip is not None and (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


def household(address: str) -> str:
    """Who is taken for one person: an IPv4 address, or the 64 bits of IPv6 that a provider gives to a household."""
    ip = _address(address)
    if ip is None:
        return "unknown"
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    return str(ip.ipv4_mapped or ipaddress.ip_network((int(ip) >> 64 << 64, 64)))


def _normal(name: str) -> str:
    name = name.lower().removeprefix("[").removesuffix("]").removesuffix(".")
    return str(_address(name) or name)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
