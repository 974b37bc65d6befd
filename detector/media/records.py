"""Results as text: JSON Lines, one object per frame, and CSV, one row per face."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path
from typing import TextIO, TypedDict

from detector.detections import Detections
from detector.errors import OutputError
from detector.media.frames import Frame
from detector.media.outputs import Sink, make_folder, refuse_existing

__all__ = ["CsvSink", "JsonLinesSink", "Row", "rows"]

Row = TypedDict(
    "Row",
    {
        "source": str,
        "frame": int,
        "time": "float | None",
        "class": str,
        "confidence": float,
        "x1": float,
        "y1": float,
        "x2": float,
        "y2": float,
    },
)
"""One face: where it is from, its class, and its box in pixels of the upright image."""


def rows(frame: Frame, detections: Detections) -> list[Row]:
    """The faces of one frame as plain values: boxes to 0.01 pixel, confidences to 0.0001, times to 1 µs."""
    time = _rounded(frame.time)
    result: list[Row] = []
    for box, confidence, name in detections:
        x1, y1, x2, y2 = (round(value, 2) for value in box)
        row: Row = {
            "source": frame.name,
            "frame": frame.index,
            "time": time,
            "class": name,
            "confidence": round(confidence, 4),
            "x1": x1,
            "y1": y1,
            "x2": x2,
            "y2": y2,
        }
        result.append(row)
    return result


class _TextSink(Sink):
    """Lines to a new file or to standard output, each visible to others as soon as it is written.

    Args:
        target: a file that does not exist yet, or "-" for standard output.

    Raises:
        OutputError: the file exists or cannot be made.
    """

    def __init__(self, target: Path | str) -> None:
        self._name = "standard output" if str(target) == "-" else str(target)
        self._file: TextIO | None
        if str(target) == "-":
            self._file = sys.stdout
            return
        path = Path(target)
        make_folder(path.parent)
        refuse_existing(path)
        try:
            self._file = path.open("x", encoding="utf-8", errors="backslashreplace", newline="")
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror}): choose another place") from error

    def close(self) -> None:
        """Close the file; standard output stays open."""
        file, self._file = self._file, None
        if file is None or file is sys.stdout:
            return
        try:
            file.close()
        except OSError as error:
            raise OutputError(f"{self._name}: cannot be finished ({error.strerror}): make room") from error

    def _emit(self, text: str) -> None:
        if self._file is None:
            raise ValueError(f"{self._name} is closed")
        if self._file is sys.stdout:  # a terminal may know fewer letters than a file name has
            encoding = self._file.encoding or "utf-8"
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        try:
            self._file.write(text)
            self._file.flush()
        except BrokenPipeError as error:
            # Otherwise the interpreter complains once more when it flushes at exit (see SIGPIPE in Python's docs).
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._file.fileno())
            raise OutputError(f"{self._name}: the reader has gone: write to a file instead") from error
        except OSError as error:
            raise OutputError(f"{self._name}: cannot be written ({error.strerror}): make room") from error


class JsonLinesSink(_TextSink):
    """One JSON object per frame: source, frame, time, width, height, faces: [{box, confidence, class}]."""

    def write(self, frame: Frame, detections: Detections) -> None:
        """Write one line, also for a frame without faces."""
        height, width = frame.image.shape[:2]
        faces = [
            {
                "box": [row["x1"], row["y1"], row["x2"], row["y2"]],
                "confidence": row["confidence"],
                "class": row["class"],
            }
            for row in rows(frame, detections)
        ]
        record = {
            "source": frame.name,
            "frame": frame.index,
            "time": _rounded(frame.time),
            "width": width,
            "height": height,
            "faces": faces,
        }
        self._emit(json.dumps(record) + "\n")


class CsvSink(_TextSink):
    """One row per face under a header; a frame without faces has no row. The time of a still image is empty."""

    def __init__(self, target: Path | str) -> None:
        super().__init__(target)
        self._emit(",".join(Row.__annotations__) + "\n")

    def write(self, frame: Frame, detections: Detections) -> None:
        """Write the faces of one frame."""
        text = io.StringIO()
        csv.DictWriter(text, list(Row.__annotations__), lineterminator="\n").writerows(rows(frame, detections))
        self._emit(text.getvalue())


def _rounded(time: float | None) -> float | None:
    return None if time is None else round(time, 6)
