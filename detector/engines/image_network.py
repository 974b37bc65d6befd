"""What networks that look at whole images share: letterboxed input, one image or several at a time."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.detections import Detections
from detector.engines.letterbox import InputBuffer, Letterbox
from detector.engines.metadata import MAX_SIDE
from detector.engines.session import Closing, OnnxSession
from detector.errors import ModelError

__all__ = ["Engine", "Image", "ImageNetwork", "Outputs", "image_shape"]

Image = npt.NDArray[np.uint8]
"""BGR (H, W, 3)."""

Outputs = list[npt.NDArray[Any]]
"""A network's outputs for one image, in the file's order, without the batch axis."""


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


class ImageNetwork:
    """A network whose input is RGB in 0..1, (batch, 3, height, width), with free or fixed axes.

    Many threads may share it.

    Args:
        session: the network, which :func:`~detector.engines.kinds.expect` has looked at.
        imgsz: the image's longer side in the network, px; the size of the training by default. A network with fixed
            axes has its own.

    Raises:
        ModelError: ``imgsz`` is out of bounds.
    """

    def __init__(self, session: OnnxSession, imgsz: int | None = None) -> None:
        self.session = session
        height, width = session.input.shape[2:]
        self._fixed = (height, width) if isinstance(height, int) and isinstance(width, int) else None
        stride = session.metadata.stride
        size = imgsz or session.metadata.imgsz or 640
        if size > MAX_SIDE:
            raise ModelError(f"--imgsz {size}: no image fits into the memory at this size: use at most {MAX_SIDE}")
        self.imgsz = -(-size // stride) * stride
        self._one_by_one = isinstance(session.input.shape[0], int)
        self._lock = threading.Lock()  # the buffer below is shared; a web demo calls one engine from many threads
        self._buffer: InputBuffer | None = None

    def __call__(self, image: Image) -> tuple[Outputs, Letterbox]:
        """What the network says of one BGR uint8 (H, W, 3) image, and the way back from its pixels to the image's."""
        geometry = self._geometry_of(image)
        with self._lock:
            if self._buffer is None or self._buffer.geometry != geometry:
                self._buffer = InputBuffer(geometry)
            self._buffer.write(image)
            outputs = self._run(self._buffer.tensor[None])
        return [output[0] for output in outputs], geometry

    def batch(self, images: Sequence[Image]) -> list[tuple[Outputs, Letterbox]]:
        """The same for several images; those that need the same input shape go through the network together."""
        if self._one_by_one:
            return [self(image) for image in images]
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        geometries = [self._geometry_of(image) for image in images]
        for index, geometry in enumerate(geometries):
            groups[geometry.target_shape].append(index)
        results: list[tuple[Outputs, Letterbox]] = [([], geometry) for geometry in geometries]
        for members in groups.values():
            tensor = np.empty((len(members), 3, *geometries[members[0]].target_shape), np.float32)
            for row, index in zip(tensor, members, strict=True):
                InputBuffer(geometries[index], row).write(images[index])
            outputs = self._run(tensor)
            for position, index in enumerate(members):
                results[index] = [output[position] for output in outputs], geometries[index]
        return results

    def _geometry_of(self, image: Image) -> Letterbox:
        source = image_shape(image)
        if self._fixed:
            return Letterbox.fill(source, self._fixed)
        return Letterbox.fit(source, self.imgsz, self.session.metadata.stride)

    def _run(self, tensor: npt.NDArray[np.float32]) -> Outputs:
        return self.session(tensor.astype(self.session.dtype, copy=False))


def image_shape(image: Image) -> tuple[int, int]:
    """(height, width) of a BGR uint8 (H, W, 3) image.

    Raises:
        ValueError: it is none.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"expected a BGR uint8 (H, W, 3) image, got {image.dtype} {image.shape}")
    return image.shape[0], image.shape[1]
