"""What every engine is: an image in, its faces out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from detector.detections import Detections

__all__ = ["Closing", "Engine", "Image", "image_shape"]

Image = npt.NDArray[np.uint8]
"""BGR (H, W, 3)."""

Own = TypeVar("Own", bound="Closing")


class Closing(ABC):
    """What holds a network and is closed at the end of a ``with``."""

    @abstractmethod
    def close(self) -> None:
        """Free the network's memory."""

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Engine(Closing):
    """What run, evaluate and the demo need of an engine. Many threads may share it.

    ``conf`` is the least confidence of a face that is returned, 0 to 1; it may be changed between calls.
    """

    conf: float

    @abstractmethod
    def __call__(self, image: Image) -> Detections:
        """The faces in one BGR uint8 (H, W, 3) image, the surest first."""

    @abstractmethod
    def batch(self, images: Sequence[Image]) -> list[Detections]:
        """The faces in several images."""


def image_shape(image: Image) -> tuple[int, int]:
    """(height, width) of a BGR uint8 (H, W, 3) image.

    Raises:
        ValueError: it is none.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"expected a BGR uint8 (H, W, 3) image, got {image.dtype} {image.shape}")
    return image.shape[0], image.shape[1]
