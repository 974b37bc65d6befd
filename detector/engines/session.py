"""An onnxruntime session whose device was checked and whose metadata has types."""

from __future__ import annotations

import ast
import logging
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

# onnxruntime's builds report usage to their maker and keep a device number in the user's home. A program that looks at
# people's faces must not do that unasked. It reads this when it is imported; ORT_DISABLE_TELEMETRY=0 allows it again.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

from detector.defaults import DEFAULT_CONF
from detector.engines.calibration import Calibration
from detector.errors import ModelError, ProviderError

__all__ = ["DEFAULT_CONF", "MAX_SIDE", "ModelMetadata", "OnnxSession", "available_threads"]

log = logging.getLogger(__name__)

PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
AUTO_ORDER = ("cuda", "directml")
"""What ``auto`` tries before the CPU. CoreML and OpenVINO compile anew for each input shape, so they are by name."""

MAX_SIDE = 8192
"""Px of a network's input: an image of this size takes 0.8 GB there, and its first layer more."""

MAX_ENTRY = 2**16  # characters; 1,200 class names take 25,000
STRIDES = frozenset(str(2**power) for power in range(9))  # of YOLO 8 to 64
FLOATS = frozenset({"tensor(float)", "tensor(float16)"})
_LITERALS = {"names": "{}", "imgsz": "None"}


@dataclass(frozen=True)
class Value:
    """An input or output of a network: its shape holds numbers, names of free axes, and None."""

    name: str
    type: str
    shape: list[int | str | None]


@dataclass(frozen=True)
class ModelMetadata:
    """What the file says about itself.

    Args:
        names: class name of each output channel, in order; empty where the file names none.
        stride: the input's sides are multiples of this, px.
        imgsz: the size the network was trained at, px, or None.
        end2end: whether the head drops double boxes itself.
        conf: faces that are at least this sure are shown, where nobody says otherwise.
        calibration: what makes confidences of the network's scores, or None.
        raw: all entries as they stand in the file.
    """

    names: tuple[str, ...]
    stride: int
    imgsz: int | None
    end2end: bool
    conf: float
    calibration: Calibration | None
    raw: dict[str, str] = field(repr=False)

    @classmethod
    def parse(cls, raw: dict[str, str], source: str) -> ModelMetadata:
        """Read ultralytics' entries (Python literals in strings), and ours.

        Raises:
            ModelError: an entry is there and cannot be understood, or is beyond what a network can mean.
        """
        names, imgsz = (_literal(raw.get(key, default), key, source) for key, default in _LITERALS.items())
        size = max(imgsz) if isinstance(imgsz, list | tuple) and imgsz and set(map(type, imgsz)) == {int} else imgsz
        ordered = list(names.values()) if isinstance(names, dict) and list(names) == list(range(len(names))) else names
        if not isinstance(ordered, list) or not all(isinstance(name, str) for name in ordered):
            raise _damaged(source, "names", raw["names"])
        if size is not None and (type(size) is not int or not 1 <= size <= MAX_SIDE):
            raise _damaged(source, "imgsz", raw["imgsz"])
        stride = raw.get("stride", "32")
        if stride not in STRIDES:
            raise _damaged(source, "stride", stride)
        end2end = raw.get("end2end", "False").lower() == "true"
        return cls(tuple(ordered), int(stride), size, end2end, *_confidence(raw, len(ordered), source), dict(raw))


def _confidence(raw: dict[str, str], classes: int, source: str) -> tuple[float, Calibration | None]:
    key = "conf"
    try:
        if not 0 <= (conf := float(raw.get(key, DEFAULT_CONF))) <= 1:
            raise ValueError
        key = "calibration"
        return conf, Calibration.parse(raw[key], classes) if key in raw else None
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _damaged(source, key, raw[key]) from error


def _literal(text: str, key: str, source: str) -> Any:
    try:
        if len(text) > MAX_ENTRY:
            raise ValueError
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd escapes in what may not be Python at all
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise _damaged(source, key, text) from error


def _damaged(source: str, key: str, text: str) -> ModelError:
    return ModelError(f"{source}: its metadata is damaged ({key} {text}): export it again")


