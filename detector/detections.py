"""The one result type: what an engine found, and what a person labelled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CLASSES", "Detections"]

CLASSES: tuple[str, str] = ("with_mask", "without_mask")
"""The two classes in the order of the network's output. A mask that leaves nose or mouth bare is ``without_mask``."""

Index = slice | list[int] | npt.NDArray[np.bool_] | npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Detections:
    """N faces in one image, the same type for both engines, ground truth, drawing, files and scores.

    The arrays are read-only: a filter makes a new object (``detections[detections.confidence > 0.5]``).

    Args:
        xyxy: float32 (N, 4), left, top, right, bottom in pixels of the upright original image, right and bottom
            exclusive.
        confidence: float32 (N,), 0 to 1; ground truth has 1.
        class_id: int64 (N,), an index into :data:`CLASSES`.
        track_id: int64 (N,), the number that :class:`detector.tracking.Tracker` gave the person, or -1.

    Raises:
        ValueError: shapes that do not fit together, numbers that are not finite, or a class that does not exist.
    """

    xyxy: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    class_id: npt.NDArray[np.int64]
    track_id: npt.NDArray[np.int64] = field(default_factory=lambda: np.array(-1))  # one number stands for all

    def __post_init__(self) -> None:
        if np.ndim(self.track_id) == 0:
            object.__setattr__(self, "track_id", np.full(np.shape(self.confidence), self.track_id))
        for name in ("xyxy", "confidence", "class_id", "track_id"):
            dtype = np.int64 if name.endswith("_id") else np.float32
            array = np.asarray(getattr(self, name), dtype=dtype).view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        count = len(self.confidence) if self.confidence.ndim == 1 else -1
        shapes = (self.xyxy.shape, self.confidence.shape, self.class_id.shape, self.track_id.shape)
        if shapes != ((count, 4), (count,), (count,), (count,)):
            raise ValueError(f"expected xyxy (N, 4), confidence (N,), class_id (N,) and track_id (N,), got {shapes}")
        if not (np.isfinite(self.xyxy).all() and np.isfinite(self.confidence).all()):
            raise ValueError("boxes and confidences must be finite numbers")
        if count and (self.class_id.min() < 0 or self.class_id.max() >= len(CLASSES)):
            raise ValueError(f"class_id must be 0 to {len(CLASSES) - 1}, got {sorted(set(self.class_id.tolist()))}")

    @classmethod
    def empty(cls) -> Detections:
        """No face at all."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    @property
    def names(self) -> list[str]:
        """The class name of each face."""
        return [CLASSES[index] for index in self.class_id.tolist()]

    def count(self, name: str) -> int:
        """How many faces are of the class ``name``."""
        return int((self.class_id == CLASSES.index(name)).sum())

    def __len__(self) -> int:
        return len(self.confidence)

    def __getitem__(self, index: Index) -> Detections:
        """The faces that a slice, a list of indices or a boolean mask selects."""
        return Detections(self.xyxy[index], self.confidence[index], self.class_id[index], self.track_id[index])

    def __iter__(self) -> Iterator[tuple[list[float], float, str]]:
        """Each face as ([left, top, right, bottom], confidence, class name)."""
        return iter(zip(self.xyxy.tolist(), self.confidence.tolist(), self.names, strict=True))
