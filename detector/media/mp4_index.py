"""What a video says of itself, held against limits before FFmpeg makes an index of that length.

In MP4 a table of equal sizes is two numbers, so that a file of 1.5 kB can claim a hundred million frames: 3.5 GB.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path

from detector.errors import SourceError
from detector.media.image_header import MAX_PARTS

__all__ = ["Head", "check_claims"]

MAX_FRAMES = 2**22  # a day and a half at 30 frames per second
NOT_READ = frozenset({b"mdat", b"free", b"skip"})  # FFmpeg looks for tables in all other boxes, wherever they are
SIZES = re.compile(rb"(?s)stsz.{4}(?!\x00{4}).{4}(.{4})")  # all of one size: there is no table
SMALL_SIZES = re.compile(rb"(?s)stz2.{8}(.{4})")  # half a byte each, for which FFmpeg takes forty
PACKED = re.compile(
    rb"cmov.{4}dcom|cmvd", re.DOTALL
)  # a packed index: 1 MB unfolds to 1 GB, and its tables are not seen
RUNS = re.compile(rb"(?s)trun.{4}(.{4})")
# Sound without compression has millions of samples, of which FFmpeg notes whole chunks.
TICKS = re.compile(rb"(?s)stts(.{4}\x00\x00\x00\x01.{4}\x00\x00\x00\x01)?")
TRACK, SOUND, PICTURES = re.compile(b"trak"), re.compile(b"soun"), re.compile(b"vide")


class Head:
    """A file of which no more than ``left`` bytes can be read before its streams are known.

    FFmpeg keeps tags, chapters, attachments and tables of sizes in up to forty times their length.
    """

    def __init__(self, path: Path, name: str, left: float) -> None:
        self.name, self._called, self.left = str(path), name, left
        self._file = path.open("rb")
        self.seek, self.tell, self.close = self._file.seek, self._file.tell, self._file.close

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        self.left -= size
        if self.left < 0:
            raise SourceError(f"{self._called}: what it says of itself is too long: convert it to MP4 with H.264")
        return self._file.read(size)


def check_claims(path: Path, name: str) -> None:
    """Refuse a file that claims more frames than it can hold, or whose index is packed, so that nobody knows.

    Args:
        path: a video of any format.
        name: what the error message calls it.

    Raises:
        SourceError: it does, or it cannot be read.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            frames = _count(data)
    except ValueError:
        return  # empty
    except OSError as error:
        raise SourceError(f"{name}: cannot be read ({error.strerror}): check the file and its permissions") from error
    if frames > MAX_FRAMES:
        raise SourceError(
            f"{name}: it claims to hold {frames} frames: the file is damaged, copy it again or convert it"
        )


def _count(data: mmap.mmap) -> int:
    """Entries that a file claims without holding them; 0 for other formats, too many where the index is packed."""
    total, at = 0, 0
    for _ in range(MAX_PARTS):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        end = min(at + size, len(data)) if size else len(data)
        if len(kind) < 4 or not kind.isalnum() or end < at + 8:
            break
        if kind not in NOT_READ:
            total += sum(int.from_bytes(found[1], "big") for found in SMALL_SIZES.finditer(data, at, end))
            total += MAX_FRAMES + 1 if PACKED.search(data, at, end) else 0
            total += sum(int.from_bytes(found[1], "big") for found in RUNS.finditer(data, at, end))
            tracks = [found.start() for found in TRACK.finditer(data, at, end)]
            total += sum(_track(data, *span) for span in zip([at, *tracks], [*tracks, end], strict=True))
        at = end
    return total


def _track(data: mmap.mmap, start: int, end: int) -> int:
    ticks = TICKS.findall(data, start, end)
    if len(ticks) == 1 and ticks[0] and SOUND.search(data, start, end) and not PICTURES.search(data, start, end):
        return 0
    return sum(int.from_bytes(found[1], "big") for found in SIZES.finditer(data, start, end))
