"""The page's doors one by one, without a page."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("gradio")

from starlette.datastructures import Headers

from detector.errors import SourceError
from detector.web import login as login_module
from detector.web.exchange import message_of
from detector.web.hosts import Hosts, host_name, household, is_local
from detector.web.login import ADDRESSES, BURST, FREE, LoginBrake
from detector.web.webcam_tab import MAX_SIDE, _jpeg_size

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def asked(hosts: Hosts, server: str = "192.168.1.20", method: str = "POST", path: str = "/x", **headers: str) -> str:
    """Why a request with these headers is refused."""
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    return hosts.problem(Headers(raw=raw), method, path, server)


@pytest.mark.parametrize(
    ("host", "name", "taken"),
    [
        ("127.0.0.1", "localhost:1", True),
        ("127.0.0.1", "192.168.1.20", False),
        ("127.0.0.1", "10.0.0.1", False),
        ("0.0.0.0", "192.168.1.20:7860", True),  # noqa: S104
        ("0.0.0.0", "10.9.8.7", True),  # noqa: S104 - a container's or a virtual machine's other side
        ("0.0.0.0", "100.64.0.9", True),  # noqa: S104 - a private network over the internet
        ("0.0.0.0", "8.8.8.8", False),  # noqa: S104
        ("0.0.0.0", "evil.example", False),  # noqa: S104
        ("::", "[fe80::1]:80", True),
        ("::", "[2001:4860:4860::8888]", False),
        ("192.168.1.20", "192.168.1.20", True),
        ("192.168.1.20", "192.168.1.21", False),
        ("::1", "[0:0:0:0:0:0:0:1]:7860", True),
        ("faces.local", "faces.local", True),
    ],
)
def test_the_page_is_served_under_its_own_names_only(host: str, name: str, taken: bool) -> None:
    assert (asked(Hosts(host), host=name) == "") is taken


def test_a_public_address_counts_where_the_request_came_in_at_it() -> None:
    everywhere = Hosts("0.0.0.0")  # noqa: S104
    assert asked(everywhere, host="8.8.8.8", server="8.8.8.8") == ""
    assert "--allow-host" in asked(everywhere, host="8.8.8.8", server="10.0.0.5")


def test_a_star_allows_every_name_and_origin() -> None:
    hosts = Hosts("127.0.0.1", ["*"])
    assert asked(hosts, host="a.example", origin="https://b.example") == ""
    assert asked(hosts, host="a b") != ""


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_made_up_name_or_origin_opens_the_page_or_breaks_it(host: str, origin: str) -> None:
    hosts = Hosts("127.0.0.1")
    if host_name(host) not in {"localhost", "127.0.0.1", "::1"}:
        assert asked(hosts, host=host)
    assert asked(hosts, host="localhost", origin=origin)


@given(st.one_of(st.binary(max_size=200), TREES.map(lambda tree: json.dumps(tree).encode())))
def test_a_body_that_passes_is_an_object_and_what_does_not_gets_one_line(body: bytes) -> None:
    try:
        message = message_of(body)
    except ValueError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - most are refused
    else:
        assert isinstance(message, dict)


@given(st.binary(max_size=300), st.booleans())
def test_the_header_of_a_camera_picture_is_read_or_refused(data: bytes, starts_well: bool) -> None:
    try:
        width, height = _jpeg_size(b"\xff\xd8" + data if starts_well else data)
    except SourceError:
        return
    assert min(width, height) > 0
    assert MAX_SIDE < 65_536


def guesses(brake: LoginBrake, addresses: list[str], right: bool = False) -> list[bool]:
    """Which of these tries, one after the other, were checked."""

    async def work() -> list[bool]:
        checked = []
        for address in addresses:
            async with brake.attempt(address) as attempt:
                checked.append(not attempt.refused_s)
                attempt.right = right if not attempt.refused_s else None
        return checked

    return asyncio.run(work())


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for their turn, so that a test need not."""
    monkeypatch.setattr(login_module, "PATIENCE_S", 0.0)


@pytest.mark.usefixtures("hasty")
def test_the_sixth_guess_of_an_address_has_to_wait_and_another_address_has_not() -> None:
    brake = LoginBrake()
    assert guesses(brake, ["203.0.113.5"] * 8) == [True] * FREE + [False] * 3
    assert guesses(brake, ["203.0.113.6"], right=True) == [True]
    assert guesses(brake, ["2001:db8::1"] * FREE + ["2001:db8::ffff"]) == [True] * FREE + [False]
    assert guesses(brake, ["::ffff:203.0.113.5"]) == [False], "the same address as IPv6 writes it"


@pytest.mark.usefixtures("hasty")
def test_the_pause_doubles_up_to_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1e6
    monkeypatch.setattr(time, "monotonic", lambda: now)
    brake, pauses = LoginBrake(), []
    guesses(brake, ["203.0.113.5"] * FREE)
    for _ in range(9):
        began = now
        while not guesses(brake, ["203.0.113.5"])[0]:
            now += 0.5
        pauses.append(now - began)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    now += 3600
    assert guesses(brake, ["203.0.113.5"] * FREE) == [True] * FREE, "forgiven"


@pytest.mark.usefixtures("hasty")
def test_a_crowd_of_addresses_is_slowed_and_takes_no_memory() -> None:
    brake = LoginBrake()
    assert guesses(brake, ["198.51.100.7"], right=True) == [True]
    crowd = [f"10.{number >> 8}.{number & 255}.1" for number in range(3 * ADDRESSES)]
    assert sum(guesses(brake, crowd)) <= BURST + 30  # and one a second for as long as this takes
    assert len(brake._lanes) <= ADDRESSES
    assert guesses(brake, ["198.51.100.7"], right=True) == [True], "who was right before is let in"


def test_of_one_address_only_a_few_tries_wait_for_their_turn() -> None:
    async def work() -> tuple[list[bool], float]:
        brake, began = LoginBrake(), time.monotonic()

        async def one() -> bool:
            async with brake.attempt("203.0.113.5") as attempt:
                if not attempt.refused_s:
                    await asyncio.sleep(0)
                    attempt.right = False
                return not attempt.refused_s

        first = [await one() for _ in range(FREE)]
        rest = await asyncio.gather(*(one() for _ in range(20)))
        return [*first, *rest], time.monotonic() - began

    checked, took = asyncio.run(work())
    assert sum(checked) == FREE + login_module.WAITING
    assert took >= 1 + 2 + 4 - 0.1


@pytest.mark.parametrize(
    ("address", "home", "local"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("::1", "::/64", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", False),
        ("unix:", "unknown", False),
        ("a" * 4000, "unknown", False),
    ],
)
def test_who_is_taken_for_one_person(address: str, home: str, local: bool) -> None:
    assert (household(address), is_local(address)) == (home, local)


def test_of_one_address_half_the_places_of_the_live_view_are_taken_at_most() -> None:
    from detector.web.webcam_tab import WebcamTab

    tab: Any = WebcamTab(pool=None, viewers=4)  # type: ignore[arg-type]
    for number in range(5):
        for address in ("203.0.113.5", "127.0.0.1"):
            tab.live({"viewer": f"{address} {number}"}, address)
    homes = [each.home for each in tab._viewings.values()]
    assert (homes.count("203.0.113.5"), homes.count("127.0.0.1")) == (2, 2)
