"""CSV files that grow a row at a time, so that nothing is lost however the run ends."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from detector.data.csvfile import read_rows
from detector.errors import OutputError
from detector.files import write_file

__all__ = ["Ledger"]


class Ledger:
    """Rows with fixed columns.

    Args:
        path: the file; it is made with the first row, or by :meth:`begin`.
        columns: in their order.

    Raises:
        AnnotationError: the file is there and has other columns.
        OutputError: it cannot be mended after a power cut.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = columns
        self.rows: list[dict[str, str]] = []
        if path.exists():
            _drop_half_row(path)
            self.rows = [row for _, row in read_rows(path, columns, "--out")]

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


def _drop_half_row(path: Path) -> None:
    """A kill or a full disk may leave half a row; what it spoke of is done again."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror}): check its permissions") from error
    end = len(data)
    while end and (data[end - 1 : end] != b"\n" or data.count(b'"', 0, end) % 2):  # in quotes a line may end too
        end = data.rfind(b"\n", 0, end - 1) + 1
    if end and end < len(data):
        write_file(path, data[:end], replace=True)
