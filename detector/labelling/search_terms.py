"""What a search engine is asked for: the phrases of each class. And what can be asked for: engines and licences."""

from __future__ import annotations

import re
from pathlib import Path

from detector.errors import SourceError

__all__ = ["CLASS", "DEFAULT_PHRASES", "ENGINES", "LICENCES", "Phrase", "read_phrases"]

Phrase = tuple[str, str]
"""A class, and what is searched for."""

ENGINES = ("bing", "flickr", "baidu", "google")
LICENCES = {  # as icrawler calls them, and the numbers by which Flickr knows those that answer to it
    "creativecommons": "1,2,3,4,5,6,9,10",
    "publicdomain": "7,8,9,10",
    "noncommercial": "1,2,3,4,5,6,7,8,9,10",
    "commercial": "4,5,6,7,8,9,10",
    "noncommercial,modify": "1,2,4,5,7,8,9,10",
    "commercial,modify": "4,5,7,8,9,10",
}
DEFAULT_PHRASES = Path(__file__).with_name("phrases.txt")
CLASS = re.compile(r"[^\W_][\w -]*")  # becomes the name of a folder on any system


def read_phrases(path: Path) -> list[Phrase]:
    """Read a text file: a class in brackets, then a phrase a line; empty lines and those that begin with # say nothing.

    Raises:
        SourceError: the file cannot be read, or a line in it is out of place.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read ({error}): check --phrases, and save it as UTF-8") from error
    phrases: list[Phrase] = []
    name = ""
    for number, line in enumerate(map(str.strip, lines), 1):
        if line.startswith("[") and line.endswith("]"):
            name = line[1:-1].strip()
            if not CLASS.fullmatch(name):
                raise SourceError(f"{path}: line {number}: {name!r} cannot be a folder: use letters, digits and _")
        elif line and not line.startswith("#"):
            if not name:
                raise SourceError(f"{path}: line {number} has no class: write one above it, such as [with_mask]")
            phrases.append((name, line))
    if not phrases:
        raise SourceError(f"{path}: no phrases: write a class such as [with_mask], and a phrase a line below it")
    return phrases
