from __future__ import annotations

import io

import numpy as np
import onnx
import onnxruntime as ort
import torch

from detector.training.single_stage.graph_edits import convolve_before_enlarging
from detector.training.single_stage.ultralytics_env import ultralytics_env
from detector.training.single_stage.yolo_export import divide_split_convolutions


class Blocks(torch.nn.Module):
    """Both kinds of blocks that split a convolution's output, with norms that do something."""

    def __init__(self) -> None:
        super().__init__()
        from ultralytics.nn.modules import C2PSA, C3k2

        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(C3k2(3, 16), C2PSA(16, 16, e=4.0))
        for layer in self.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(layer.running_mean)
                torch.nn.init.uniform_(layer.running_var, 0.5, 2)
                torch.nn.init.uniform_(layer.weight)
        self.eval()

    def fuse(self) -> Blocks:
        """As ultralytics does before it exports."""
        from ultralytics.nn.modules import C2f, Conv
        from ultralytics.utils.torch_utils import fuse_conv_and_bn

        for layer in self.modules():
            if isinstance(layer, Conv) and hasattr(layer, "bn"):
                layer.conv = fuse_conv_and_bn(layer.conv, layer.bn)
                del layer.bn
                layer.forward = layer.forward_fuse
            elif isinstance(layer, C2f):
                layer.forward = layer.forward_split
        return self

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layers(image)
        return result


def exported(network: torch.nn.Module, image: torch.Tensor) -> onnx.ModelProto:
    buffer = io.BytesIO()
    torch.onnx.export(network, (image,), buffer, opset_version=17, dynamo=False)
    return onnx.load_from_string(buffer.getvalue())


def test_a_split_convolution_becomes_two_with_the_same_numbers_and_no_weight_more() -> None:
    image = torch.rand(2, 3, 12, 8, generator=torch.Generator().manual_seed(0))
    with ultralytics_env(), torch.inference_mode():
        network = Blocks().fuse()
        before, models = network(image).numpy(), []
        for divide in (False, True):
            if divide:
                divide_split_convolutions(network)
            np.testing.assert_allclose(network(image).numpy(), before, atol=1e-5)
            models.append(exported(network, image))
    for model in models:
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        np.testing.assert_allclose(
            session.run(None, {session.get_inputs()[0].name: image.numpy()})[0], before, atol=1e-5
        )
    plain, divided = ([node.op_type for node in model.graph.node] for model in models)
    assert plain.count("Split") - divided.count("Split") == 2
    assert divided.count("Conv") - plain.count("Conv") == 2
    arrays = [[onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer] for model in models]
    before_size, after_size = (sum(a.size for a in some if a.dtype == np.float32) for some in arrays)
    assert before_size == after_size > 0


class WayUp(torch.nn.Module):
    """A small map enlarged beside a large one, seen by two pointwise convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = torch.nn.ModuleList(torch.nn.Conv2d(6 + 3, width, 1) for width in (4, 3))
        self.small = torch.nn.Conv2d(3, 6, 2, stride=2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        large = torch.nn.functional.interpolate(self.small(image), scale_factor=2.0, mode="nearest")
        both = torch.cat([large, image], 1)
        return torch.cat([convolution(both) for convolution in self.convolutions], 1)


def test_what_is_enlarged_is_convolved_before_with_the_same_numbers() -> None:
    image = torch.rand(1, 3, 12, 8, generator=torch.Generator().manual_seed(0))
    with ultralytics_env(), torch.inference_mode():
        model = exported(WayUp().eval(), image)
    expected, shapes = answers(model, image)
    assert (1, 9, 12, 8) in shapes  # both maps together
    convolve_before_enlarging(model)
    onnx.checker.check_model(model, full_check=True)
    found, shapes = answers(model, image)
    assert (1, 9, 12, 8) not in shapes
    np.testing.assert_allclose(found, expected, atol=1e-5)


def answers(model: onnx.ModelProto, image: torch.Tensor) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """What the network answers, and the shapes of all that it computes on the way."""
    full = onnx.shape_inference.infer_shapes(model).graph
    shapes = [tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in [*full.value_info, *full.output]]
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image.numpy()})[0], shapes
