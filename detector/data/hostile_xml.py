"""XML of strangers: entities, document types, the network and endless files are out of bounds."""

from __future__ import annotations

import stat
from pathlib import Path

from lxml import etree

from detector.errors import AnnotationError

__all__ = ["MAX_BYTES", "read_annotation"]

MAX_BYTES = 8 * 2**20  # about 25,000 boxes; the largest real files have 2,000
_PARSER = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
)


def read_annotation(path: Path) -> etree._Element:
    """The root element of a file that claims to be LabelImg's.

    Raises:
        AnnotationError: it is missing, too large, not XML, or something else.
    """
    data = _read_bytes(path)
    if not data.strip():
        raise AnnotationError(f"{path}: the file is empty: label the image again or delete the file")
    try:
        root = etree.fromstring(data, _PARSER)
    except (etree.XMLSyntaxError, LookupError, ValueError) as error:
        reason = str(getattr(error, "msg", None) or error)[:150]  # the parser quotes the file
        raise AnnotationError(f"{path}: not well-formed XML ({reason}): save it again in LabelImg as UTF-8") from None
    document = root.getroottree().docinfo
    if document.internalDTD is not None or document.externalDTD is not None:
        raise AnnotationError(f"{path}: a DOCTYPE is not allowed in a label file: delete that line")
    if root.tag != "annotation":
        said = f"the root element is {root.tag[:80]!r}, not 'annotation'"
        raise AnnotationError(f"{path}: {said}: this is not a LabelImg file")
    return root


def _read_bytes(path: Path) -> bytes:
    try:
        # A pipe or a device would be read for ever.
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise AnnotationError(f"{path}: not a regular file: remove it from the annotations folder")
        if status.st_size > MAX_BYTES:
            raise AnnotationError(f"{path}: larger than {MAX_BYTES >> 20} MiB, which no label file is: remove it")
        with path.open("rb") as file:
            return file.read(status.st_size)
    except OSError as error:
        reason = f"cannot be read ({error.strerror}): check the file and its permissions"
        raise AnnotationError(f"{path}: {reason}") from error
