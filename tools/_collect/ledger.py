"""CSV files that grow a row at a time, so that nothing is lost when the run is stopped."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from detector.data.csvfile import read_rows
from detector.errors import OutputError
from detector.media.images import write_bytes

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
            self._append(self._columns)

    def add(self, row: Mapping[str, object]) -> None:
        """Write a row to the file.

        Raises:
            OutputError: it cannot be written.
        """
        self.begin()
        clean = {column: " ".join(str(row.get(column, "")).split()) for column in self._columns}
        self._append(list(clean.values()))
        self.rows.append(clean)

    def _append(self, values: Sequence[str]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerow(values)
        try:
            with self._path.open("ab") as file:
                file.write(text.getvalue().encode())
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written ({error.strerror}): make room") from error


def _drop_half_row(path: Path) -> None:
    """A power cut may leave half a row; what it spoke of is collected again."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror}): check its permissions") from error
    if data and not data.endswith(b"\n"):
        write_bytes(path, data[: data.rfind(b"\n") + 1])
