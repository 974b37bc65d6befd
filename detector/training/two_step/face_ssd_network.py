"""The face finder: a one-class SSD on a MobileNetV2 body. Imports torch: load it late.

W. Liu et al., "SSD: Single Shot MultiBox Detector", 2016, with torchvision's parts: its MobileNetV2, prediction head,
box coder and matcher. Three things are fitted to faces, which are often small and nearly square. Priors have one shape
and go down to 8 px. The smallest stand twice as dense as their cells (S. Zhang et al., "FaceBoxes", 2017), or a face
between four of them would be matched by none. And coarse features are added to finer ones (T.-Y. Lin et al., "Feature
Pyramid Networks", 2017), since a face of 12 px is told by its surroundings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import mobilenet_v2
from torchvision.models.detection._utils import BoxCoder, SSDMatcher
from torchvision.models.detection.ssd import SSDHead
from torchvision.ops import Conv2dNormActivation, box_iou

__all__ = ["BACKBONE", "STRIDE", "Decoded", "FaceSSD", "Targets", "detection_loss", "match_priors"]

BACKBONE = "mobilenet_v2"
STRIDE = 32
"""The input's sides are multiples of this, px: the coarsest map that is added to finer ones."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

BODY = (slice(0, 4), slice(4, 7), slice(7, 14), slice(14, 18))
"""MobileNetV2's layers up to strides 4, 8, 16 and 32. The first part is not trained: edges and colours are the same
everywhere, and its large maps take a third of a step's time."""

WIDTH = 64
"""Channels of each feature map that the head reads."""

ASPECT = 0.82
"""Width by height of a prior: the median of 17,764 labelled faces of four data sets."""

CODER_WEIGHTS = (10.0, 10.0, 5.0, 5.0)

POSITIVE, NEGATIVE, IGNORED, INSIDE = 0.45, 0.35, 0.15, 0.5
"""Overlap (IoU) with a face from which a prior learns to be one, and up to which it learns to be background. Lower
than SSD's 0.5: a face of 12 px rarely lies that well on a prior. Between, and on ignored faces, it learns nothing.
It is on one with the third, or with the last of its own area: a region may be larger than the faces in it."""

NEGATIVES_PER_POSITIVE = 3
LEAST_NEGATIVES = 64
"""In a batch, so that pictures without a face teach something too."""


@dataclass(frozen=True)
class _Level:
    """The priors of one feature map.

    Args:
        stride: of the map, px.
        sizes: side of each prior (of the square of the same area), px, and how many stand in a cell in each direction.
    """

    stride: int
    sizes: tuple[tuple[float, int], ...]

    @property
    def count(self) -> int:
        """Priors in a cell."""
        return sum(dense**2 for _, dense in self.sizes)


LEVELS = (
    _Level(8, ((8, 2), (12, 2), (17, 1), (24, 1), (34, 1))),
    _Level(16, ((48, 1), (68, 1))),
    _Level(32, ((96, 1), (136, 1))),
    _Level(64, ((192, 1), (272, 1), (384, 1))),
)


@dataclass(frozen=True)
class Targets:
    """What the priors of one picture shall say.

    Args:
        face: int64 (P,), the index of each prior's face; -1 is background, -2 is not asked.
        boxes: float32 (F, 4), the faces, xyxy px.
    """

    face: Tensor
    boxes: Tensor


class FaceSSD(nn.Module):
    """The network: pictures to the score and the offsets of each prior."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        body = mobilenet_v2().features
        self.stem, self.fine, self.middle, self.coarse = (body[part] for part in BODY)
        self.stem.requires_grad_(requires_grad=False)
        self.lateral = nn.ModuleList(
            Conv2dNormActivation(channels, WIDTH, 1, activation_layer=None) for channels in (32, 96, 320)
        )
        self.coarser = Conv2dNormActivation(WIDTH, WIDTH, 3, stride=2)
        self.smooth = nn.ModuleList(Conv2dNormActivation(WIDTH, WIDTH, 3) for _ in LEVELS)
        self.head = SSDHead([WIDTH] * len(LEVELS), [level.count for level in LEVELS], num_classes=2)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def start_from(self, imagenet: dict[str, Tensor]) -> None:
        """Load the body from ImageNet weights in torchvision's layout.

        Raises:
            RuntimeError: they are of another network.
        """
        body = mobilenet_v2()
        body.load_state_dict(imagenet)
        for own, part in zip((self.stem, self.fine, self.middle, self.coarse), BODY, strict=True):
            own.load_state_dict(body.features[part].state_dict())

    def train(self, mode: bool = True) -> FaceSSD:
        """As for any module, but the stem stays as it is."""
        super().train(mode)
        self.stem.eval()
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures to raw predictions.

        Args:
            images: float32 (B, 3, H, W), RGB in 0..1, sides multiples of :data:`STRIDE`.

        Returns:
            Logits (B, P, 2) of background and face, box offsets (B, P, 4), and the priors (P, 4) as xyxy px.
        """
        with torch.no_grad():
            stem = self.stem((images - self.mean) / self.std)
        fine = self.fine(stem)
        middle = self.middle(fine)
        coarse = self.lateral[2](self.coarse(middle))
        middle = self.lateral[1](middle) + functional.interpolate(coarse, scale_factor=2.0)
        fine = self.lateral[0](fine) + functional.interpolate(middle, scale_factor=2.0)
        levels = (fine, middle, coarse, self.coarser(coarse))
        maps = [smooth(level) for smooth, level in zip(self.smooth, levels, strict=True)]
        found = self.head(maps)
        return found["cls_logits"], found["bbox_regression"], _priors(maps)


