"""Makers of small networks, see ``networks.py``, that write into the test's own folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from . import networks

MakeNetwork = Callable[..., Path]


@pytest.fixture
def make_network(tmp_path: Path) -> MakeNetwork:
    return partial(networks.make_network, tmp_path)


@pytest.fixture
def make_ssd(tmp_path: Path) -> MakeNetwork:
    return partial(networks.make_ssd, tmp_path)


@pytest.fixture
def make_classifier(tmp_path: Path) -> MakeNetwork:
    return partial(networks.make_classifier, tmp_path)


@pytest.fixture
def make_res10(tmp_path: Path) -> MakeNetwork:
    return partial(networks.make_res10, tmp_path)
