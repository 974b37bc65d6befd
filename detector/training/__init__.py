"""From labels to a verified ONNX file. The only part of the package that needs torch: import its modules late."""

from detector.errors import require_extra

__all__ = ["require_packages"]


def require_packages() -> None:
    """Say how to install what a training or an export needs, before modules are imported that import it.

    Raises:
        MissingExtraError: the extra ``train`` is not installed.
    """
    require_extra("train", "torch", "torchvision", "ultralytics", "onnx", "onnxslim", "imagehash")
