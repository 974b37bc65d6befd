"""Search, download, check, write down: one picture after the other."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import requests

from detector.data.progress import Progress, silent
from detector.errors import OutputError, SourceError
from detector.files import alone, make_folder, write_file
from detector.labelling.ledger import Ledger
from detector.labelling.search import NETWORK_ERRORS, Found, SearchEngine
from detector.labelling.search_terms import Phrase
from detector.labelling.strict_pictures import read_strictly
from detector.staging import uninterrupted

__all__ = ["Collection", "Outcome", "collect", "open_collection"]

_PROVENANCE, _SKIPPED, _IMAGES = "provenance.csv", "skipped.csv", "images"
_COLUMNS = (
    *("file", "class", "phrase", "engine", "url", "page", "licence", "date"),
    *("width", "height", "bytes", "sha256"),
)
_SUFFIXES = {"jpeg": ".jpg", "tiff": ".tif", "jpeg2000": ".jp2"}
_LOST = 10  # so many different hosts in a row that do not answer: it is the own connection
_ASK_AGAIN = frozenset({408, 425, 429})
_PATIENCE = 6  # a whole download may take so many times the time-out, however slowly it drips


@dataclass
class Outcome:
    """What became of a phrase.

    Args:
        name: the class.
        phrase: what is searched for.
        there: pictures of it from earlier runs.
        new: pictures of this run.
        results: search results that were looked at.
        reasons: why results gave no picture, to how many.
        state: "not begun", "stopped", "complete", "no more results" or "no results".
    """

    name: str
    phrase: str
    there: int = 0
    new: int = 0
    results: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    state: str = "not begun"


class _NoPictureError(Exception):
    """Why an address gives no picture, now and later."""


class _NotNowError(_NoPictureError):
    """Why an address gave no picture; later it may."""


class Collection:
    """A folder of collected pictures, with a table of where each is from, and one of what gave none.

    Raises:
        AnnotationError: its tables are damaged.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._got = Ledger(out / _PROVENANCE, _COLUMNS)
        self._skipped = Ledger(out / _SKIPPED, ("url", "class", "phrase", "date", "reason"))
        self._urls = {row["url"] for row in [*self._got.rows, *self._skipped.rows]}
        self._files = {row["sha256"]: row["file"] for row in self._got.rows}

    def outcomes(self, phrases: Iterable[Phrase]) -> list[Outcome]:
        """Where each phrase stands, each once."""
        there = Counter((row["class"], row["phrase"]) for row in self._got.rows)
        return [Outcome(*phrase, there=there[phrase]) for phrase in dict.fromkeys(phrases)]

    def counts(self) -> dict[str, int]:
        """How many pictures each class has."""
        return dict(Counter(row["class"] for row in self._got.rows))

    def knows(self, url: str) -> bool:
        """Whether the address gave a picture, or is known to give none. Makes the table, by which a later run goes on.

        Raises:
            OutputError: it cannot be written.
        """
        self._got.begin()
        return url in self._urls

    def add(self, data: bytes, found: Found, engine: str, outcome: Outcome, min_side: int) -> None:
        """Keep a file. Its name is made of its bytes, so that one that is there already is not written again.

        Raises:
            _NoPictureError: it is no picture, or too small, or the same bytes are there under another address.
            OutputError: it cannot be written.
        """
        try:
            picture = read_strictly(data, "")
        except SourceError as error:
            raise _NoPictureError(str(error).removeprefix(": ")) from error
        width, height = picture.size
        if min(width, height) < min_side:
            raise _NoPictureError(f"too small: {width}x{height}")
        digest = hashlib.sha256(data).hexdigest()
        if digest in self._files:
            raise _NoPictureError(f"the same file as {self._files[digest]}")
        folder = self.out / _IMAGES / outcome.name
        make_folder(folder)
        path = folder / f"{digest[:16]}{_SUFFIXES.get(picture.format, f'.{picture.format}')}"
        with uninterrupted():  # a file and its row belong together
            if not path.exists() or path.read_bytes() != data:  # a run that was cut off wrote it, but not its row
                path = write_file(path, data, free=True)
            self._files[digest] = path.relative_to(self.out).as_posix()
            about = {"file": self._files[digest], "engine": engine, "page": found.page, "licence": found.licence}
            facts = {"width": width, "height": height, "bytes": len(data), "sha256": digest}
            self._note(self._got, found.url, outcome, about | facts)

    def skip(self, url: str, outcome: Outcome, reason: str) -> None:
        """Note an address that need not be asked again.

        Raises:
            OutputError: it cannot be written.
        """
        self._note(self._skipped, url, outcome, {"reason": reason})

    def _note(self, table: Ledger, url: str, outcome: Outcome, more: Mapping[str, object]) -> None:
        self._urls.add(url)
        date = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        row = {"url": url, "class": outcome.name, "phrase": outcome.phrase, "date": date, **more}
        table.add({column: " ".join(str(value).split()) for column, value in row.items()})