class Decoded(nn.Module):
    """The network with its predictions read out, as it is used and exported."""

    def __init__(self, network: FaceSSD) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures to all candidates: boxes (B, P, 4), xyxy px of the input, and scores (B, P) from 0 to 1."""
        logits, offsets, priors = self.network(images)
        return _decode(offsets.float(), priors), logits.float().softmax(dim=-1)[..., 1]


def match_priors(faces: Tensor, ignored: Tensor, priors: Tensor) -> Targets:
    """Which prior learns which face.

    Args:
        faces: float32 (F, 4), xyxy px.
        ignored: float32 (G, 4), faces that are not learnt: too small, cut off, or not labelled.
        priors: float32 (P, 4).
    """
    face = torch.full((len(priors),), -1, device=priors.device)
    if len(ignored):
        on_one = (box_iou(ignored, priors) >= IGNORED) | (_share_inside(priors, ignored) >= INSIDE)
        face[on_one.any(dim=0)] = -2
    if len(faces):
        matcher = SSDMatcher(POSITIVE)
        matcher.low_threshold = NEGATIVE
        found = matcher(box_iou(faces, priors))
        face = torch.where(found == -1, face, found)
    return Targets(face, faces)


def detection_loss(logits: Tensor, offsets: Tensor, priors: Tensor, targets: list[Targets]) -> tuple[Tensor, Tensor]:
    """The two losses of SSD: of the scores, with the hardest three negatives for each positive, and of the boxes.

    The negatives are the hardest of the batch, not of each picture: a picture without faces has some too.
    """
    face = torch.stack([target.face for target in targets])
    positive = face >= 0
    count = int(positive.sum())
    losses = functional.cross_entropy(logits.reshape(-1, 2), positive.reshape(-1).long(), reduction="none")
    negative = losses[(face == -1).reshape(-1)]
    hardest = negative.topk(min(max(NEGATIVES_PER_POSITIVE * count, LEAST_NEGATIVES), len(negative))).values
    score_loss = losses[positive.reshape(-1)].sum() + hardest.sum()
    coder = BoxCoder(CODER_WEIGHTS)
    wanted = [
        coder.encode_single(target.boxes[target.face[mine]], priors[mine])
        for target, mine in zip(targets, positive, strict=True)
    ]
    box_loss = functional.smooth_l1_loss(offsets[positive], torch.cat(wanted), reduction="sum")
    return score_loss / max(count, 1), box_loss / max(count, 1)


def _priors(maps: list[Tensor]) -> Tensor:
    """Each cell's priors, in the head's order: maps, rows, columns, priors of a cell. In the graph, for any size."""
    levels = []
    for level, features in zip(LEVELS, maps, strict=True):
        rows = torch.arange(features.shape[2], device=features.device, dtype=torch.float32)
        columns = torch.arange(features.shape[3], device=features.device, dtype=torch.float32)
        y, x = torch.meshgrid(rows * level.stride, columns * level.stride, indexing="ij")
        corner = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
        levels.append((corner + torch.tensor(_cell(level), device=features.device)).reshape(-1, 4))
    return torch.cat(levels)


def _cell(level: _Level) -> list[list[float]]:
    """The priors of the first cell, xyxy px."""
    boxes = []
    for size, dense in level.sizes:
        half_width, half_height = size * math.sqrt(ASPECT) / 2, size / math.sqrt(ASPECT) / 2
        centres = [(index + 0.5) * level.stride / dense for index in range(dense)]
        boxes += [[x - half_width, y - half_height, x + half_width, y + half_height] for y in centres for x in centres]
    return boxes


def _share_inside(priors: Tensor, regions: Tensor) -> Tensor:
    """How much of each prior's area lies in each region: (regions, priors), 0 to 1."""
    corner = torch.minimum(priors[None, :, 2:], regions[:, None, 2:])
    shared = (corner - torch.maximum(priors[None, :, :2], regions[:, None, :2])).clamp(min=0).prod(dim=2)
    return shared / (priors[:, 2:] - priors[:, :2]).prod(dim=1)


def _decode(offsets: Tensor, priors: Tensor) -> Tensor:
    """What torchvision's BoxCoder decodes, for a batch and with nothing that depends on the batch when it is traced."""
    size = priors[:, 2:] - priors[:, :2]
    centre = priors[:, :2] + size / 2
    unweighted = offsets / offsets.new_tensor(CODER_WEIGHTS)
    shift, stretch = unweighted[..., :2], unweighted[..., 2:]
    centre = centre + shift * size
    half = size * stretch.clamp(max=math.log(1000 / 16)).exp() / 2
    return torch.cat([centre - half, centre + half], dim=-1)
