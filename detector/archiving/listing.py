"""Which images an archive has, cut into shards: the pieces of work that end in one file each."""

from __future__ import annotations

import csv
import glob
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import PurePath
from typing import Any

from detector.archiving.stores import Store
from detector.errors import SourceError
from detector.media.images import IMAGE_SUFFIXES, STRANGE_SUFFIXES

__all__ = ["SHARD", "Item", "Shard", "bytes_column", "fixed_part", "list_archive", "shards_of"]

SHARD = 256
"""Images whose rows are written together: what is repeated, at most, where a worker dies."""

PATH_COLUMNS, BYTES_COLUMNS = ("path", "file", "image", "url"), ("bytes", "image", "content")


@dataclass(frozen=True)
class Item:
    """An image of an archive.

    Args:
        path: what its rows call it: a path, an address, or ``file.parquet#17``.
        store: its file, or the Parquet file that holds its bytes.
        group, row: where the bytes are in that Parquet file: its row group, and the row in it; -1 of a file of its own.
    """

    path: str
    store: Store
    group: int = -1
    row: int = -1


@dataclass(frozen=True)
class Shard:
    """Images that are worked on together.

    Args:
        items: the images; all of one row group, or files of their own.
        name: of the file with their rows; the same images have the same.
    """

    items: tuple[Item, ...]
    name: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256("\n".join(item.path for item in self.items).encode(errors="surrogateescape"))
        object.__setattr__(self, "name", f"part-{digest.hexdigest()[:20]}.parquet")


def list_archive(where: str) -> list[Item]:
    """The images that a user names.

    Args:
        where: a folder, a glob, an image, a list of paths (.txt, .csv, .parquet), or Parquet files that hold bytes.

    Raises:
        SourceError: nothing is there, or it cannot be read.
    """
    if "://" not in where and glob.has_magic(where):
        found = [Store.at(path) for path in sorted(glob.glob(where, recursive=True))]  # noqa: PTH207 - absolute patterns
        files = [file for store in found for file in store.files()]
    else:
        files = Store.at(where).files()
    lists = [file for file in files if _suffix(file) in {".txt", ".csv"}] if len(files) == 1 else []
    tables = [file for file in files if _suffix(file) == ".parquet"]
    pictures = [file for file in files if _suffix(file) in IMAGE_SUFFIXES | STRANGE_SUFFIXES]
    items = [Item(file.name, file) for file in pictures]
    for file in lists:
        items += _of_paths(_lines(file), file)
    if not pictures:
        for file in tables:
            items += _of_table(file)
    if not items:
        raise SourceError(f"{where}: no images there: name a folder, a glob, a list (.txt, .csv) or Parquet files")
    return items


def fixed_part(where: str) -> str:
    """The folder of what a user names, as far as it is the same for all its images."""
    if "://" not in where and glob.has_magic(where):
        where = next(str(above) for above in PurePath(where).parents if not glob.has_magic(str(above)))
    return Store.at(where).key


def shards_of(items: Sequence[Item], size: int = SHARD) -> Iterator[Shard]:
    """Cut images into shards of ``size``, always in the same way."""
    ordered = sorted(set(items), key=lambda item: (_table_of(item), item.row, item.path))
    for _, together in groupby(ordered, key=_table_of):
        rest = iter(together)
        while part := tuple(islice(rest, size)):
            yield Shard(part)


def _table_of(item: Item) -> tuple[str, str, int]:
    """Where its bytes are, in a Parquet file; the same for all files of their own."""
    return (item.store.root, item.store.key, item.group) if item.group >= 0 else ("", "", -1)


def _suffix(file: Store) -> str:
    dot = file.key.rfind(".")
    return file.key[dot:].lower() if dot > file.key.rfind("/") else ""


def _lines(file: Store) -> list[str]:
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{file.name}: not UTF-8: save the list as UTF-8") from error
    if _suffix(file) == ".txt":
        return [line for line in map(str.strip, text.splitlines()) if line]
    head, *rows = [row for row in csv.reader(io.StringIO(text)) if row] or [[]]
    column = next((head.index(name) for name in PATH_COLUMNS if name in head), None)
    if column is None:
        raise SourceError(f"{file.name}: none of its columns is named {' or '.join(PATH_COLUMNS)}: rename one")
    return [row[column] for row in rows if len(row) > column and row[column]]


def _of_paths(paths: Sequence[str], file: Store) -> list[Item]:
    """The images that a list names; a relative path begins at the list's folder."""
    folder = Store(file.root, file.key.rpartition("/")[0])
    whole = ("://" in path or PurePath(path).is_absolute() for path in paths)
    stores = [Store.at(path) if is_whole else folder.join(path) for path, is_whole in zip(paths, whole, strict=True)]
    return [Item(store.name, store) for store in dict.fromkeys(stores)]


def _of_table(file: Store) -> list[Item]:
    """The images whose bytes, or whose paths, are in a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with file.open() as opened:
        try:
            table = pq.ParquetFile(opened)
            schema = table.schema_arrow
        except pa.ArrowInvalid as error:
            raise SourceError(f"{file.name}: no Parquet file, or damaged: copy it again") from error
        if bytes_column(schema) is not None:
            return [
                Item(f"{file.name}#{before + row}", file, group, row)
                for group, before, count in _groups(table.metadata)
                for row in range(count)
            ]
        texts = {
            field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        }
        column = next((name for name in PATH_COLUMNS if name in texts), None)
        if column is None:
            known = f"of bytes ({', '.join(BYTES_COLUMNS)}) or of paths ({', '.join(PATH_COLUMNS)})"
            raise SourceError(f"{file.name}: no column {known}: rename one")
        return _of_paths(table.read([column])[column].drop_null().to_pylist(), file)


def bytes_column(schema: Any) -> str | None:
    """The column, or the field of one, that holds images as files' bytes; None where there is none."""
    import pyarrow as pa

    for name in BYTES_COLUMNS:
        if name in schema.names:
            kind = schema.field(name).type
            if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
                return name
            if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:  # as Hugging Face has it
                return f"{name}.bytes"
    return None


def _groups(metadata: Any) -> Iterator[tuple[int, int, int]]:
    before = 0
    for group in range(metadata.num_row_groups):
        count = metadata.row_group(group).num_rows
        yield group, before, count
        before += count
