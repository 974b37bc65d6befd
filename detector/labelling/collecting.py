"""Search, download, check, write down: one picture after the other."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

from detector.data.progress import Progress, silent
from detector.errors import OutputError, SourceError
from detector.files import alone, make_folder, write_file
from detector.labelling import strict_pictures as pictures
from detector.labelling.download import NETWORK_ERRORS, NotCollectedError, download, reason
from detector.labelling.ledger import Ledger
from detector.labelling.phrases import Phrases
from detector.labelling.search import Found, SearchEngine
from detector.staging import sweep, uninterrupted

__all__ = ["Collection", "Limits", "Outcome", "collect", "outcomes_of"]

PROVENANCE, SKIPPED, REPORT, IMAGES = "provenance.csv", "skipped.csv", "report.json", "images"
COLUMNS = (
    *("file", "class", "phrase", "engine", "url", "page", "licence", "date"),
    *("width", "height", "bytes", "sha256"),
)
SKIPPED_COLUMNS = ("url", "class", "phrase", "date", "reason")
SUFFIXES = {"jpeg": ".jpg", "tiff": ".tif", "jpeg2000": ".jp2"}
LOST = 10  # so many different hosts in a row that do not answer: it is the own connection


@dataclass(frozen=True)
class Limits:
    """What is taken.

    Args:
        most: pictures for each phrase.
        min_side: smaller pictures are left, px.
        max_bytes: larger files are not read to their end.
        timeout: seconds without an answer.
    """

    most: int = 100
    min_side: int = 200
    max_bytes: int = 20 * 2**20
    timeout: float = 15.0


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
    reasons: dict[str, int] = field(default_factory=dict)
    state: str = "not begun"

    def missed(self, why: str) -> None:
        """Count a result that gave no picture."""
        self.reasons[why] = self.reasons.get(why, 0) + 1


class Collection(ExitStack):
    """A folder of collected pictures and what is known of them. A context manager: one run at a time works in it.

    Args:
        out: the folder; made with the first search result.
        dry_run: nothing will be added.

    Raises:
        OutputError: something else lies there, or another run is at work.
        AnnotationError: its tables are damaged.
    """

    def __init__(self, out: Path, *, dry_run: bool = False) -> None:
        super().__init__()
        sweep(out)
        if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / PROVENANCE).is_file())):
            raise OutputError(f"{out}: is there and not empty, and no collection of this tool: choose another --out")
        self.out = out
        self._locked = out.is_dir() and not dry_run
        if self._locked:
            self.enter_context(alone(out))
        try:
            self._got = Ledger(out / PROVENANCE, COLUMNS)
            self._skipped = Ledger(out / SKIPPED, SKIPPED_COLUMNS)
        except BaseException:
            self.close()
            raise
        self._urls = {row["url"] for row in [*self._got.rows, *self._skipped.rows]}
        self._files = {row["sha256"]: row["file"] for row in self._got.rows}

    def begin(self) -> None:
        """Make the folder and its table, by which a later run knows it.

        Raises:
            OutputError: it cannot be written.
        """
        if not self._locked:
            self.enter_context(alone(self.out))
            self._locked = True
        self._got.begin()

    @property
    def begun(self) -> bool:
        """Whether there is anything in the folder."""
        return (self.out / PROVENANCE).exists()

    def count(self, name: str, phrase: str) -> int:
        """How many pictures a phrase has brought to a class."""
        return sum((row["class"], row["phrase"]) == (name, phrase) for row in self._got.rows)

    def counts(self) -> dict[str, int]:
        """How many pictures each class has."""
        return dict(Counter(row["class"] for row in self._got.rows))

    def knows(self, url: str) -> bool:
        """Whether the address gave a picture, or is known to give none."""
        return url in self._urls

    def add(self, data: bytes, picture: pictures.Picture, found: Found, name: str, phrase: str, engine: str) -> None:
        """Keep a picture. Its name is made of its bytes, so that a picture that is there already is not written again.

        Raises:
            NotCollectedError: the same bytes are there under another address.
            OutputError: it cannot be written.
        """
        digest = hashlib.sha256(data).hexdigest()
        if digest in self._files:
            raise NotCollectedError(f"the same file as {self._files[digest]}", final=True)
        folder = self.out / IMAGES / name
        make_folder(folder)
        path = folder / f"{digest[:16]}{SUFFIXES.get(picture.format, f'.{picture.format}')}"
        with uninterrupted():  # a file and its row belong together
            if not path.exists() or path.read_bytes() != data:  # a run that was cut off wrote it, but not its row
                path = write_file(path, data, free=True)
            width, height = picture.size
            self._files[digest] = path.relative_to(self.out).as_posix()
            self._urls.add(found.url)
            self._got.add(
                {
                    "file": self._files[digest],
                    "class": name,
                    "phrase": phrase,
                    "engine": engine,
                    "url": _line(found.url),
                }
                | {"page": _line(found.page), "licence": _line(found.licence), "date": _now()}
                | {"width": width, "height": height, "bytes": len(data), "sha256": digest}
            )

    def skip(self, url: str, name: str, phrase: str, why: str) -> None:
        """Note an address that need not be asked again.

        Raises:
            OutputError: it cannot be written.
        """
        self._urls.add(url)
        self._skipped.add({"url": _line(url), "class": name, "phrase": phrase, "date": _now(), "reason": _line(why)})

    def report(self, outcomes: list[Outcome], settings: dict[str, object]) -> None:
        """Write what this run did.

        Raises:
            OutputError: it cannot be written.
        """
        content = {
            "made_by": "collect", "settings": settings, "pictures": self.counts(),
            "phrases": [asdict(outcome) for outcome in outcomes],
        }  # fmt: skip
        write_file(self.out / REPORT, (json.dumps(content, indent=1) + "\n").encode(), replace=True)


def outcomes_of(phrases: Phrases, collection: Collection) -> list[Outcome]:
    """Where each phrase stands before anything is searched."""
    return [
        Outcome(name, phrase, there=collection.count(name, phrase))
        for name, of_class in phrases.items()
        for phrase in of_class
    ]


def collect(
    outcomes: list[Outcome], collection: Collection, engine: SearchEngine, limits: Limits, progress: Progress = silent
) -> None:
    """Search for each phrase until it has its pictures.

    ``outcomes`` is brought up to date as it goes, so that it is true however this ends.

    Raises:
        SourceError: there is no connection, or the engine refuses to answer.
        OutputError: the disk is full.
    """
    for outcome in outcomes:
        missing = limits.most - outcome.there
        if missing <= 0:
            outcome.state = "complete"
            continue
        outcome.state = "stopped"
        pictures_of_phrase = _gather(outcome, collection, engine, limits)
        for _ in progress(range(missing), f"{outcome.name}: {outcome.phrase}"):
            if next(pictures_of_phrase, None) is None:
                outcome.state = "no more results" if outcome.results else "no results"
                break
            outcome.new += 1
        else:
            outcome.state = "complete"


def _gather(outcome: Outcome, collection: Collection, engine: SearchEngine, limits: Limits) -> Iterator[Found]:
    """Collect the pictures of a phrase, one at a time."""
    silent_hosts: set[str | None] = set()
    for found in engine.search(outcome.phrase):
        collection.begin()
        outcome.results += 1
        if collection.knows(found.url):
            continue
        try:
            data = download(engine.session, found.url, max_bytes=limits.max_bytes, timeout=limits.timeout)
            silent_hosts.clear()
            picture = _check(data, limits.min_side)
            collection.add(data, picture, found, outcome.name, outcome.phrase, engine.name)
        except NotCollectedError as error:
            outcome.missed(_kind(str(error)))
            if error.final:
                collection.skip(found.url, outcome.name, outcome.phrase, str(error))
        except NETWORK_ERRORS as error:
            outcome.missed("no answer")
            silent_hosts.add(urlsplit(found.url).hostname)
            if len(silent_hosts) >= LOST:
                raise SourceError(
                    f"{LOST} hosts in a row do not answer ({reason(error)}): check the internet connection; "
                    "the same command goes on where it stopped"
                ) from error
        else:
            yield found


def _check(data: bytes, min_side: int) -> pictures.Picture:
    """The picture that was downloaded, if it is one.

    Raises:
        NotCollectedError: it is none, or too small.
    """
    try:
        picture = pictures.read(data, "")
    except SourceError as error:
        raise NotCollectedError(str(error).removeprefix(": "), final=True) from error
    if min(picture.size) < min_side:
        raise NotCollectedError(f"too small: {picture.size[0]}x{picture.old_size[1]}", final=True)
    return picture


def _kind(why: str) -> str:
    """A reason without its particulars, for counting."""
    for start in ("too small", "the same file", "a damaged"):
        if why.startswith(start):
            return start if start != "a damaged" else "damaged"
    return why


def _line(text: str) -> str:
    return " ".join(text.split())


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
