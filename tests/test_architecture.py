"""The layers: who may import whom, as DESIGN says. Read from the source, so that a late import counts too."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "detector"
COMMANDS = {
    "check",
    "clean",
    "collect",
    "masks",
    "prelabel",
    "convert",
    "crop",
    "unconvert",
    "run",
    "train",
    "export",
    "evaluate",
    "compare",
    "demo",
    "_train_two_step",
    "__main__",
    "__init__",
}
IMAGE_PARTS = ("header", "formats", "limits")
LAYERS = [  # each may import those above it, and its own part
    {"errors", "defaults", "_heap", "boxes"},
    {"staging"},
    {"files"},
    {"detections", "media.images", *(f"media.image_{part}" for part in IMAGE_PARTS)},
    {"media"},
    {"data"},
    {"engines"},
    {"scoring"},
    {"evaluation"},
    {"labelling"},
    {"web"},
    {"training"},
    {"cli", "_cli", "_labels", "_progress"},
    COMMANDS,
]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def layer(name: str) -> int:
    """The layer of ``media.images`` or ``media.sources`` ...; the longest name that is listed counts."""
    parts = name.split(".")
    for length in (2, 1):
        for index, members in enumerate(LAYERS):
            if ".".join(parts[:length]) in members:
                return index
    raise AssertionError(f"{name} is in no layer: put it in one")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    own = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    for name in imported(path):
        if name.startswith("detector."):
            other = name.removeprefix("detector.")
            assert layer(other) <= layer(own), f"{own} imports {other}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_training_knows_torch(path: Path) -> None:
    if "training" not in path.parts:
        roots = {name.partition(".")[0] for name in imported(path)}
        assert not roots & {"torch", "torchvision", "ultralytics"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_images_uses_opencvs_file_codecs(path: Path) -> None:
    if path.name != "images.py":
        calls = {node.attr for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Attribute)}
        assert not calls & {"imread", "imwrite", "imdecode", "imencode"}


def test_files_can_be_read_in_one_sitting() -> None:
    long = {str(path.relative_to(PACKAGE)): len(path.read_text("utf-8").splitlines()) for path in modules()}
    assert {name: lines for name, lines in long.items() if lines > 300} == {}
