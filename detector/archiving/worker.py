"""What runs on each core or GPU: one engine, and what becomes of the images that it is given."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from detector.archiving.listing import Item, Shard, bytes_column
from detector.archiving.results import ROWS, to_parquet
from detector.archiving.stores import Store
from detector.data import voc
from detector.detections import Detections
from detector.engines import load_engine
from detector.engines.weights import CLASSIFIER_WEIGHTS, DEFAULT_WEIGHTS, FACE_WEIGHTS, default_weights, named
from detector.errors import AnnotationError, ModelError, SourceError
from detector.labelling.proposals import FLOOR, propose, to_annotation
from detector.media import images
from detector.media.blur import pixelate
from detector.media.draw import draw
from detector.media.frames import Frame, ReadAhead
from detector.media.records import rows

__all__ = ["COPIES", "Settings", "Worker", "digests"]

AHEAD = 2  # images that are read and decoded before their turn
SURE = 0.6  # boxes under this are "difficult" in XML, as in prelabel
COPIES = ("annotated", "xml", "blurred")


@dataclass(frozen=True)
class Settings:
    """How an archive is worked through.

    Args:
        engine: its name.
        options: arguments of :func:`detector.engines.load_engine`.
        weights: SHA-256 of each network's file, so that every worker has the same.
        out: the output folder.
        row_per_face: see :func:`detector.archiving.results.to_parquet`.
        copies: which of :data:`COPIES` to write beside the rows.
        base: of the images' paths, the part that copies do without.
    """

    engine: str
    options: Mapping[str, Any]
    weights: Mapping[str, str]
    out: Store
    row_per_face: bool
    copies: tuple[str, ...]
    base: str


class Worker:
    """A Ray actor: takes shards, writes the file of each, and answers with its counts.

    Raises:
        ModelError: the networks of this machine are others than those of the machine that started the run.
    """

    def __init__(self, settings: Settings) -> None:
        import cv2

        cv2.setNumThreads(1)  # a worker has one core
        if digests(settings.engine, settings.options) != settings.weights:
            raise ModelError("this machine has other weights than the one that started the run: install the same")
        self._settings = settings
        self._engine = load_engine(settings.engine, **settings.options, threads=1)
        self._conf = self._engine.conf
        if set(settings.copies) & {"xml", "blurred"}:  # which need weaker boxes too
            self._engine.conf = min(self._conf, FLOOR)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Work through the one shard of a batch.

        Args:
            batch: ``shard``: a list with one :class:`Shard`, pickled.

        Returns:
            ``images``, ``unreadable``, ``faces``: lists with one number.
        """
        import pickle

        shard: Shard = pickle.loads(batch["shard"][0])  # noqa: S301 - of the driver, by way of Ray
        found = [self._image(item, image, began) for item, image, began in self._decoded(shard)]
        data = to_parquet(found, row_per_face=self._settings.row_per_face)
        self._settings.out.join(ROWS, shard.name).write(data)  # last: a shard that has rows is complete
        unreadable = sum(row["error"] is not None for row in found)
        return {"images": [len(found)], "unreadable": [unreadable], "faces": [sum(len(row["faces"]) for row in found)]}

    def _decoded(self, shard: Shard) -> Generator[tuple[Item, images.Image | SourceError, float], None, None]:
        ahead = ReadAhead(_decode(shard), AHEAD, lambda each: getattr(each[1], "nbytes", 0))
        with closing(ahead):
            yield from ahead

    def _image(self, item: Item, image: images.Image | SourceError, seconds: float) -> dict[str, Any]:
        """The row of one image, and its copies."""
        row: dict[str, Any] = {"path": item.path, "width": None, "height": None, "error": None, "faces": []}
        began = time.perf_counter()
        if isinstance(image, SourceError):
            row["error"] = str(image)
        else:
            row["height"], row["width"] = image.shape[:2]
            found = self._engine(image)
            kept = found[found.confidence > self._conf]
            keys = ("class", "confidence", "x1", "y1", "x2", "y2")
            row["faces"] = [{key: face[key] for key in keys} for face in rows(Frame(image, 0, None, item.path), kept)]
            try:
                self._copy(item, image, found, kept)
            except (SourceError, AnnotationError) as error:  # a name that cannot stand in XML
                row["error"] = str(error)
        return {**row, "seconds": seconds + time.perf_counter() - began}

    def _copy(self, item: Item, image: images.Image, found: Detections, kept: Detections) -> None:
        name = item.path.rpartition("://")[2].removeprefix(f"{self._settings.base}/").lstrip("/").replace(":", "")
        suffix = PurePosixPath(name).suffix.lower()
        picture = name if suffix in images.IMAGE_SUFFIXES else f"{name.replace('#', '_')}.jpg"
        out, size = self._settings.out, (image.shape[1], image.shape[0])
        if "annotated" in self._settings.copies:
            out.join("annotated", picture).write(images.encode(draw(image, kept), PurePosixPath(picture).suffix))
        if "blurred" in self._settings.copies:
            blurred = pixelate(image, found.xyxy)  # the doubtful ones too
            out.join("blurred", picture).write(images.encode(blurred, PurePosixPath(picture).suffix))
        if "xml" in self._settings.copies and len(kept):
            proposal = propose(found, size, conf=self._conf, sure=SURE)
            annotation = voc.to_bytes(to_annotation(Path(picture), size, proposal))
            out.join("xml", str(PurePosixPath(picture).with_suffix(".xml"))).write(annotation)


def digests(engine: str, options: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of the networks that an engine has on this machine, by file name.

    Raises:
        ModelError: one is missing on this machine.
    """
    shipped = DEFAULT_WEIGHTS if engine == "single-stage" else CLASSIFIER_WEIGHTS
    paths = [named(options["weights"] or default_weights(shipped))]
    if engine == "two-step" and options["faces"] != "haar":
        paths.append(Path(options["faces"].partition("=")[2] or default_weights(FACE_WEIGHTS)))
    try:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    except OSError as error:
        raise ModelError(f"{error.filename}: cannot be read on each machine: put it at the same place there") from error


def _decode(shard: Shard) -> Generator[tuple[Item, images.Image | SourceError, float], None, None]:
    """Each image, or why there is none, and the seconds that this took."""
    contents = _of_row_group(shard) if shard.items[0].group >= 0 else ((item, item.store.read) for item in shard.items)
    for item, read in contents:
        began = time.perf_counter()
        try:
            image: images.Image | SourceError = images.decode(read(), item.path)
        except SourceError as error:
            image = error
        yield item, image, time.perf_counter() - began


def _of_row_group(shard: Shard) -> Any:
    """Each image of a Parquet file with a function that gives its bytes."""
    import pyarrow.parquet as pq

    first = shard.items[0]
    with first.store.open() as opened:
        file = pq.ParquetFile(opened)
        name = bytes_column(file.schema_arrow) or ""
        column = file.read_row_group(first.group, columns=[name]).flatten().column(0)
    for item in shard.items:
        yield item, lambda row=item.row, path=item.path: _bytes(column[row].as_py(), path)


def _bytes(data: bytes | None, path: str) -> bytes:
    if data is None:
        raise SourceError(f"{path}: no bytes in this row")
    return data
