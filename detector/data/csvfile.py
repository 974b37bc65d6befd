"""Text files that a person writes, CSV with the columns it needs: or an error that names file and line."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from detector.errors import AnnotationError

__all__ = ["read_rows", "read_text"]

MAX_BYTES = 64 * 2**20  # a million rows; what is read may be anything, /dev/zero too


def read_rows(path: Path, columns: Sequence[str], flag: str) -> list[tuple[int, dict[str, str]]]:
    """Read the rows of a CSV file with a header line; UTF-8, with or without a byte-order mark.

    Args:
        path: the file.
        columns: those that must be there; others are kept too.
        flag: the command-line flag that gave the path, for the message.

    Returns:
        For each row its line number in the file, and column name to stripped value.

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
        rows = []
        for row in reader:
            if None in row or None in row.values():
                line = f"{path}: line {reader.line_num}"
                raise AnnotationError(f"{line} has another number of values than the header: correct it")
            rows.append((reader.line_num, {column: value.strip() for column, value in row.items()}))
        return rows
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
        if len(data) <= limit:
            return data.decode("utf-8-sig")
        reason = f"larger than {limit >> 10} KiB"
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError:
        reason = "not UTF-8"
    raise AnnotationError(f"{title or path}: cannot be read ({reason}): {remedy}")
