"""What hostile image files cost, measured in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from detector.errors import SourceError
from detector.media import images
from detector.media.image_header import read_header
from detector.media.sources import open_source
from tests.media.bombs import ALLOWED, REFUSED, SMALL
from tests.media.makers import encoded

MAX_PIXELS = 12_000_000
ALLOWED_MB = 170  # 12 bytes for each pixel are 144; the rest is the process's own
REFUSED_MB = 20

PROGRAM = """
import json, sys
from pathlib import Path
from detector.errors import SourceError
from detector.media import images

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024

images.decode(Path(sys.argv[1]).read_bytes(), "small")  # what OpenCV loads once
for path in sorted(Path(sys.argv[2]).iterdir()):
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is taken now
    before, said = peak(), ""
    try:
        images.decode(path.read_bytes(), "bomb", max_pixels=int(sys.argv[3]))
    except SourceError as error:
        said = str(error)
    print(json.dumps([path.name, peak() - before, said]), flush=True)
"""


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, str]]:
    """By the bomb's name: MB at the peak, and what was said."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux says how much memory a process had at most")
    folder = tmp_path_factory.mktemp("bombs")
    (folder / "all").mkdir()
    small = folder / "small.png"
    small.write_bytes(encoded(".png", SMALL))
    names = [*REFUSED, *ALLOWED]
    for index, make in enumerate([*REFUSED.values(), *ALLOWED.values()]):
        (folder / "all" / f"{index:03}").write_bytes(make())
    command = [sys.executable, "-c", PROGRAM, str(small), str(folder / "all"), str(MAX_PIXELS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {names[int(name)]: (peak, said) for name, peak, said in lines}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bomb_is_refused_in_one_line_and_costs_nothing(costs: dict[str, tuple[float, str]], name: str) -> None:
    peak, said = costs[name]
    assert said.startswith("bomb: ")
    assert said.count("\n") == 0
    assert ": " in said.removeprefix("bomb: ")  # what is wrong, and what to do
    assert peak < REFUSED_MB


@pytest.mark.parametrize("name", ALLOWED)
def test_the_largest_pictures_that_are_allowed_stay_within_their_memory(
    costs: dict[str, tuple[float, str]], name: str
) -> None:
    peak, said = costs[name]
    assert "too much memory" not in said
    assert peak < ALLOWED_MB


@pytest.mark.parametrize("name", REFUSED)
def test_a_bomb_is_refused_with_the_limits_of_the_library_too(name: str) -> None:
    with pytest.raises(SourceError, match=r"^bomb: "):
        images.decode(REFUSED[name](), "bomb")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".gif", ".tiff", ".bmp", ".ppm", ".pgm", ".jp2"])
def test_the_size_of_every_format_is_known_before_it_is_decoded(tmp_path: Path, suffix: str) -> None:
    data = encoded(suffix, SMALL[:40] if suffix != ".pgm" else SMALL[:40, :, 0])
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    with path.open("rb") as file:
        header = read_header(file)
    assert (header.size, header.fault, header.complete) == ((64, 40), "", True)
    assert header.memory >= 64 * 40 * 3
    with pytest.raises(SourceError, match="64x40 pixels cannot be read: scale it to at most 2000 pixels"):
        images.decode(data, "a", max_pixels=2000)
    with open_source(path) as source:
        assert [frame.image.shape for frame in source] == [(40, 64, 3)]
