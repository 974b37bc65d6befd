from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
POLICY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", POLICY)
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;]+)([^\\\n]*(?:\\\n[^\\\n]*)*)", re.MULTILINE)
LOCKS = ("requirements.lock", "requirements-dev.lock")
BUILDING = {"hatchling", "editables", "trove-classifiers", "setuptools"}  # pip freeze names none of them


def pins(name: str) -> dict[str, tuple[str, str]]:
    """Package to version and what stands behind it, in a file of pins."""
    found = PIN.findall((ROOT / name).read_text(encoding="utf-8"))
    return {re.sub(r"[-_.]+", "-", package).lower(): (version, rest) for package, version, rest in found}


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_every_test_that_the_policy_names_is_there(file: str, test: str) -> None:
    body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    assert test in {node.name for node in body if isinstance(node, ast.FunctionDef)}


def test_the_policy_names_a_test_for_most_threats() -> None:
    rows = [line for line in POLICY.splitlines() if line.startswith("| ") and "tests/" in line]
    assert sum("::" in row for row in rows) >= 10
    assert sum("::" in row for row in rows) > len(rows) / 2


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_with_hashes_is_the_tested_version(lock: str) -> None:
    tested = pins("constraints.txt")
    for package, (version, rest) in pins(lock).items():
        assert re.findall(r"--hash=sha256:[0-9a-f]{64}", rest), f"{package} has no hash"
        assert package in BUILDING or tested[package][0] == version, f"{package}: make {lock} again"


def test_everything_that_was_tested_has_its_hashes() -> None:
    assert pins("constraints.txt").keys() - pins("requirements-dev.lock").keys() <= {"atheris"}


@pytest.mark.parametrize("lock", LOCKS)
def test_pins_name_no_place_to_fetch_from(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.search(r"://|--index|--find-links|--extra-index|/opt/|/home/", text)
