"""From labels to a verified ONNX file. The only part of the package that needs torch: import its modules late."""

from importlib.util import find_spec

from detector.errors import MissingExtraError

__all__ = ["require_packages"]


def require_packages() -> None:
    """Say how to install what a training or an export needs, before modules are imported that import it.

    Raises:
        MissingExtraError: the extra ``train`` is not installed.
    """
    for package in ("torch", "torchvision", "ultralytics", "onnx", "onnxslim"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "train")