class OnnxSession:
    """One network in onnxruntime, on the device that was asked for and no other.

    Args:
        model: an .onnx file, its bytes, or a session that the caller made.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``directml``, ``coreml`` or ``openvino``.
        threads: CPU threads; the cores this process may use by default.

    Attributes:
        input: the one that there is.
        outputs: the names of the outputs, in the file's order.
        shapes: of each output what the file states.

    Raises:
        ModelError: the file is missing or is no network that this onnxruntime can read.
        ProviderError: the device is unknown, not installed, or failed to start.
    """

    def __init__(
        self, model: str | Path | bytes | ort.InferenceSession, *, device: str = "auto", threads: int | None = None
    ) -> None:
        self.source = "the given network" if isinstance(model, bytes | ort.InferenceSession) else str(model)
        self.threads = threads or available_threads()
        if isinstance(model, ort.InferenceSession):
            self._session: ort.InferenceSession | None = model
        else:
            self._session = _open(model, self.source, device, _options(self.threads))
        self.provider: str = self.session.get_providers()[0]
        try:
            inputs, outputs = (
                [Value(value.name, value.type, value.shape) for value in values]
                for values in (self.session.get_inputs(), self.session.get_outputs())
            )
            raw = self.session.get_modelmeta().custom_metadata_map
        except Exception as error:  # text that is no UTF-8, shapes that are none
            raise ModelError(f"{self.source}: damaged ({_first_line(error)}): export it again") from error
        if len(inputs) != 1 or not outputs or not {value.type for value in (*inputs, *outputs)} <= FLOATS:
            raise ModelError(f"{self.source}: does not turn one tensor of floats into others: not a network for images")
        self.input, self.outputs = inputs[0], tuple(output.name for output in outputs)
        self.shapes = {output.name: output.shape for output in outputs}
        sides = [side for side in self.input.shape if isinstance(side, int)]
        if not all(1 <= side <= MAX_SIDE for side in sides):
            raise ModelError(f"{self.source}: its input is {self.input.shape}: sides go from 1 to {MAX_SIDE}")
        self.metadata = ModelMetadata.parse(raw, self.source)

    @property
    def session(self) -> ort.InferenceSession:
        """The session itself.

        Raises:
            ModelError: it was closed.
        """
        if self._session is None:
            raise ModelError(f"{self.source} was closed: load it again")
        return self._session

    @property
    def dtype(self) -> npt.DTypeLike:
        """float32 or float16, as the network's input wants."""
        return np.float16 if self.input.type == "tensor(float16)" else np.float32

    def __call__(self, tensor: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Run on one input, whose first axis is the batch; returns all outputs in the file's order.

        Raises:
            ModelError: it cannot compute this input, or answers with other than a row for each of the batch.
        """
        session = self.session
        try:
            outputs: list[npt.NDArray[Any]] = session.run(self.outputs, {self.input.name: tensor})
        except Exception as error:  # onnxruntime raises a dozen unrelated types
            raise ModelError(
                f"{self.source}: fails on an input of {tensor.shape} ({_first_line(error)}): "
                "use another --imgsz, or export it again"
            ) from error
        if not all(output.ndim and len(output) == len(tensor) for output in outputs):
            shapes = ", ".join(str(output.shape) for output in outputs)
            raise ModelError(f"{self.source}: answers {shapes} to an input of {tensor.shape}: export it again")
        return outputs

    def expect_answer(self, output: npt.NDArray[Any], *shape: int | None) -> None:
        """Refuse an answer for one image that has not this shape (None: any size): a file may state another.

        Raises:
            ModelError: it has not.
        """
        if len(shape) != output.ndim or any(
            want not in (None, got) for want, got in zip(shape, output.shape, strict=True)
        ):
            raise ModelError(f"{self.source}: answers {output.shape}, not {shape}: export it again")

    def close(self) -> None:
        """Free the network's memory."""
        self._session = None

    def __enter__(self) -> OnnxSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def available_threads() -> int:
    """Cores that this process may use: more threads than free cores make onnxruntime slower, not faster."""
    if hasattr(os, "sched_getaffinity"):
        return max(len(os.sched_getaffinity(0)), 1)
    return os.cpu_count() or 1


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # its warnings are for people who write kernels; errors arrive as exceptions
    # By default its threads spin for tens of ms after a run, waiting for the next. For a camera of 10 frames a second
    # that is half of the processor time (78 ms a frame instead of 39, two threads, our detector), and whatever comes
    # between two runs finds the cores taken: frames in close order are 5 % slower. Within a run threads still spin from
    # layer to layer, which "session.intra_op.allow_spinning" would end too.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _open(model: str | Path | bytes, source: str, device: str, options: ort.SessionOptions) -> ort.InferenceSession:
    if not isinstance(model, bytes) and not Path(model).is_file():
        raise ModelError(f"{source}: no such file: name an .onnx file with --weights, or make one with detector.export")
    names = _wanted(device)
    failure: Exception | None = None
    for name, settings in names:
        chain: list[Any] = [(name, settings)] if settings else [name]
        try:
            session = ort.InferenceSession(
                model if isinstance(model, bytes) else str(model), options, providers=chain, enable_fallback=False
            )
        except Exception as error:  # onnxruntime raises a dozen unrelated types
            failure = error
            if name == PROVIDERS["cpu"]:
                raise ModelError(f"{source}: not a network that onnxruntime can read ({_first_line(error)})") from error
            continue
        # onnxruntime falls back to the CPU with no more than a warning, so look at what it really uses.
        if session.get_providers()[0] == name:
            if len(names) > 1:
                log.info("running on %s", name.removesuffix("ExecutionProvider"))
            return session
        failure = None
    reason = f" ({_first_line(failure)})" if failure else ""
    raise ProviderError(f"--device {device}: onnxruntime could not start it{reason}: use --device cpu or auto")


def _wanted(device: str) -> list[tuple[str, dict[str, str]]]:
    """Providers to try in turn, with their settings."""
    kind, _, number = device.lower().partition(":")
    installed = ort.get_available_providers()
    if kind == "auto":
        found = [PROVIDERS[name] for name in AUTO_ORDER if PROVIDERS[name] in installed]
        return [(name, {}) for name in [*found, PROVIDERS["cpu"]]]
    if kind not in PROVIDERS or (number and not number.isdecimal()):
        raise ProviderError(f"--device {device} is not known: use auto, {', '.join(PROVIDERS)} (or cuda:1)")
    if PROVIDERS[kind] not in installed:
        package = {"cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml", "openvino": "onnxruntime-openvino"}
        raise ProviderError(
            f"--device {device}: this onnxruntime has {', '.join(installed)} only: install "
            f"{package.get(kind, 'a build that has it')} or use --device cpu"
        )
    return [(PROVIDERS[kind], {"device_id": number} if number else {})]


def _first_line(error: Exception | None) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
