"""Which phrases are searched for each class."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from detector.errors import SourceError

__all__ = ["DEFAULT_PHRASES", "Phrases", "class_and_phrase", "merge", "read_phrases"]

Phrases = dict[str, list[str]]
"""Class to its phrases, in their order."""

DEFAULT_PHRASES = Path(__file__).with_name("phrases.txt")
CLASS = re.compile(r"[^\W_][\w -]*")  # becomes the name of a folder on any system


def read_phrases(path: Path) -> Phrases:
    """Read a text file: a class in brackets, then a phrase a line; empty lines and those that begin with # say nothing.

    Raises:
        SourceError: the file cannot be read, or a line in it is out of place.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}): check --phrases") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8: save it as text in UTF-8") from error
    pairs: list[tuple[str, str]] = []
    name = ""
    for number, line in enumerate(map(str.strip, lines), 1):
        if line.startswith("[") and line.endswith("]"):
            name = line[1:-1].strip()
            if not CLASS.fullmatch(name):
                raise SourceError(f"{path}: line {number}: {name!r} cannot be a folder: use letters, digits and _")
        elif line and not line.startswith("#"):
            if not name:
                raise SourceError(f"{path}: line {number} has no class: write one above it, such as [with_mask]")
            pairs.append((name, line))
    if not pairs:
        raise SourceError(f"{path}: no phrases: write a class such as [with_mask], and a phrase a line below it")
    return merge(pairs)


def class_and_phrase(text: str) -> tuple[str, str]:
    """A flag's value of the form CLASS=PHRASE.

    Raises:
        ValueError: it has another form.
    """
    name, _, phrase = (part.strip() for part in text.partition("="))
    if not phrase or not CLASS.fullmatch(name):
        raise ValueError(f"{text!r} is not CLASS=PHRASE, such as with_mask=nurse")
    return name, phrase


def merge(pairs: Iterable[tuple[str, str]]) -> Phrases:
    """The phrases of each class, each once."""
    phrases: Phrases = {}
    for name, phrase in pairs:
        known = phrases.setdefault(name, [])
        if phrase not in known:
            known.append(phrase)
    return phrases
