"""The one door, ``mask-detector COMMAND``, and what an import of the package costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import detector
from detector.__main__ import COMMANDS, main

ROOT = Path(__file__).resolve().parents[1]


def commands_in_the_package() -> set[str]:
    """The modules beside the door that have a function ``main(argv)``."""
    return {
        path.stem
        for path in (ROOT / "detector").glob("*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == "main" and node.args.args
    } - {"__main__"}


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_every_command_is_listed_and_every_listed_command_is_there() -> None:
    assert set(COMMANDS) == commands_in_the_package()


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_the_door_lists_each_command_with_its_purpose(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert dict(lines) == COMMANDS


def test_the_list_comes_without_loading_anything_heavy() -> None:
    code = "import sys; from detector.__main__ import main; main(['--help']); print(sorted(sys.modules))"
    assert not {"numpy", "cv2", "onnxruntime", "argparse"} & set(ast.literal_eval(run_python(code).splitlines()[-1]))


def test_the_door_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mask-detector {detector.__version__}\n"


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("trian", "did you mean train?"),
        ("nonsens", "mask-detector --help lists them"),
        ("frobnicate", "mask-detector --help lists them"),
    ],
)
def test_an_unknown_command_is_one_line_and_exit_code_2(
    word: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word, "--source", "0"]) == 2
    assert capsys.readouterr().err == f"error: {word}: no such command: {remedy}\n"


def test_a_command_gets_its_own_flags_and_its_exit_code_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--source", "nowhere.jpg"]) == 2
    assert "nowhere.jpg" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_names_itself_and_shows_examples_of_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        import_module(f"detector.{name}").main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: mask-detector {name} ")
    assert f"  mask-detector {name}" in said.partition("examples:")[2]


def test_importing_the_package_loads_nothing_of_it_and_no_library() -> None:
    code = "import sys; import detector; print([name for name in sys.modules])"
    loaded = ast.literal_eval(run_python(code))
    assert [name for name in loaded if name.startswith("detector")] == ["detector"]
    assert not {"numpy", "cv2", "onnxruntime", "argparse"} & set(loaded)


def test_two_lines_of_python_find_the_faces_of_a_picture() -> None:
    code = """
from pathlib import Path
from detector import load_engine
from detector.media import images
with load_engine() as engine:
    print(engine(images.read(Path("data/images/collins_bare.jpg"))).count("without_mask"))"""
    assert run_python(code) == "1"


@pytest.mark.parametrize("name", detector.__all__)
def test_all_that_the_package_promises_is_there(name: str) -> None:
    assert getattr(detector, name) is not None
