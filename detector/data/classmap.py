"""From the annotators' class names to the two classes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from detector.detections import CLASSES
from detector.errors import AnnotationError

__all__ = ["DEFAULT_NAMES", "IGNORE", "resolve"]

IGNORE = "ignore"
"""The class of boxes that are left out."""

DEFAULT_NAMES: Mapping[str, tuple[str, ...]] = {
    "with_mask": (
        *("with_mask", "mask", "masked", "masks", "face_mask", "facemask", "withmask", "wearing_mask"),
        *("face_with_mask", "mask_on", "mask_weared_correct", "with_correct_mask", "correct_mask"),
    ),
    # A mask that leaves nose or mouth bare counts as none.
    "without_mask": (
        *("without_mask", "no_mask", "nomask", "none_mask", "withoutmask", "unmasked", "not_masked", "no_face_mask"),
        *("face", "face_no_mask", "face_without_mask", "face_nomask", "mask_off", "bare_face"),
        *("mask_weared_incorrect", "with_incorrect_mask", "incorrect_mask", "mask_incorrect", "improper_mask"),
        *("wrong_mask", "mask_worn_incorrectly", "incorrectly_worn_mask", "face_with_mask_incorrect"),
    ),
}
"""Class to the names that public data sets use for it; '-', ' ', '_' and upper case make no difference."""

SHOWN = 20  # names in an error message

DEFAULT_CLASS = {name: target for target, names in DEFAULT_NAMES.items() for name in names}


def resolve(names: Mapping[str, int], overrides: Mapping[str, str] | None = None) -> tuple[dict[str, str], list[str]]:
    """Find the class of every name.

    Args:
        names: class names in the annotations and how many boxes each has.
        overrides: name to "with_mask", "without_mask" or "ignore", before the defaults.

    Returns:
        Name to class (or "ignore"), and those of the overrides that match no name.

    Raises:
        AnnotationError: a name is unknown, or an override names a class that does not exist.
    """
    wanted = {_normal(name): _target(name, target) for name, target in (overrides or {}).items()}
    known = DEFAULT_CLASS | wanted
    unknown = [name for name in sorted(names) if _normal(name) not in known]
    if unknown:
        found = ", ".join(f"{name[:60]!r} ({names[name]} boxes)" for name in unknown[:SHOWN])
        found += f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        raise AnnotationError(
            f"class names that are not known: {found}: say what each is with --map NAME=CLASS, "
            f"where CLASS is {', '.join(CLASSES)} or {IGNORE}"
        )
    present = {_normal(name) for name in names}
    unused = [name for name in sorted(overrides or {}) if _normal(name) not in present]
    return {name: known[_normal(name)] for name in sorted(names)}, unused


def _normal(name: str) -> str:
    return re.sub(r"[-_\s]+", "_", name.strip()).casefold()


def _target(name: str, target: str) -> str:
    normal = _normal(target)
    if normal not in (*CLASSES, IGNORE):
        raise AnnotationError(f"--map {name}={target}: CLASS must be {', '.join(CLASSES)} or {IGNORE}")
    return normal
