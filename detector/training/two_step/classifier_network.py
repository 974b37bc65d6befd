"""The mask classifier: a body that was trained on ImageNet, and a head of two layers. Imports torch: load it late."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import inception_v3, mobilenet_v2

__all__ = ["BACKBONES", "LEAST_SIDE", "MaskClassifierNetwork"]

HIDDEN, DROPOUT = 256, 0.5

NORMALISATION = {
    "mobilenet_v2": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "inception_v3": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),  # as its weights were trained, unlike torchvision's others
}

BACKBONES = ("mobilenet_v2", "inception_v3")
LEAST_SIDE = dict(zip(BACKBONES, (32, 75), strict=True))
"""Smaller crops leave nothing for the last layers to look at, px."""


class MaskClassifierNetwork(nn.Module):
    """Crops to the logits of their classes: average pool, dense 256, ReLU, dropout 0.5, dense.

    Args:
        backbone: one of :data:`BACKBONES`.
        classes: number of classes.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: str, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.body, channels = _body(backbone)
        self.head = nn.Sequential(
            nn.Linear(channels, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, classes)
        )
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in NORMALISATION[backbone])
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def start_from(self, imagenet: dict[str, Tensor]) -> None:
        """Load the body from ImageNet weights in torchvision's layout; what only classified ImageNet is left out."""
        kept = {name: tensor for name, tensor in imagenet.items() if name in self.body.state_dict()}
        self.body.load_state_dict(kept)

    def freeze(self, frozen: bool) -> None:
        """Whether the body's weights stay as they are."""
        self.body.requires_grad_(not frozen)

    def train(self, mode: bool = True) -> MaskClassifierNetwork:
        """As for any module, but the body's norms keep ImageNet's averages: those of a few crops would upset the head.

        With a batch's own averages, a head that was trained on a frozen body begins anew when the body is thawed.
        """
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, crops: Tensor) -> Tensor:
        """Logits (B, classes) of crops, float32 (B, 3, S, S), RGB in 0..1."""
        logits: Tensor = self.head(self.body((crops - self.mean) / self.std))
        return logits


def _body(backbone: str) -> tuple[nn.Module, int]:
    """The network without its own last layer, and how many numbers it then gives for a picture."""
    if backbone == "mobilenet_v2":
        network = mobilenet_v2()
        network.classifier = nn.Identity()
        return network, network.last_channel
    network = inception_v3(weights=None, aux_logits=False, transform_input=False, init_weights=False)
    channels = network.fc.in_features
    network.dropout = network.fc = nn.Identity()
    return network, channels
