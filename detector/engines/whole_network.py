"""A single-stage network with everything around it in the graph: a picture in, faces out, for any onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from detector.boxes import MAX_CANDIDATES, MAX_DETECTIONS
from detector.defaults import DEFAULT_IOU
from detector.detections import CLASSES
from detector.engines.calibration import Calibration
from detector.engines.letterbox import PAD_VALUE
from detector.engines.single_stage import SingleStage
from detector.errors import ModelError, require_extra

__all__ = ["whole_network"]

OPSET = 17  # as mask-detector export and the texts below have it; a later one spells reductions in another way

# Letterbox.fit, InputBuffer.write. Scaled as bytes it would be 1 ms quicker, but onnxruntime rounds bytes down, and
# large faces move by pixels. OpenCV's fixed point cuts off an eighth of a level in the mean: 5 % of values differ.
FRONT = """
<ir_version: 8, opset_import: ["" : 17]>
front (uint8[height, width, 3] image)
  => (float[1, 3, rows, columns] pixels, float[4] offset, float[4] scale, float[4] limit)
<int64[1] zero = {0}, int64[1] two = {2}, double longest = {SIZE}, double one = {1}, double half = {0.5},
 double tenth = {0.1}, int64 side = {SIZE}, int64 stride = {STRIDE}, int64[1] batch = {1}, int64[1] colours = {3},
 int64[2] none = {0, 0}, float grey = {GREY}, float cut_off = {0.125}, int64[2] across = {1, 0}, float[0] region = {},
 float[0] factors = {}>
{
  whole_shape = Shape (image)
  shape = Slice (whole_shape, zero, two)
  exact = Cast <to = 11> (shape)
  ratios = Div (longest, exact)
  ratio = ReduceMin <keepdims = 0> (ratios)
  product = Mul (exact, ratio)
  nearest = Round (product)
  scaled = Max (nearest, one)
  resized = Cast <to = 7> (scaled)
  missing = Sub (side, resized)
  margin = Mod (missing, stride)
  margins = Cast <to = 11> (margin)
  middle = Mul (margins, half)
  upper = Sub (middle, tenth)
  rounded = Round (upper)
  before = Cast <to = 7> (rounded)
  after = Sub (margin, before)
  sizes = Concat <axis = 0> (batch, colours, resized)
  pads = Concat <axis = 0> (none, before, none, after)
  picture = Unsqueeze (image, zero)
  planes = Transpose <perm = [0, 3, 1, 2]> (picture)
  numbers = Cast <to = 1> (planes)
  small = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (numbers, region, factors, sizes)
  darker = Sub (small, cut_off)
  levels = Round (darker)
  pixels = Pad (levels, pads, grey)
  shares = Div (scaled, exact)
  offset_yx = Cast <to = 1> (before)
  offset_xy = Gather (offset_yx, across)
  offset = Concat <axis = 0> (offset_xy, offset_xy)
  scale_yx = Cast <to = 1> (shares)
  scale_xy = Gather (scale_yx, across)
  scale = Concat <axis = 0> (scale_xy, scale_xy)
  limit_yx = Cast <to = 1> (shape)
  limit_xy = Gather (limit_yx, across)
  limit = Concat <axis = 0> (limit_xy, limit_xy)
}
"""

# SingleStage._decode with one class a face: suppression by score, confidence afterwards, the surest first.
BACK = """
<ir_version: 8, opset_import: ["" : 17]>
back (float[1, 6, anchors] head, float[4] offset, float[4] scale, float[4] limit)
  => (float[faces, 4] boxes, float[faces] scores, int64[faces] classes)
<int64[2] parts = {4, 2}, int64[2] pairs = {2, 2}, int64 candidates = {CANDIDATES}, float iou = {IOU},
 float least = {LEAST}, int64 anchor = {2}, int64[1] first = {0}, float[2] low = {LOW}, float[2] high = {HIGH},
 float[2] shift = {SHIFT}, float certain = {1}, float conf = {CONF}, int64[1] most = {MOST},
 int64[2] class_ids = {CLASS_IDS}, float border = {0}, float twice = {2}>
{
  places, opinions = Split <axis = 1> (head, parts)
  centred = Transpose <perm = [0, 2, 1]> (places)
  surest = ReduceMax <axes = [1]> (opinions)
  kept = NonMaxSuppression <center_point_box = 1> (centred, surest, candidates, iou, least)
  index = Gather <axis = 1> (kept, anchor)
  chosen = Gather <axis = 2> (head, index)
  rows = Squeeze (chosen, first)
  place, opinion = Split <axis = 0> (rows, parts)
  channel = ArgMax <axis = 0, keepdims = 0> (opinion)
  score = ReduceMax <axes = [0], keepdims = 0> (opinion)
  confidence = Identity (score)
  sure = Greater (confidence, conf)
  ones = Cast <to = 7> (sure)
  count = ReduceSum <keepdims = 1> (ones)
  shown = Min (count, most)
  scores, order = TopK (confidence, shown)
  of_channel = Gather (channel, order)
  classes = Gather (class_ids, of_channel)
  ordered = Gather <axis = 1> (place, order)
  face = Transpose (ordered)
  centre, size = Split <axis = 1> (face, pairs)
  reach = Div (size, twice)
  start = Sub (centre, reach)
  end = Add (start, size)
  corners = Concat <axis = 1> (start, end)
  moved = Sub (corners, offset)
  grown = Div (moved, scale)
  inner = Max (grown, border)
  boxes = Min (inner, limit)
}
"""

CALIBRATION = """  l = Gather (low, channel)
  h = Gather (high, channel)
  s = Gather (shift, channel)
  for_it = Log (score)
  rest = Sub (certain, score)
  against = Log (rest)
  gain = Mul (l, for_it)
  loss = Mul (h, against)
  difference = Sub (gain, loss)
  logit = Add (difference, s)
  confidence = Sigmoid (logit)
