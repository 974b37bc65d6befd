"""How long work tells its caller where it stands, without printing anything itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

__all__ = ["Progress", "silent"]

T = TypeVar("T")


class Progress(Protocol):
    """Wraps the items of a loop, as ``tqdm`` does."""

    def __call__(self, items: Sequence[T], title: str, /) -> Iterable[T]:
        """Hand out ``items`` one by one; ``title`` says what happens to them."""


def silent(items: Sequence[T], _title: str) -> Iterable[T]:
    """No progress at all."""
    return items
