"""An exported network before it is checked, with what it says about itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import onnx

import detector
from detector.training.checkpoint import LICENSE, now
from detector.training.parity import Difference, Floats

__all__ = ["OPSET", "Draft"]

OPSET = 17
"""Read by every onnxruntime since 1.13 and by all its providers; from 19 on its CUDA kernels lack Resize."""


@dataclass(frozen=True)
class Draft:
    """An exported network, and how it is compared with its checkpoint.

    Args:
        network_name: its file's name, see :mod:`detector.engines.weights`.
        about: its head or backbone, and its size, for people.
        model: the graph.
        entries: what it says about itself, to be added to the metadata.
        network: the checkpoint's, in torch.
        inputs: what both are run on, float32 (B, 3, H, W).
        difference: compares what both say.
    """

    network_name: str
    about: str
    model: onnx.ModelProto
    entries: dict[str, str]
    network: Any
    inputs: Iterable[Floats]
    difference: Difference

    def file(self) -> bytes:
        """The .onnx, with metadata: who made it, of what, and when; what is there is kept."""
        common = {
            "author": "mask-detector",
            "date": now(),
            "license": LICENSE,
            "detector": detector.__version__,
            "docs": "https://github.com/mask-detector/mask-detector",
        }
        before = {entry.key: entry.value for entry in self.model.metadata_props}
        del self.model.metadata_props[:]
        onnx.helper.set_model_props(self.model, before | common | self.entries)
        self.model.doc_string = ""
        onnx.checker.check_model(self.model)
        return bytes(self.model.SerializeToString())