@contextmanager
def open_collection(out: Path, *, dry_run: bool = False) -> Iterator[Collection]:
    """A folder to collect into; one run at a time works in it.

    Args:
        out: the folder: a new one, which vanishes again if nothing comes into it, or one of an earlier run.
        dry_run: nothing will be added.

    Raises:
        OutputError: something else lies there, or another run is at work.
        AnnotationError: its tables are damaged.
    """
    new = not out.exists()
    if not new and (not out.is_dir() or (any(out.glob("[!.]*")) and not (out / _PROVENANCE).is_file())):
        raise OutputError(f"{out}: is there and not empty, and no collection of this tool: choose another --out")
    if dry_run:
        yield Collection(out)
        return
    try:
        with alone(out):
            yield Collection(out)
    finally:
        if new:
            with suppress(OSError):  # not empty
                out.rmdir()


def collect(
    collection: Collection,
    outcomes: list[Outcome],
    engine: SearchEngine,
    *,
    most: int = 100,
    min_side: int = 200,
    max_bytes: int = 20 * 2**20,
    progress: Progress = silent,
) -> None:
    """Search for each phrase until it has its pictures.

    Args:
        collection: the pictures go there.
        outcomes: the phrases; brought up to date as it goes, so that they are true however this ends.
        engine: searches and downloads.
        most: pictures for each phrase.
        min_side: smaller pictures are left, px.
        max_bytes: larger files are not read to their end.
        progress: wraps the pictures of a phrase.

    Raises:
        SourceError: there is no connection, or the engine refuses to answer.
        OutputError: the disk is full.
    """
    for outcome in outcomes:
        missing = most - outcome.there
        outcome.state = "complete" if missing <= 0 else "stopped"
        pictures = _gather(collection, outcome, engine, min_side, max_bytes)
        for _ in progress(range(missing), f"{outcome.name}: {outcome.phrase}"):
            if not next(pictures, False):
                outcome.state = "no more results" if outcome.results else "no results"
                break
            outcome.new += 1
        else:
            outcome.state = "complete"


def _gather(
    collection: Collection, outcome: Outcome, engine: SearchEngine, min_side: int, max_bytes: int
) -> Iterator[bool]:
    """Collect the pictures of a phrase, one at a time."""
    silent_hosts: set[str | None] = set()
    for found in engine.search(outcome.phrase):
        outcome.results += 1
        if collection.knows(found.url):
            continue
        try:
            data = _download(engine, found.url, max_bytes)
            silent_hosts.clear()
            collection.add(data, found, engine.name, outcome, min_side)
        except _NoPictureError as error:
            outcome.reasons[re.split(" as |[:(]", str(error))[0].strip()] += 1  # without its particulars
            if not isinstance(error, _NotNowError):
                collection.skip(found.url, outcome, str(error))
        except NETWORK_ERRORS as error:
            outcome.reasons["no answer"] += 1
            silent_hosts.add(urlsplit(found.url).hostname)
            if len(silent_hosts) >= _LOST:
                raise SourceError(
                    f"{_LOST} hosts in a row do not answer ({type(error).__name__}): check the internet connection; "
                    "the same command goes on where it stopped"
                ) from error
        else:
            yield True


def _download(engine: SearchEngine, url: str, max_bytes: int) -> bytes:
    """The bytes at an address; redirections are followed.

    Raises:
        _NoPictureError: there is nothing, or too much, or it drips.
        requests.RequestException: and the other NETWORK_ERRORS: no answer.
    """
    began = time.monotonic()
    with engine.session.get(url, timeout=engine.timeout, stream=True) as response:
        code = response.status_code
        if code != requests.codes.ok:
            is_final = 400 <= code < 500 and code not in _ASK_AGAIN
            raise (_NoPictureError if is_final else _NotNowError)(f"answers {code}")
        data, length = bytearray(), int(response.headers.get("Content-Length") or 0)
        while max(len(data), length) <= max_bytes:
            chunk = response.raw.read1(2**16, decode_content=True)  # what is there: read() and requests wait for all
            if not chunk:
                return bytes(data)
            data += chunk
            if time.monotonic() - began > _PATIENCE * engine.timeout:
                raise _NotNowError("too slow")
        raise _NoPictureError(f"more than {max_bytes / 2**20:.0f} MiB")
