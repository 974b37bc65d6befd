"""An onnxruntime session whose device was checked and whose metadata has types."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

# onnxruntime's builds report usage to their maker and keep a device number in the user's home. A program that looks at
# people's faces must not do that unasked. It reads this when it is imported; ORT_DISABLE_TELEMETRY=0 allows it again.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

from detector.cores import available_cores
from detector.engines.metadata import MAX_SIDE, ModelMetadata
from detector.errors import ModelError, ProviderError
from detector.files import shell_line

__all__ = ["Closing", "OnnxSession", "on_processor"]

log = logging.getLogger(__name__)

PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
AUTO_ORDER = ("cuda", "directml", "cpu")
"""What ``auto`` tries in turn. CoreML and OpenVINO compile anew for each input shape, so they are by name."""

PACKAGES = {"cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml", "openvino": "onnxruntime-openvino"}
CHECKPOINTS = frozenset({".pt", ".pth"})
FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


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


@dataclass(frozen=True)
class Value:
    """An input or output of a network: its shape holds numbers, names of free axes, and None."""

    name: str
    type: str
    shape: list[int | str | None]


class OnnxSession(Closing):
    """One network in onnxruntime, on the device that was asked for and no other.

    Args:
        model: an .onnx file, its bytes, or a session that the caller made.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``directml``, ``coreml`` or ``openvino``.
        threads: CPU threads; :func:`~detector.cores.available_cores` by default.

    Attributes:
        input: the one that there is.
        shapes: of each output, by name and in the file's order, what the file states.
        dtype: float32 or float16, as the network's input wants.

    Raises:
        ModelError: the file is missing or is no network that this onnxruntime can read.
        ProviderError: the device is unknown, not installed, or failed to start.
    """

    def __init__(
        self, model: str | Path | bytes | ort.InferenceSession, *, device: str = "auto", threads: int | None = None
    ) -> None:
        self.source = "the given network" if isinstance(model, bytes | ort.InferenceSession) else str(model)
        self._session: ort.InferenceSession | None = (
            model if isinstance(model, ort.InferenceSession) else _open(model, self.source, device, _options(threads))
        )
        try:
            inputs, outputs = (
                [Value(value.name, value.type, value.shape) for value in values]
                for values in (self.session.get_inputs(), self.session.get_outputs())
            )
            raw = self.session.get_modelmeta().custom_metadata_map
        except Exception as error:  # text that is no UTF-8, shapes that are none
            raise ModelError(f"{self.source}: damaged ({_first_line(error)}): export it again") from error
        if len(inputs) != 1 or not outputs or not {value.type for value in (*inputs, *outputs)} <= FLOATS.keys():
            raise ModelError(f"{self.source}: does not turn one tensor of floats into others: not a network for images")
        self.input, self.dtype = inputs[0], FLOATS[inputs[0].type]
        self.shapes = {output.name: output.shape for output in outputs}
        if not all(1 <= side <= MAX_SIDE for side in self.input.shape if isinstance(side, int)):
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

    def __call__(self, tensor: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Run on one input, whose first axis is the batch; returns all outputs in the file's order.

        Raises:
            ModelError: it cannot compute this input, or answers with other than a row for each of the batch.
        """
        session = self.session
        try:
            outputs: list[npt.NDArray[Any]] = session.run(list(self.shapes), {self.input.name: tensor})
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


def on_processor(device: str) -> bool:
    """Whether a network on this device, ``auto`` included, runs on the processor's own cores here.

    Raises:
        ProviderError: the device is unknown, or not installed.
    """
    return _providers(device)[0][0] == "cpu"


def _options(threads: int | None) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or available_cores()
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
        raise ModelError(
            f"{source}: no such file: name an .onnx file with --weights, or make one with mask-detector export"
        )
    kinds, settings = _providers(device)
    reason = ""
    for kind in kinds:
        try:
            session = ort.InferenceSession(
                model if isinstance(model, bytes) else str(model),
                options,
                providers=[(PROVIDERS[kind], settings)],
                enable_fallback=False,
            )
        except Exception as error:  # onnxruntime raises a dozen unrelated types
            reason = f" ({_first_line(error)})"
            if kind == "cpu":
                if Path(source).suffix.lower() in CHECKPOINTS:
                    export = shell_line("mask-detector", "export", source)
                    raise ModelError(
                        f"{source}: a checkpoint to train from: make an .onnx file with {export}"
                    ) from error
                raise ModelError(f"{source}: not a network that onnxruntime can read{reason}") from error
            continue
        # onnxruntime falls back to the CPU with no more than a warning, so look at what it really uses.
        if session.get_providers()[0] == PROVIDERS[kind]:
            if len(kinds) > 1:
                log.info("running on %s", PROVIDERS[kind].removesuffix("ExecutionProvider"))
            return session
    raise ProviderError(f"--device {device}: onnxruntime could not start it{reason}: use --device cpu or auto")


def _providers(device: str) -> tuple[list[str], dict[str, str]]:
    """What to try in turn, keys of :data:`PROVIDERS`, and the settings of a single one."""
    kind, _, number = device.lower().partition(":")
    installed = ort.get_available_providers()
    if kind == "auto":
        return [name for name in AUTO_ORDER if PROVIDERS[name] in installed], {}
    if kind not in PROVIDERS or (number and not number.isdecimal()):
        raise ProviderError(f"--device {device} is not known: use auto, {', '.join(PROVIDERS)} (or cuda:1)")
    if PROVIDERS[kind] not in installed:
        raise ProviderError(
            f"--device {device}: this onnxruntime has {', '.join(installed)} only: install "
            f"{PACKAGES.get(kind, 'a build that has it')} or use --device cpu"
        )
    return [kind], {"device_id": number} if number else {}


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
