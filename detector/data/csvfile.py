"""Text files that a person writes, CSV with the columns it needs: or an error that names file and line."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from detector.errors import AnnotationError

__all__ = ["Row", "read_rows", "read_text"]

MAX_BYTES = 64 * 2**20  # a million rows; what is read may be anything, /dev/zero too

Row = tuple[int, dict[str, str]]
"""Line number in the file, and column name to stripped value."""


def read_rows(path: Path, columns: Sequence[str], flag: str) -> list[Row]:
    """Read the rows of a CSV file with a header line; UTF-8, with or without a byte-order mark.

    Args:
        path: the file.
        columns: those that must be there; others are kept too.
        flag: the command-line flag that gave the path, for the message.

    Raises:
        AnnotationError: the file is missing, not UTF-8, lacks a column, or a row has too many or too few values.
    """
    text = read_text(path, f"check {flag}, and save it as CSV in UTF-8")
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        header = list(reader.fieldnames or [])
        missing = [column for column in columns if column not in header]
        if missing:
            raise AnnotationError(f"{path}: {flag} needs the columns {', '.join(columns)}: add {', '.join(missing)}")
        if len(set(header)) < len(header):
            raise AnnotationError(f"{path}: {flag}: two columns have the same name: delete or rename one")
        return [(reader.line_num, _clean(row, path, reader.line_num)) for row in reader]
    except csv.Error as error:
        raise AnnotationError(f"{path}: not a CSV file for {flag} ({error}): save it as CSV in UTF-8") from error


def read_text(path: Path, remedy: str, limit: int = MAX_BYTES, title: str = "") -> str:
    """A file's UTF-8 text, with or without a byte-order mark; line ends stay as they are.

    Args:
        path: the file.
        remedy: the end of the message.
        limit: bytes; no more are read.
        title: what the message calls it, with its flag; the path by default.

    Raises:
        AnnotationError: the file is missing, larger, or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise AnnotationError(f"{title or path}: cannot be read (larger than {limit >> 10} KiB): {remedy}")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise AnnotationError(f"{title or path}: cannot be read ({error.strerror}): {remedy}") from error
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{title or path}: cannot be read (not UTF-8): {remedy}") from error


def _clean(row: dict[str | None, str | list[str] | None], path: Path, line: int) -> dict[str, str]:
    clean: dict[str, str] = {}
    for column, value in row.items():
        if column is None or not isinstance(value, str):
            raise AnnotationError(f"{path}: line {line} has another number of values than the header: correct it")
        clean[column] = value.strip()
    return clean
