"""From a checkpoint to an ONNX file that is checked against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import detector
from detector.detections import CLASSES
from detector.engines.metadata import MAX_SIDE
from detector.engines.session import OnnxSession
from detector.errors import ModelError, OutputError
from detector.files import write_file
from detector.staging import temporary_folder
from detector.training.checkpoint import LICENSE, load, now, packed
from detector.training.parity import Parity, compare
from detector.training.single_stage.ultralytics_env import ultralytics_env

__all__ = ["Exported", "Head", "export", "install"]

Head = Literal["raw", "end2end"]

OPSET = 17
"""Read by every onnxruntime since 1.13 and by all its providers; from 19 on its CUDA kernels lack Resize."""


@dataclass(frozen=True)
class Exported:
    """A verified ONNX file.

    Args:
        path: the file.
        imgsz: the size that it says it was trained at, px.
        head: raw boxes for non-maximum suppression outside, or end-to-end.
        parity: how far it was from the checkpoint.
    """

    path: Path
    imgsz: int
    head: Head
    parity: Parity


def export(
    checkpoint: Path,
    out: Path,
    *,
    imgsz: int | None = None,
    head: Head = "raw",
    data_note: str = "",
    images: Sequence[Path] = (),
    trust: bool = False,
) -> Exported:
    """Export a checkpoint with free height, width and batch, and compare both on real images.

    The file appears at ``out`` only if each candidate of the checkpoint has its twin there.

    Args:
        checkpoint: a .pt of ultralytics with our two classes.
        out: the .onnx to write; an older one is replaced.
        imgsz: size that the file recommends, px; the size of the training by default.
        head: ``raw`` for suppression outside the network, ``end2end`` for the head that needs none (yolo26).
        data_note: what the network was trained on, for the metadata.
        images: to compare on; those that ultralytics brings along by default.
        trust: the checkpoint may run code, see :func:`~.ultralytics_env`.

    Raises:
        ModelError: the checkpoint is missing, damaged, not trusted, or has other classes or no such head; or the
            networks differ.
        OutputError: ``out`` cannot be written.
        MissingExtraError: the extra ``train`` is not installed.
    """
    if out.suffix != ".onnx":
        raise OutputError(f"--out {out}: must end in .onnx")
    with ultralytics_env(trust=trust), temporary_folder() as folder:
        network, content = load(checkpoint)
        if head == "end2end" and getattr(network.model[-1], "one2one_cv2", None) is None:
            raise ModelError(f"{checkpoint}: has no end-to-end head: export it with --head raw")
        imgsz = imgsz or _trained_size(checkpoint, content)
        part = folder / "network.pt"
        part.write_bytes(packed(network, content, data_note))  # ultralytics exports beside the checkpoint
        made = _export_with_ultralytics(part, imgsz, head)
        _finish(made, data_note or str(content.get("data_note", "")))
        network.end2end = head == "end2end"
        with OnnxSession(made, device="cpu") as session:
            if session.metadata.names != CLASSES or session.metadata.end2end != network.end2end:
                raise ModelError(f"{checkpoint}: the exported file says {session.metadata}: report this as a bug")
            parity = compare(network, session, imgsz, images or _bundled_images())
        write_file(out, made.read_bytes(), replace=True)
    return Exported(out, imgsz, head, parity)


def install(files: Sequence[Path], folder: Path) -> list[Path]:
    """Put verified networks where the commands look for them; a file that was there is kept as ``<name>.bak``.

    Returns:
        The installed files.

    Raises:
        OutputError: the folder cannot be written.
    """
    installed = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in files:
            target = folder / source.name
            if target.exists():
                write_file(target.with_name(f"{target.name}.bak"), target.read_bytes(), replace=True)
            write_file(target, source.read_bytes(), replace=True)
            installed.append(target)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}): check its permissions") from error
    return installed


def _trained_size(checkpoint: Path, content: dict[str, Any]) -> int:
    size = content["train_args"].get("imgsz", 640)
    sides = size if isinstance(size, list | tuple) else [size]
    if not sides or not all(type(side) is int and 1 <= side <= MAX_SIDE for side in sides):
        raise ModelError(f"{checkpoint}: says it was trained at {str(size)[:60]} px: give the size with --imgsz")
    return int(max(sides))


def _export_with_ultralytics(checkpoint: Path, imgsz: int, head: Head) -> Path:
    from ultralytics import YOLO

    try:
        made = YOLO(checkpoint, task="detect").export(
            format="onnx",
            imgsz=imgsz,
            dynamic=True,
            simplify=True,
            opset=OPSET,
            # For a yolo26 None is the raw one-to-many head, False the end-to-end one; others have only the raw one.
            nms=False if head == "end2end" else None,
            device="cpu",
        )
    except Exception as error:  # a checkpoint of a stranger's may hold a network of any shape
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(
            f"ultralytics could not export the network ({reason}): try the version in constraints.txt"
        ) from error
    return Path(made)


def _finish(path: Path, data_note: str) -> None:
    """Metadata: keep what ultralytics needs to run the file; replace what it says about origin and licence."""
    import onnx

    from detector.training import graph

    model = onnx.load(path)
    entries = {entry.key: entry.value for entry in model.metadata_props}
    entries |= {
        "description": "Finds faces and says who wears a mask",
        "author": "mask-detector",
        "date": now(),
        "license": LICENSE,
        "detector": detector.__version__,
        "data": data_note,
        "docs": "https://github.com/mask-detector/mask-detector",
    }
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, entries)
    model.doc_string = ""
    graph.divide_split_convolutions(model.graph)
    if entries["end2end"] == "True":
        graph.free_top_k(model.graph)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _bundled_images() -> list[Path]:
    """Two street and sports photographs with faces, part of the ultralytics package."""
    from ultralytics.utils import ASSETS

    return [Path(ASSETS) / "bus.jpg", Path(ASSETS) / "zidane.jpg"]
