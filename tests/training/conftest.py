from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest


class _Untrained(pytest.Module):
    """A file of tests that is skipped before it is imported."""

    def collect(self) -> list[pytest.Item]:
        pytest.skip("tests that train need the extra train", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    return None if find_spec("torch") else _Untrained.from_parent(parent, path=module_path)
