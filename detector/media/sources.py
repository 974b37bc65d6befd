"""One door for everything that pictures come from: ``open_source(spec)``."""

from __future__ import annotations

import difflib
import glob
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from detector.errors import SourceError
from detector.media.addresses import looks_like_an_address, without_password
from detector.media.frames import Source, StillSource
from detector.media.images import IMAGE_SUFFIXES, STRANGE_SUFFIXES, header_of, left_below, list_images
from detector.media.watching import WatchedFolder

__all__ = ["open_source", "open_sources"]

log = logging.getLogger(__name__)


def open_source(spec: str | Path | int, *, reconnect_limit_s: float = 60.0, timeout_s: float = 10.0) -> Source:
    """Open whatever ``spec`` names; use it in a ``with`` and iterate over its frames.

    ========================  ==========================================================================
    an existing file          an image or a video; always wins over the meanings below
    an existing folder        its images, sorted by name
    ``0``, ``1`` ...          a webcam; ``/dev/video0`` as well
    ``http://``, ``rtsp://``  an image, a video file, or a live stream (also rtmp, udp, srt ...)
    ``*``, ``?``, ``[]``      the images that match; ``**`` is any depth of folders
    ``-``                     one image from standard input
    ========================  ==========================================================================

    Args:
        spec: the file, folder, pattern, index or URL.
        reconnect_limit_s: how long a camera or stream that drops is tried again.
        timeout_s: how long the other side of a URL may be silent.

    Raises:
        SourceError: nothing is there, or it cannot be read. In a folder or pattern a bad file is logged and kept in
            ``failures`` instead, and the rest goes on.
    """
    text = str(spec)
    path = Path(text).expanduser()
    if text == "-":
        return _open_stdin()
    if text and _exists(path):
        return _open_folder(path, text) if path.is_dir() else _open_file(path, reconnect_limit_s)
    if text.isascii() and text.isdigit():
        return _open_camera(int(text), reconnect_limit_s)
    if looks_like_an_address(text):
        from detector.media.stream import open_url

        return open_url(text, timeout_s=timeout_s, reconnect_limit_s=reconnect_limit_s)
    shown = without_password(text)  # an address may be mistyped so far that it does not look like one
    if glob.has_magic(text):
        return _open_pattern(str(path), shown, reconnect_limit_s)
    near = _near(path) if shown == text else ""
    raise SourceError(f"{shown or repr(text)}: no such file or folder{near}: check the name")


def open_sources(specs: Sequence[str], reconnect_limit_s: float = 60.0, watch: bool = False) -> Iterator[Source]:
    """Open several at once, each as :func:`open_source` does; images named one by one are one source together.

    With ``watch`` all are folders, which go on with each image that is put there.

    Raises:
        SourceError: one cannot be opened, is no folder to watch, or is named twice.
    """
    for spec in specs:
        if specs.count(spec) > 1:
            raise SourceError(f"{without_password(spec)}: named twice: name each source once")
    if watch:
        for spec in specs:
            if not Path(spec).is_dir():
                raise SourceError(f"{without_password(spec)}: no folder: --watch waits for images in a folder")
            yield WatchedFolder(Path(spec))
        return
    pictures = [path for path in map(Path, specs) if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    together = {str(path) for path in pictures} if len(pictures) > 1 else set()
    if together:
        yield StillSource.of_files(f"{len(pictures)} images", pictures, tolerant=True)
    for spec in specs:
        if str(Path(spec)) not in together:
            yield open_source(spec, reconnect_limit_s=reconnect_limit_s)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a NUL in it
        return False


def _open_stdin() -> Source:
    if sys.stdin.isatty():
        raise SourceError("-: standard input is a terminal: pipe an image into it")
    return StillSource.of_bytes("stdin", sys.stdin.buffer.read())


def _open_file(path: Path, reconnect_limit_s: float) -> Source:
    if path.is_char_device() and (match := re.fullmatch(r"/dev/video(\d+)", str(path.resolve()))):
        return _open_camera(int(match[1]), reconnect_limit_s)
    if path.suffix.lower() in IMAGE_SUFFIXES or header_of(path).format != "other":
        return StillSource.of_files(str(path), [path], tolerant=False)
    from detector.media.video import VideoSource

    # "file:" keeps FFmpeg from reading a protocol into a name with a colon.
    return VideoSource(f"file:{path}", str(path))


def _open_folder(folder: Path, name: str) -> Source:
    paths = list_images(folder, strange=True)
    if not paths:
        deeper = next((p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES), None)
        remedy = f"give '{folder / '**' / '*'}{deeper.suffix}'" if deeper else "name a folder with images, or one video"
        raise SourceError(f"{name}: no images in this folder: {remedy}")
    if below := left_below(folder):
        log.warning("%s: %s, or give '%s'", name, below, folder / "**" / "*")
    return StillSource.of_files(name, paths, tolerant=True)


def _open_pattern(pattern: str, name: str, reconnect_limit_s: float) -> Source:
    matches = [path for path in map(Path, sorted(glob.glob(pattern, recursive=True))) if path.is_file()]  # noqa: PTH207 - Path.glob takes no absolute pattern
    paths = [path for path in matches if path.suffix.lower() in IMAGE_SUFFIXES | STRANGE_SUFFIXES]
    if paths:
        deep = re.split(r"[*?[]", pattern, maxsplit=1)[0] if "**" in pattern else None
        tree = None if deep is None else Path(deep) if deep.endswith(("/", "\\")) else Path(deep).parent
        return StillSource.of_files(name, paths, tolerant=True, tree=tree)
    if len(matches) == 1:
        return _open_file(matches[0], reconnect_limit_s)
    found = f"matches {len(matches)} files, but no image" if matches else "matches no file"
    raise SourceError(f"{name}: {found}: check the pattern, and quote it so that the shell leaves it alone")


def _open_camera(index: int, reconnect_limit_s: float) -> Source:
    from detector.media.live import LiveSource, open_camera

    name = f"camera {index}"
    return LiveSource(name, lambda: open_camera(index, name), reconnect_limit_s=reconnect_limit_s)


def _near(path: Path) -> str:
    """A hint at names that look like the one that is missing."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except (OSError, ValueError):
        return "" if path.parent == path else f" (nor the folder {path.parent})"
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.7)
    return f" (did you mean {', '.join(near)}?)" if near else ""
