"""The layers: who may import whom, as DESIGN says. Read from the source, so that a late import counts too."""

from __future__ import annotations

import ast
from collections import Counter
from graphlib import TopologicalSorter
from itertools import chain
from pathlib import Path

import pytest

from detector.__main__ import COMMANDS
from detector.cli.flags import _FLAGS

PACKAGE = Path(__file__).resolve().parents[1] / "detector"
IMAGE_PARTS = ("header", "formats", "limits")
LAYERS = [  # each may import those above it, and its own part
    {"errors", "defaults", "cores", "_heap", "boxes"},
    {"staging"},
    {"files"},
    {"detections", "media.images", *(f"media.image_{part}" for part in IMAGE_PARTS)},
    {"media"},
    {"data"},
    {"engines"},
    {"tracking"},
    {"scoring"},
    {"evaluation"},
    {"labelling"},
    {"archiving"},
    {"web"},
    {"training"},
    {"cli"},
    {*COMMANDS, "__main__", "__init__"},
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
    return names_in(ast.parse(path.read_text(encoding="utf-8")))


def names_in(*trees: ast.AST) -> set[str]:
    """The modules that these parts of a module import, and the names from them."""
    names: set[str] = set()
    for node in chain(*map(ast.walk, trees)):
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


def test_no_module_imports_itself_by_way_of_others() -> None:
    names = {".".join(("detector", *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in modules()}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    needs = {}
    for name, path in names.items():
        tops = [node for node in ast.parse(path.read_text("utf-8")).body if not isinstance(node, ast.FunctionDef)]
        found = {other for other in names_in(*tops) if other in names}
        # "from detector.data import voc" needs detector.data.voc, and not what the package has beside it.
        needs[name] = {one for one in found if not any(other.startswith(f"{one}.") for other in found)} - {name}
    assert len(list(TopologicalSorter(needs).static_order())) == len(names)  # or CycleError names the circle


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


def test_a_modules_name_is_its_own() -> None:
    names = Counter(path.stem for path in modules() if path.name != "__init__.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_no_eight_lines_stand_in_two_places() -> None:
    runs: dict[tuple[str, ...], list[str]] = {}
    for path in [*modules(), *sorted((PACKAGE.parent / "tools").rglob("*.py"))]:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
        written = [(number, line) for number, line in enumerate(lines, 1) if line]
        for start in range(len(written) - 7):
            run = tuple(line for _, line in written[start : start + 8])
            runs.setdefault(run, []).append(f"{path.name}:{written[start][0]}")
    assert [places for places in runs.values() if len(places) > 1] == []


def test_a_shared_flag_is_added_from_the_one_table_only() -> None:
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
                own = {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
                assert not own & set(_FLAGS), f"{path.name}: use add_flags"
