"""CSV files that grow a row at a time, so that nothing is lost however the run ends."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from detector.errors import AnnotationError, OutputError
from detector.files import write_file

__all__ = ["Ledger"]


class Ledger:
    """Rows with fixed columns.

    A kill or a full disk may leave half a row: it is not read, and the next row takes its place.

    Args:
        path: the file; it is made with the first row, or by :meth:`begin`.
        columns: in their order.

    Raises:
        AnnotationError: the file is there and has other columns, or cannot be read.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = columns
        self._half_row_at: int | None = None
        self.rows: list[dict[str, str]] = []
        if path.exists():
            try:
                data = path.read_bytes()
                end = _end_of_rows(data)
                table = list(csv.reader(io.StringIO(data[:end].decode("utf-8-sig"), newline="")))
                if table[:1] != [list(columns)]:
                    raise ValueError("it has others")
                self.rows = [dict(zip(columns, row, strict=True)) for row in table[1:]]
            except (OSError, ValueError, csv.Error) as error:
                names = ", ".join(columns)
                raise AnnotationError(f"{path}: --out needs the columns {names} ({error}): mend it") from error
            self._half_row_at = end if end < len(data) else None

    def begin(self) -> None:
        """Write the header, if the file is not there yet.

        Raises:
            OutputError: it cannot be written.
        """
        if not self._path.exists():
            write_file(self._path, _line(self._columns))

    def add(self, row: Mapping[str, object]) -> None:
        """Write a row to the file; it is on the disk when this returns.

        Raises:
            OutputError: it cannot be written.
        """
        self.begin()
        text = {column: str(row.get(column, "")) for column in self._columns}
        try:
            if self._half_row_at is not None:
                os.truncate(self._path, self._half_row_at)
                self._half_row_at = None
            with self._path.open("ab") as file:
                file.write(_line(list(text.values())))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written ({error.strerror}): make room") from error
        self.rows.append(text)


def _line(values: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode(errors="backslashreplace")


def _end_of_rows(data: bytes) -> int:
    """Where the last whole row ends; in quotes a line may end too."""
    end = len(data)
    while end and (data[end - 1 : end] != b"\n" or data.count(b'"', 0, end) % 2):
        end = data.rfind(b"\n", 0, end - 1) + 1
    return end
