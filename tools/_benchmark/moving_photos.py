"""Photographs as a shaky camera would film them: pan, zoom, turn, blur, noise, and what passes before a face.

Where each face is in each frame follows from the photograph's labels, so that a tracker can be measured against truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from detector.data.sample import Sample
from detector.media import images
from detector.media.images import Image

Floats = npt.NDArray[np.float32]

SIZE = (1280, 720)  # of the video, px
FPS = 12.5
SECONDS = 12.0
LEAST_PX = 24  # shorter side in the video of a face that has to be found
OCCLUSIONS_PER_S = 0.25
HIDDEN_S = (0.15, 1.2)


@dataclass(frozen=True)
class Shot:
    """One frame and its truth.

    Args:
        image: BGR uint8 (720, 1280, 3).
        time: seconds.
        boxes: float32 (K, 4), where each of the K people's faces is, seen or not.
        hidden: bool (K,), whether something is before most of it.
        ignored: float32 (M, 4), where a detection is neither right nor wrong.
    """

    image: Image
    time: float
    boxes: Floats
    hidden: npt.NDArray[np.bool_]
    ignored: Floats


class MovingPhoto:
    """A clip of one labelled photograph.

    Args:
        sample: its image and labels.
        seed: another number: another walk of the camera.
    """

    def __init__(self, sample: Sample, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._sample = sample
        self.scale = min(SIZE[0] / sample.size[0], SIZE[1] / sample.size[1])
        sides = (sample.truth.xyxy[:, 2:] - sample.truth.xyxy[:, :2]).min(axis=1) * self.scale
        self._wanted = sides >= LEAST_PX
        self.truth = sample.truth[self._wanted]
        self._side = float(np.median(sides[self._wanted])) if self._wanted.any() else 0.0

    def shots(self) -> Iterator[Shot]:
        """The frames, always the same for one seed."""
        count = round(SECONDS * FPS)
        picture = images.read(self._sample.path)
        left_out = np.concatenate([self._sample.ignored, self._sample.truth.xyxy[~self._wanted]])
        camera, blurs = self._camera(count), self._blurs(count)
        covers = [self._covers(count) for _ in range(len(self.truth))]
        for index in range(count):
            matrix = camera[index]
            image = np.asarray(cv2.warpAffine(picture, matrix, SIZE, borderValue=(96, 96, 96)), np.uint8)
            boxes = _moved(self.truth.xyxy, matrix)
            hidden = np.array([self._cover(image, box, cover[index]) for box, cover in zip(boxes, covers, strict=True)])
            yield Shot(
                self._spoilt(image, blurs[index]), index / FPS, boxes, hidden.astype(bool), _moved(left_out, matrix)
            )

    def _wave(self, count: int, seconds: float) -> Floats:
        """A smooth walk between -1 and 1 that turns about every ``seconds``."""
        knots = self._random.uniform(-1, 1, int(SECONDS / seconds) + 3)
        return np.interp(np.arange(count) / FPS / seconds, np.arange(len(knots)), knots).astype(np.float32)

    def _camera(self, count: int) -> list[Floats]:
        """The matrix (2, 3) of each frame from the photograph to the video."""
        zoom, turn = 1 + 0.15 * self._wave(count, 3), 4 * self._wave(count, 2)
        pan = [
            extent * (0.08 * self._wave(count, 2) + 0.004 * self._random.standard_normal(count).astype(np.float32))
            for extent in SIZE
        ]
        width, height = self._sample.size
        matrices = []
        for index in range(count):
            matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn[index], self.scale * zoom[index])
            matrix[:, 2] += (SIZE[0] - width) / 2 + pan[0][index], (SIZE[1] - height) / 2 + pan[1][index]
            matrices.append(matrix.astype(np.float32))
        return matrices

    def _blurs(self, count: int) -> Floats:
        """How far each frame is out of focus, px: sharp half of the time, at worst an eighth of a face."""
        return np.clip(self._wave(count, 0.8), 0, 1) * np.float32(self._side / 8)

    def _covers(self, count: int) -> list[float]:
        """How much of one face is hidden in each frame, 0 to 1."""
        covers = [0.0] * count
        for start in np.flatnonzero(self._random.random(count) < OCCLUSIONS_PER_S / FPS).tolist():
            share, seconds = self._random.uniform(0.3, 1.2), self._random.uniform(*HIDDEN_S)
            for index in range(start, min(count, start + round(seconds * FPS) + 1)):
                covers[index] = min(share, 1.0)
        return covers

    def _cover(self, image: Image, box: Floats, share: float) -> bool:
        """Hide a face from below, as a hand or a passer-by does; returns whether most of it is hidden."""
        left, top, right, bottom = np.rint(box).astype(int).tolist()
        if share:
            grown = (right - left) // 8
            edge = bottom - round(share * (bottom - top))
            colour = self._random.integers(40, 200, 3).tolist()
            cv2.rectangle(image, (left - grown, edge), (right + grown, bottom + grown), colour, cv2.FILLED)
        return share > 0.5

    def _spoilt(self, image: Image, blur: float) -> Image:
        """A frame out of focus, as noisy and as bright as a cheap camera makes it."""
        if blur > 0.3:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(blur)), np.uint8)
        light, grain = self._random.normal(0, 6), self._random.uniform(2, 18)
        noise = light + grain * self._random.standard_normal(image.shape, np.float32)
        return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


def _moved(boxes: Floats, matrix: Floats) -> Floats:
    """Upright boxes (N, 4) around where a matrix takes boxes: their centres moved, their sides scaled."""
    centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    centres = centres @ matrix[:, :2].T + matrix[:, 2]
    sides = sides * float(np.hypot(*matrix[0, :2]))
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1).astype(np.float32)
