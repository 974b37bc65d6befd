"""One geometry between an image and the network's input, used for both directions."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["PAD_VALUE", "InputBuffer", "Letterbox"]

PAD_VALUE = 114
"""Grey that training pads with (ultralytics' ``LetterBox``); another value would be unknown to the network."""


Shape = tuple[int, int]
"""(height, width), px."""


@dataclass(frozen=True)
class Letterbox:
    """How an image is scaled and padded, and how boxes come back.

    The numbers agree with ultralytics' ``LetterBox(auto=True)`` and ``scale_boxes``, which the network was trained
    with; :meth:`fit` chooses the smallest rectangle of whole strides around the scaled image, not a square.

    Args:
        source_shape: (height, width) of the image, px.
        target_shape: (height, width) of the network's input, px.
        resized_shape: (height, width) of the scaled image inside the input, px.
        top: rows of padding above the image.
        left: columns of padding before the image.
    """

    source_shape: Shape
    target_shape: Shape
    resized_shape: Shape
    top: int
    left: int

    @classmethod
    def fit(cls, source_shape: Shape, size: int, stride: int) -> Letterbox:
        """The smallest rectangle of whole strides with the image's longer side scaled to ``size`` px."""
        resized = _scaled(source_shape, (size, size))
        height, width = (side + (size - side) % stride for side in resized)
        return cls._centred(source_shape, (height, width), resized)

    @classmethod
    def fill(cls, source_shape: Shape, target_shape: Shape) -> Letterbox:
        """A given shape, for networks that were exported with fixed axes."""
        return cls._centred(source_shape, target_shape, _scaled(source_shape, target_shape))

    @classmethod
    def _centred(cls, source: Shape, target: Shape, resized: Shape) -> Letterbox:
        # -0.1 sends an odd pixel of padding to the bottom and right, as training does.
        top, left = (round((outer - inner) / 2 - 0.1) for outer, inner in zip(target, resized, strict=True))
        return cls(source, target, resized, top, left)

    def restore(self, xyxy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Boxes (N, 4) in pixels of the network's input, as boxes in the source image, clipped to it."""
        (height, width), (scaled_height, scaled_width) = self.source_shape, self.resized_shape
        scale = np.array([scaled_width / width, scaled_height / height] * 2, np.float32)
        offset = np.array([self.left, self.top] * 2, np.float32)
        limit = np.array([width, height] * 2, np.float32)
        restored: npt.NDArray[np.float32] = np.clip((xyxy - offset) / scale, 0, limit)
        return restored


class InputBuffer:
    """A network's input for images of one geometry, and the memory that filling it takes.

    It is kept from frame to frame: fresh memory of this size comes from the system page by page, each time anew.

    Args:
        geometry: of the images that will be written.
        tensor: float32 (3, *target_shape) to write to; a new one by default.
    """

    def __init__(self, geometry: Letterbox, tensor: npt.NDArray[np.float32] | None = None) -> None:
        self.geometry = geometry
        self.tensor = np.empty((3, *geometry.target_shape), np.float32) if tensor is None else tensor
        self.tensor[:] = PAD_VALUE / 255
        height, width = geometry.resized_shape
        self._inside = self.tensor[:, geometry.top : geometry.top + height, geometry.left : geometry.left + width]
        self._scaled = np.empty((height, width, 3), np.uint8)
        self._planes = [np.empty((height, width), np.uint8) for _ in range(3)]

    def write(self, image: npt.NDArray[np.uint8]) -> None:
        """Scale an image, BGR uint8 (H, W, 3) of the geometry's ``source_shape``, into the tensor as RGB in 0..1."""
        height, width = self.geometry.resized_shape
        scaled: cv2.typing.MatLike = image
        if self.geometry.source_shape != self.geometry.resized_shape:
            scaled = cv2.resize(image, (width, height), dst=self._scaled, interpolation=cv2.INTER_LINEAR)
        # Plane by plane, and the conversion apart from the product: a third of the time of one strided numpy call.
        for plane, inside in zip(reversed(cv2.split(scaled, self._planes)), self._inside, strict=True):
            np.copyto(inside, plane)
            np.multiply(inside, np.float32(1 / 255), out=inside)


def _scaled(source: Shape, target: Shape) -> Shape:
    """The image's (height, width) when it is scaled to touch ``target``; a thin image keeps one pixel."""
    ratio = min(outer / inner for outer, inner in zip(target, source, strict=True))
    height, width = (max(round(side * ratio), 1) for side in source)
    return height, width
