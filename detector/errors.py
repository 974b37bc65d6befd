"""Every error that a user of this package can cause.

DetectorError
├── SourceError        an image, video, camera or stream that cannot be read
├── AnnotationError    a label file or a data set that cannot be used
├── ModelError         a network that is missing, damaged or not what was asked for
├── ProviderError      a device that was asked for and is not there
├── OutputError        a result that cannot be written
├── TrainingError      a training run that cannot start or go on
└── MissingExtraError  an optional package that is not installed

The message is one line that names the file or flag and says what to do. Commands print it on stderr and exit with 2.
"""

from __future__ import annotations

import re
from importlib import metadata
from importlib.util import find_spec

__all__ = [
    "AnnotationError",
    "DetectorError",
    "MissingExtraError",
    "ModelError",
    "OutputError",
    "ProviderError",
    "SourceError",
    "TrainingError",
    "require_extra",
]


MAX_MESSAGE = 2000


class DetectorError(Exception):
    """Base of all errors that a user can cause and mend.

    The message often quotes a file that a stranger made: control characters are written out, so that it is one line
    whatever the file holds, and of an endless one the middle is left out, so that the remedy at its end is read.
    """

    def __init__(self, message: str) -> None:
        if len(message) > MAX_MESSAGE:
            message = f"{message[: MAX_MESSAGE // 2]} ... {message[-MAX_MESSAGE // 2 :]}"
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in message))


class SourceError(DetectorError):
    """An image, video, camera or stream cannot be read."""


class AnnotationError(DetectorError):
    """A label file or a data set cannot be used."""


class ModelError(DetectorError):
    """A network is missing, damaged, or not the kind that was asked for."""


class ProviderError(DetectorError):
    """A device was asked for that onnxruntime cannot use here."""


class OutputError(DetectorError):
    """A result cannot be written where it was asked for."""


class TrainingError(DetectorError):
    """A training run cannot start or go on."""


class MissingExtraError(DetectorError):
    """An optional package is not installed.

    Args:
        package: the name of the package that could not be imported.
        extra: the extra of this distribution that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        wanted = _packages(extra) or f"-e '.[{extra}]'"
        super().__init__(f"{package} is not installed: run pip install {wanted}")
        self.package = package
        self.extra = extra


def _packages(extra: str) -> str:
    """What the extra brings, as words for pip: no package index may have this distribution, which came as a file."""
    try:
        lines = [line.partition(";") for line in metadata.requires("mask-detector") or ()]
    except metadata.PackageNotFoundError:  # a clone that was never installed
        return ""
    return " ".join(f"'{package.strip()}'" for package, _, marker in lines if re.search(rf"\b{extra}\b", marker))


def require_extra(extra: str, *modules: str) -> None:
    """Call before modules are imported that an extra brings, and before minutes of work that end with them.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    for module in modules:
        if find_spec(module) is None:
            raise MissingExtraError(module.replace("_", "-"), extra)
