from __future__ import annotations

import socket
from pathlib import Path

import pytest

from detector.errors import TrainingError
from detector.training.start import find_start


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.pt").touch()
    assert find_start(str(tmp_path / "mine.pt"), tmp_path / "downloads") == tmp_path / "mine.pt"


@pytest.mark.usefixtures("offline")
def test_a_published_network_that_was_fetched_before_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "yolo26n.pt").touch()
    assert find_start("yolo26n.pt", tmp_path) == tmp_path / "yolo26n.pt"


@pytest.mark.usefixtures("offline")
def test_offline_a_published_network_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"offline\?\): download it elsewhere, and name the file with --start"):
        find_start("yolo26n.pt", tmp_path)
    assert not list(tmp_path.rglob("*.pt*"))


@pytest.mark.parametrize("name", ["nothing.pt", "weights/yolo26n.pt", "best.onnx"])
def test_what_is_neither_a_file_nor_a_published_network_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(TrainingError, match="no such file"):
        find_start(name, tmp_path)


def test_an_onnx_file_cannot_be_trained_further(tmp_path: Path) -> None:
    (tmp_path / "best.onnx").touch()
    with pytest.raises(TrainingError, match=r"from a checkpoint \(.pt\)"):
        find_start(str(tmp_path / "best.onnx"), tmp_path)
