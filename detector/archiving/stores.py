"""Folders and files wherever pyarrow reaches: this computer, ``s3://``, ``gs://``, ``hdfs://``."""

from __future__ import annotations

import posixpath
import secrets
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from detector.errors import OutputError, SourceError
from detector.media.addresses import without_password

__all__ = ["Store"]

PART = ".mask-detector-part"


@dataclass(frozen=True)
class Store:
    """A folder or file. Copies of it can be sent to other machines.

    Args:
        root: a path of this computer, or the address of the file system, with its options: ``s3://bucket?region=x``.
        key: the path within it.
    """

    root: str
    key: str

    @classmethod
    def at(cls, where: str) -> Store:
        """What a user named: a path, or an address; options of its file system, such as ``region=``, follow a ``?``."""
        if "://" not in where:
            return cls("", Path(where).absolute().as_posix())
        scheme, _, rest = where.partition("://")
        bucket, _, key = rest.partition("/")
        options = ""
        if "?" in key and "=" in key.rpartition("?")[2]:  # else the question mark belongs to a name
            key, _, options = key.rpartition("?")
        return cls(f"{scheme}://{bucket}{options and '?' + options}", f"{bucket}/{key}".rstrip("/"))

    @property
    def is_local(self) -> bool:
        """Whether it is a path of this computer."""
        return not self.root

    @property
    def name(self) -> str:
        """What people call it: a path, or an address without options and password."""
        return self.key if self.is_local else without_password(f"{self.root.partition('://')[0]}://{self.key}")

    def join(self, *parts: str) -> Store:
        """A file or folder below this one."""
        return Store(self.root, posixpath.join(self.key, *parts))

    def files(self) -> list[Store]:
        """The files below this folder, or the file itself, sorted; none where nothing is there.

        Raises:
            SourceError: it cannot be listed.
        """
        from pyarrow import fs

        try:
            there = _filesystem(self.root).get_file_info(self.key)
            if there.type is fs.FileType.File:
                return [self]
            selector = fs.FileSelector(self.key, recursive=True, allow_not_found=True)
            found = _filesystem(self.root).get_file_info(selector)
        except OSError as error:
            raise SourceError(f"{self.name}: cannot be listed ({_reason(error)}): check the address") from error
        return [Store(self.root, each.path) for each in sorted(found, key=_path) if each.type is fs.FileType.File]

    def open(self) -> Any:
        """The file, open for reading at any place.

        Raises:
            SourceError: it cannot be opened.
        """
        try:
            return _filesystem(self.root).open_input_file(self.key)
        except OSError as error:
            raise SourceError(f"{self.name}: cannot be read ({_reason(error)})") from error

    def read(self) -> bytes:
        """All of the file.

        Raises:
            SourceError: it cannot be read.
        """
        with self.open() as file:
            try:
                data: bytes = file.read()
            except OSError as error:
                raise SourceError(f"{self.name}: cannot be read ({_reason(error)})") from error
        return data

    def write(self, data: Any) -> None:
        """Write the file, which appears whole or not at all; one that is there is replaced.

        Args:
            data: bytes, or anything with a buffer.

        Raises:
            OutputError: it cannot be written.
        """
        system = _filesystem(self.root)
        # An object store shows an object once it is complete; a folder shows a file while it grows.
        grows = system.type_name in {"local", "hdfs"}
        part = f"{self.key}.{secrets.token_hex(4)}{PART}" if grows else self.key
        try:
            if grows:
                system.create_dir(posixpath.dirname(self.key), recursive=True)
            with system.open_output_stream(part) as file:
                file.write(data)
            if grows:
                system.move(part, self.key)
        except OSError as error:
            raise OutputError(f"{self.name}: cannot be written ({_reason(error)}): choose another --out") from error

    def sweep(self) -> None:
        """Remove what writes that were cut off have left below this folder; nobody may be writing there.

        Raises:
            OutputError: it cannot be removed.
        """
        for file in self.files():
            if file.key.endswith(PART):
                try:
                    _filesystem(self.root).delete_file(file.key)
                except OSError as error:
                    raise OutputError(f"{file.name}: cannot be removed ({_reason(error)}): remove it") from error


@lru_cache(maxsize=64)
def _filesystem(root: str) -> Any:
    from pyarrow import fs

    try:
        return fs.FileSystem.from_uri(root)[0] if root else fs.LocalFileSystem()
    except (OSError, ValueError, NotImplementedError) as error:
        remedy = "name a folder, s3://, gs:// or hdfs://"
        raise SourceError(f"{without_password(root)}: {_reason(error)}: {remedy}") from error


def _path(info: Any) -> str:
    return str(info.path)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).partition(". Detail:")[0].strip()