"""


def whole_network(
    network: Path, *, conf: float | None = None, iou: float | None = None, imgsz: int | None = None, rgb: bool = False
) -> bytes:
    """Write a network whose input is a picture and whose outputs are faces.

    Input ``image``: uint8 (height, width, 3) of any size. Outputs, the surest face first, at most 300: ``boxes``
    float32 (N, 4), left, top, right and bottom in px of that picture; ``scores`` float32 (N,), calibrated if the
    network is; ``classes`` int64 (N,), 0 with_mask and 1 without_mask. The faces are those of
    :class:`~detector.engines.single_stage.SingleStage`; of 100 boxes 99 are within 1 px of its own, since scaling
    rounds some values of pixels in another way than OpenCV.

    Args:
        network: a single-stage network with a raw head and free height and width.
        conf: faces that are less sure than this are dropped, 0 to 1; by default what the network's file names.
        iou: of two boxes that overlap more than this, the surer stays.
        imgsz: the picture's longer side in the network, px; the size of its training by default.
        rgb: the picture's channels are red, green, blue; blue, green, red (OpenCV's order) otherwise.

    Returns:
        The .onnx file.

    Raises:
        ModelError: the network is missing or of another kind.
        MissingExtraError: onnx is not installed.
    """
    require_extra("export", "onnx")
    import onnx
    from onnx import compose, parser

    iou = DEFAULT_IOU["single-stage"] if iou is None else iou
    with SingleStage(network, conf=conf, iou=iou, imgsz=imgsz, device="cpu") as engine:
        metadata, entry = engine.session.metadata, engine.session.input
        if metadata.end2end or isinstance(entry.shape[2], int) or engine.session.dtype is not np.float32:
            raise ModelError(
                f"{network}: not a raw head of float32 with free sides: make one with mask-detector export"
            )
        front = _filled(FRONT, SIZE=engine.imgsz, STRIDE=metadata.stride, GREY=PAD_VALUE)
        back = _back(engine.conf, iou, metadata.calibration, [CLASSES.index(name) for name in metadata.names])
        (output,) = engine.session.shapes
    model = onnx.load(network)
    if model.opset_import[0].version != OPSET:
        raise ModelError(f"{network}: its opset is not {OPSET}: export it again with mask-detector export")
    _take_bytes(model.graph, entry.name, network, rgb=rgb)
    model.ir_version = parser.parse_model(front).ir_version
    model = compose.merge_models(parser.parse_model(front), model, [("pixels", entry.name)])
    between = [(name, name) for name in ("offset", "scale", "limit")]
    model = compose.merge_models(model, parser.parse_model(back), [(output, "head"), *between])
    said = {"channels_last": "RGB" if rgb else "BGR", "conf": f"{engine.conf:g}", "iou": f"{iou:g}"}
    onnx.helper.set_model_props(model, metadata.raw | said)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _back(conf: float, iou: float, calibration: Calibration | None, class_ids: list[int]) -> str:
    text, least, weights = BACK, conf, np.ones((2, 3))
    if calibration:
        text = text.replace("  confidence = Identity (score)\n", CALIBRATION)
        least, weights = calibration.least_score(conf), calibration.weights
    low, high, shift = (", ".join(f"{value:.9g}" for value in column) for column in weights.T)
    numbers = {"CANDIDATES": MAX_CANDIDATES, "MOST": MAX_DETECTIONS, "IOU": f"{iou:.9g}", "LEAST": f"{least:.9g}"}
    ids = ", ".join(map(str, class_ids))
    return _filled(text, **numbers, CONF=f"{conf:.9g}", LOW=low, HIGH=high, SHIFT=shift, CLASS_IDS=ids)


def _filled(text: str, **values: Any) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", f"{{{value}}}")
    return text


def _take_bytes(graph: Any, entry: str, source: Path, *, rgb: bool) -> None:
    """Let the first layer do what the engine does to each pixel: divide by 255, and turn BGR to RGB."""
    from onnx import numpy_helper

    layers = [node for node in graph.node if entry in node.input]
    kernels = [each for each in graph.initializer if layers[0].op_type == "Conv" and each.name == layers[0].input[1]]
    if len(layers) != 1 or len(kernels) != 1:
        raise ModelError(f"{source}: does not begin with one convolution: export it again with mask-detector export")
    weights = numpy_helper.to_array(kernels[0]) / np.float32(255)
    kernels[0].CopyFrom(numpy_helper.from_array(weights if rgb else weights[:, ::-1].copy(), kernels[0].name))
