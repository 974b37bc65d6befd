"""Whatever a request names, only uploads are opened and deleted: tried against the real page, over every route."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .caller import META, Caller
from .conftest import ROOT, Demo, started
from .watching import untouched

SIX = ROOT / "data/images/video_call_six.jpg"
ROUTES = ("run", "api", "call", "call/v2", "queue")
CONTROLS = ["One pass", 0.25, 0.6]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with started(tmp_path_factory.mktemp("attacked")) as running:
        yield running


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder that is nobody's business, with a picture."""
    folder = tmp_path / "secret"
    folder.mkdir()
    (folder / "faces.jpg").write_bytes(SIX.read_bytes())
    (tmp_path / "link").symlink_to(folder)
    return folder


def spellings(path: Path, upload: str) -> dict[str, Any]:
    """A path in all ways that might slip through; ``upload`` is one of the caller's own."""
    folder = Path(upload).parent
    up = os.path.relpath(path, folder)
    return {
        "as it is": str(path),
        "out of an upload's folder": f"{folder}/{up}",
        "out of an upload": f"{upload}/../{up}",
        "out of the upload folder": f"{folder.parent}/{os.path.relpath(path, folder.parent)}",
        "from the working directory": os.path.relpath(path, ROOT),
        "from the process": f"/proc/self/root{path}",
        "through a link": str(path.parent.parent / "link" / path.name),
        "with dots": f"{path.parent}/./{path.name}",
        "with slashes": f"//{path}".replace("/", "//"),
        "as a file URL": path.as_uri(),
        "as a file URL without slashes": f"file:{path}",
        "as a URL of this page": f"/gradio_api/file={path}",
        "quoted": str(path).replace("/", "%2F"),
        "with NUL": f"{path}\0",
        "NUL, then an upload": f"{path}\0{upload}",
        "an upload, then NUL": f"{upload}\0{path}",
        "with a new line": f"{path}\n",
        "for ffmpeg": f"concat:{path}|{path}",
        "UNC": rf"\\127.0.0.1\share{path}",
        "with a drive": f"C:{path}",
        "very long": "/" + "a/../" * 5000 + str(path)[1:],
        "a long name": f"{path}{'a' * 5000}",
        "half a character": f"{path}\ud800",
        "a list": [str(path)],
        "an object": {"path": str(path), "orig_name": "door.jpg", **META},
        "a number": 0,
        "true": True,
    }


SPELLINGS = list(spellings(Path("/a/b"), "/c/d/e"))


def payloads(path: Any) -> list[Any]:
    """A file as a request may describe it."""
    plain = {"path": path, "orig_name": "door.jpg"}
    full = {**plain, "url": f"/gradio_api/file={path}", "size": 1, "mime_type": "image/jpeg", **META}
    return [
        plain,
        {**plain, **META},
        full,
        {**full, "is_stream": True},
        {**full, "url": "data:image/jpeg;base64,AAAA"},
        {**plain, "meta": {"_type": "another"}},
        {"value": plain},
        {"path": None, "url": path},
        {"video": plain, "subtitles": plain},
        [plain],
        path,
    ]


def some_calls(caller: Caller, payload: Any) -> Iterator[str]:
    """The functions that take a file."""
    yield caller.look(payload, "run")
    yield caller.ask("watch", [payload, *CONTROLS], "run")
    named = payload if isinstance(payload, dict) else {"path": payload}
    for function in ("look", "drawn"):
        yield caller.serve("picture", function, {**named, "name": "faces.jpg", "engine": "One pass"}).text
    yield caller.serve("video", "start", {**named, "name": "faces.jpg"}).text


def every_call(caller: Caller, payload: Any) -> Iterator[str]:
    """All functions of the page, also those that take no file, and all routes."""
    yield from some_calls(caller, payload)
    for route in ROUTES:
        yield caller.look(payload, route)
    for name, data in {
        "change": [payload, 0.2, 0.6],
        "leave": [],
    }.items():
        yield caller.ask(name, data, "run", event_data=payload, trigger_id=caller.components["live"])
    yield caller.serve("live", "live", {"jpeg": payload}).text
    yield caller.serve("picture", "look", {"example": payload}).text


def told(answers: Iterator[str]) -> list[str]:
    """Answers without what is different each time; some of Gradio's repeat what was sent."""
    return [re.sub(r"faces\.jpg|nothing\.jpg|[0-9a-f]{32}|[0-9.]+e?-?[0-9]*", "#", answer) for answer in answers]


def try_all(caller: Caller, calls: Any, there: list[Any], absent: list[Any], upload: str) -> None:
    """Name a file that is there and one that is not, in the same ways, and let go of both."""
    for payload, other in zip(there, absent, strict=True):
        answers = told(calls(caller, payload))
        assert not any("6 faces" in answer or "1 frame" in answer for answer in answers), payload
        assert answers == told(calls(caller, other)), payload
        for nothing in (None, {"path": upload, "orig_name": "mine.jpg", **META}, None):
            caller.look(nothing, "run")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_file_elsewhere_is_neither_opened_nor_deleted_and_no_answer_says_whether_it_exists(
    spelling: str, page: Demo, secret: Path
) -> None:
    with Caller(page.address) as caller:
        upload = caller.upload(SIX)
        there, absent = (payloads(spellings(secret / n, upload)[spelling]) for n in ("faces.jpg", "nothing.jpg"))
        with untouched(secret):
            try_all(caller, some_calls, there[:2], absent[:2], upload)
    assert [path.name for path in secret.iterdir()] == ["faces.jpg"]


def test_that_holds_for_every_description_of_a_file_every_function_and_every_route(page: Demo, secret: Path) -> None:
    with Caller(page.address) as caller:
        upload = caller.upload(SIX)
        with untouched(secret):
            names = secret / "faces.jpg", secret / "nothing.jpg"
            try_all(caller, every_call, *(payloads(str(name)) for name in names), upload)
    assert [path.name for path in secret.iterdir()] == ["faces.jpg"]
