"""From a checkpoint of any of the three networks to an ONNX file that is checked against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from detector.engines.session import OnnxSession
from detector.errors import OutputError
from detector.files import make_folder, write_file
from detector.training.checkpoint import FACE_FINDER, read_two_step
from detector.training.parity import Parity, compare
from detector.training.single_stage.ultralytics_env import ultralytics_env
from detector.training.single_stage.yolo_export import draft_detector
from detector.training.two_step.two_step_export import draft_classifier, draft_face_finder

__all__ = ["Exported", "export", "install"]


@dataclass(frozen=True)
class Exported:
    """A verified ONNX file.

    Args:
        network: its usual name, see :mod:`detector.engines.weights`.
        path: the file.
        about: its head, or its backbone, and its size.
        parity: how far it was from the checkpoint.
    """

    network: str
    path: Path
    about: str
    parity: Parity

    def __str__(self) -> str:
        return f"{self.path}: {self.about}; {self.parity}"


def export(
    checkpoint: Path,
    out: Path,
    *,
    imgsz: int | None = None,
    head: Literal["raw", "end2end"] = "raw",
    data_note: str = "",
    images: Sequence[Path] = (),
    trust: bool = False,
) -> Exported:
    """Export a checkpoint with a free batch and, but for the classifier, free height and width.

    The file appears at ``out`` only if it says what the checkpoint says, on real images.

    Args:
        checkpoint: a .pt of a training here, or of ultralytics with our two classes.
        out: the .onnx to write; an older one is replaced.
        imgsz: size that the file recommends, px; the size of the training by default, and always of the classifier.
        head: of the single-stage network: ``raw`` for suppression outside it, ``end2end`` for the head that needs none.
        data_note: what the network was trained on, for the metadata.
        images: to compare on; those that ultralytics brings along by default.
        trust: the checkpoint may run code, see :func:`~.ultralytics_env`.

    Raises:
        ModelError: the checkpoint is missing, damaged, not trusted, or has other classes or no such head; or the
            networks differ.
        OutputError: ``out`` cannot be written.
    """
    if out.suffix != ".onnx":
        raise OutputError(f"--out {out}: must end in .onnx")
    with ultralytics_env(trust=trust):
        from ultralytics.utils import ASSETS  # two photographs with faces

        pictures = images or [Path(ASSETS) / "bus.jpg", Path(ASSETS) / "zidane.jpg"]
        content = read_two_step(checkpoint)
        if content is None:
            draft = draft_detector(checkpoint, pictures, imgsz=imgsz, head=head, data_note=data_note)
        elif content["kind"] == FACE_FINDER:
            draft = draft_face_finder(content, pictures, imgsz=imgsz, data_note=data_note)
        else:
            draft = draft_classifier(content, pictures, data_note=data_note)
        data = draft.file()
        with OnnxSession(data, device="cpu") as session:
            parity = compare(draft.network, session, draft.inputs, draft.difference)
    write_file(out, data, replace=True)
    return Exported(draft.network_name, out, draft.about, parity)


def install(files: Sequence[Path], folder: Path) -> list[Path]:
    """Put verified networks where the commands look for them; a file that was there is kept as ``<name>.bak``.

    Returns:
        The installed files.

    Raises:
        OutputError: the folder cannot be written.
    """
    make_folder(folder)
    for source in files:
        target = folder / source.name
        if target.exists():
            write_file(target.with_name(f"{target.name}.bak"), target.read_bytes(), replace=True)
        write_file(target, source.read_bytes(), replace=True)
    return [folder / source.name for source in files]
