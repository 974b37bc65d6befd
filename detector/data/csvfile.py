"""CSV files that a person writes: with the columns they need, or an error that names file and line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from detector.errors import AnnotationError

__all__ = ["Row", "read_rows"]

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
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [column for column in columns if column not in (reader.fieldnames or [])]
            if missing:
                raise AnnotationError(
                    f"{path}: {flag} needs the columns {', '.join(columns)}: add {', '.join(missing)}"
                )
            return [(reader.line_num, _clean(row, path, reader.line_num)) for row in reader]
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}): check {flag}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise AnnotationError(f"{path}: not a CSV file for {flag} ({reason}): save it as CSV in UTF-8") from error


def _clean(row: dict[str | None, str | list[str] | None], path: Path, line: int) -> dict[str, str]:
    clean: dict[str, str] = {}
    for column, value in row.items():
        if column is None or not isinstance(value, str):
            raise AnnotationError(f"{path}: line {line} has another number of values than the header: correct it")
        clean[column] = value.strip()
    return clean
