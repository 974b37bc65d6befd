"""Results as text: JSON Lines, one object per frame, and CSV, one row per face."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path
from typing import TextIO

from detector.detections import Detections
from detector.errors import OutputError
from detector.media.frames import Frame
from detector.media.growing import GrowingFile
from detector.media.sinks import Sink

__all__ = ["CsvSink", "JsonLinesSink", "TextSink", "rows"]

COLUMNS = ("source", "frame", "time", "class", "confidence", "x1", "y1", "x2", "y2", "track_id")

Row = dict[str, str | int | float | None]
"""One face under :data:`COLUMNS`: where it is from, its class, its box in pixels of the upright image, its person."""


def rows(frame: Frame, detections: Detections) -> list[Row]:
    """The faces of one frame as plain values: boxes to 0.01 pixel, confidences to 0.0001, times to 1 µs."""
    where = (frame.name, frame.index, _rounded(frame.time))
    faces = zip(detections, detections.track_id.tolist(), strict=True)
    values = (
        (*where, name, round(confidence, 4), *(round(value, 2) for value in box), number if number >= 0 else None)
        for (box, confidence, name), number in faces
    )
    return [dict(zip(COLUMNS, row, strict=True)) for row in values]


class TextSink(Sink):
    """Lines to a new file or to standard output, each visible to others as soon as it is written.

    Args:
        target: a file that does not exist yet, or "-" for standard output.

    Raises:
        OutputError: the file exists or cannot be made.
    """

    def __init__(self, target: Path | str) -> None:
        self._name = "standard output" if str(target) == "-" else str(target)
        self._file: TextIO | GrowingFile | None
        self._file = sys.stdout if str(target) == "-" else GrowingFile(Path(target))

    def close(self) -> None:
        """Close the file; standard output stays open."""
        file, self._file = self._file, None
        try:
            if isinstance(file, GrowingFile):
                file.close()
        except OSError as error:
            raise OutputError(f"{self._name}: cannot be finished ({error.strerror}): make room") from error

    def _emit(self, text: str) -> None:
        """Write whole lines, or none of them where the disk is full."""
        if self._file is None:
            raise ValueError(f"{self._name} is closed")
        try:
            if isinstance(self._file, GrowingFile):
                self._file.write(text.encode(errors="backslashreplace"))
                return
            encoding = self._file.encoding or "utf-8"  # a terminal may know fewer letters than a file name has
            self._file.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self._file.flush()
        except BrokenPipeError as error:
            # Otherwise the interpreter complains once more when it flushes at exit (see SIGPIPE in Python's docs).
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise OutputError(f"{self._name}: the reader has gone: write to a file instead") from error
        except OSError as error:
            raise OutputError(f"{self._name}: cannot be written ({error.strerror}): make room") from error


class JsonLinesSink(TextSink):
    """One JSON object per frame: source, frame, time, width, height, faces: [{box, confidence, class, track_id}]."""

    def write(self, frame: Frame, detections: Detections) -> None:
        """Write one line, also for a frame without faces."""
        height, width = frame.image.shape[:2]
        faces = [
            {
                "box": [row[corner] for corner in ("x1", "y1", "x2", "y2")],
                **{name: row[name] for name in ("confidence", "class", "track_id")},
            }
            for row in rows(frame, detections)
        ]
        where = {"source": frame.name, "frame": frame.index, "time": _rounded(frame.time)}
        self._emit(json.dumps({**where, "width": width, "height": height, "faces": faces}) + "\n")


class CsvSink(TextSink):
    """One row per face under a header; a frame without faces has no row. The time of a still image is empty."""

    def __init__(self, target: Path | str) -> None:
        super().__init__(target)
        self._emit(",".join(COLUMNS) + "\n")

    def write(self, frame: Frame, detections: Detections) -> None:
        """Write the faces of one frame."""
        text = io.StringIO()
        csv.DictWriter(text, COLUMNS, lineterminator="\n").writerows(rows(frame, detections))
        self._emit(text.getvalue())


def _rounded(time: float | None) -> float | None:
    return None if time is None else round(time, 6)
