"""The flags that more than one command has: each has one name, one meaning and one owner, which is the table here."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.defaults import DEFAULT_CONF, DEFAULT_IOU, ENGINES

if TYPE_CHECKING:
    from detector.engines import Engine

__all__ = ["add_engine_flags", "add_flags", "engine_from", "fraction", "name_and_class", "positive", "seconds", "whole"]


def fraction(text: str) -> float:
    """A flag's value from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def positive(text: str) -> int:
    """A flag's value from 1 up."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def whole(text: str) -> int:
    """A flag's value from 0 up."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return value


def seconds(text: str) -> float:
    """A flag's value from 0 up, in seconds; ``inf`` is no end."""
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"{text} is not 0 or more")
    return value


def name_and_class(text: str) -> tuple[str, str]:
    """A flag's value of the form NAME=CLASS."""
    name, separator, target = text.rpartition("=")
    if not (name and separator and target):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=CLASS")
    return name, target


def _network(text: str) -> Path:
    """The value of ``--weights``."""
    from detector.engines.weights import named  # here: it loads onnxruntime, which the converters do without

    return named(text)


_FLAGS: dict[str, dict[str, Any]] = {
    # pictures and networks
    "--source": {
        "action": "append",
        "metavar": "WHAT",
        "help": "image, folder, 'pattern*.jpg', video, webcam number, http(s) or rtsp stream, - for an image on stdin; "
        "repeatable (default: 0)",
    },
    "--engine": {"choices": ENGINES, "default": ENGINES[0], "help": "one network, or a finder and a classifier"},
    "--weights": {
        "type": _network,
        "metavar": "FILE",
        "help": "ONNX file, or one that is shipped: nano, or pico, which takes a fifth of the time "
        "(default: nano; two-step: the classifier, mask_classifier.onnx)",
    },
    "--faces": {
        "default": "ssd",
        "metavar": "FINDER",
        "help": "what finds faces in two-step: ssd, ssd=FILE, res10=FILE (OpenCV's, .onnx or .caffemodel) or haar",
    },
    "--conf": {  # None where nobody gave it: the engine knows what its network's file names
        "type": fraction,
        "help": f"show faces that are at least this sure, 0 to 1 (default: what the weights name, or {DEFAULT_CONF})",
    },
    "--iou": {
        "type": fraction,
        "help": "two boxes that overlap more than this are one face "
        f"(default: {DEFAULT_IOU['single-stage']}; two-step: {DEFAULT_IOU['two-step']})",
    },
    "--imgsz": {"type": positive, "help": "longest side in the network, px (default: as trained)"},
    "--device": {"default": "auto", "help": "auto, cpu, cuda, cuda:1, directml, coreml or openvino"},
    "--threads": {"type": positive, "help": "the network's CPU threads (default: the cores that it may use)"},
    # labels
    "--annotations": {
        "names": ("--annotations", "-a"),
        "type": Path,
        "action": "append",
        "metavar": "FOLDER",
        "help": "LabelImg XML; repeatable (default: data/annotations)",
    },
    "--images": {
        "names": ("--images", "-i"),
        "type": Path,
        "action": "append",
        "metavar": "FOLDER",
        "help": "the images of these; repeatable (default: data/images)",
    },
    "--data": {"type": Path, "metavar": "YAML", "help": "instead of all these: the data.yaml of a YOLO folder"},
    "--split": {
        "type": Path,
        "metavar": "CSV",
        "help": "which image is in which part (columns image, split, optionally set)",
    },
    "--part": {"default": "val", "help": "with --split or --data: the part to use"},
    "--map": {
        "type": name_and_class,
        "action": "append",
        "default": [],
        "metavar": "NAME=CLASS",
        "help": "what one of your class names means: with_mask, without_mask, ignore (may be a face: nothing "
        "is learnt there) or background (is none); repeatable",
    },
    "--corrections": {"type": Path, "metavar": "CSV", "help": "corrections to the labels"},
    "--ignore": {
        "type": Path,
        "metavar": "CSV",
        "help": "faces that nobody labelled, to be left out (columns image, xmin, ymin, xmax, ymax, optionally set)",
    },
    "--min-side": {"type": positive, "metavar": "PX", "help": "faces whose shorter side is under this are left out"},
    "--seed": {"type": whole, "default": 0, "help": "another number: other random choices"},
    # training
    "--trust": {"action": "store_true", "help": "let a checkpoint (.pt) run the code in it: only of makers you trust"},
    "--epochs": {"type": positive, "help": "times that every image is seen"},
    "--batch": {"type": positive, "help": "images per step"},
    "--resume": {"type": Path, "metavar": "RUN", "help": "go on with an interrupted run"},
    "--name": {"default": "train", "help": "name of the run; taken names get a number"},
    "--runs": {"type": Path, "default": Path("runs"), "metavar": "FOLDER", "help": "folder of all runs"},
    "--install": {"action": "store_true", "help": "also make the result the default network, in weights/"},
    # results
    "--save": {"type": Path, "metavar": "FOLDER", "help": "write annotated images, or an annotated video, here"},
    "--json": {"metavar": "FILE", "help": "write the results as JSON (- for stdout)"},
    "--csv": {"metavar": "FILE", "help": "write CSV, one row per face (- for stdout)"},
    "--track": {"action": "store_true", "help": "follow people: one number and one steady verdict each"},
    "--out": {"names": ("--out", "-o"), "type": Path, "metavar": "FOLDER", "help": "a folder that is not there yet"},
    "--report": {"type": Path, "metavar": "FILE", "help": "write what was found, or done, as JSON"},
    "--overwrite": {"action": "store_true", "help": "replace files that are there already"},
    "--dry-run": {"action": "store_true", "help": "say what would be done, and write nothing"},
}


def add_flags(group: argparse._ActionsContainer, *names: str, **changes: Any) -> None:
    """Add shared flags, such as ``"--conf"``, to a parser or a group of it.

    Args:
        group: where they stand in the help.
        names: of the flags.
        changes: arguments of ``add_argument`` that are different in this command: a default, or a help that says more.
    """
    for name in names:
        settings = {**_FLAGS[name], **changes}
        group.add_argument(*settings.pop("names", (name,)), **settings)


def add_engine_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of every command that runs a network; :func:`engine_from` loads what they name."""
    group = parser.add_argument_group("network")
    add_flags(group, "--engine", "--weights", "--faces", "--conf", "--iou", "--imgsz", "--device", "--threads")


def engine_from(args: argparse.Namespace, **changes: Any) -> Engine:
    """The engine that the flags of :func:`add_engine_flags` name.

    Args:
        args: the flags.
        changes: arguments of :func:`detector.engines.load_engine` that are different from them, or more.

    Raises:
        ModelError: a network is missing or of another kind.
        ProviderError: the device cannot be had.
    """
    from detector.engines import load_engine  # here, as above

    names = ("weights", "faces", "conf", "iou", "imgsz", "device", "threads")
    return load_engine(args.engine, **{**{name: getattr(args, name) for name in names}, **changes})
