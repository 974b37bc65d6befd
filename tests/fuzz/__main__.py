"""Try one door with bytes that grow stranger as they find new code: ``python -m tests.fuzz TARGET --seconds 600``.

Wants atheris (pip install atheris), which is not in the extra dev: it has no wheels for Windows and arm, nor for the
newest Python. An input that fails is written to the folder of --out; it belongs into tests/test_any_bytes.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["detector.data", "detector.engines", "detector.media", "detector.web", "yaml"]
):
    from tests.fuzz import targets

from detector.errors import DetectorError


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=targets.TARGETS)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="inputs that fail, and those worth keeping")
    args = parser.parse_args()
    corpus = args.out / args.target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(targets.seeds(args.target)):
        (corpus / f"seed{number}").write_bytes(seed)
    attempt = targets.TARGETS[args.target]

    def once(data: bytes) -> None:
        try:
            attempt(data)
        except DetectorError as error:
            if not str(error).isprintable():
                raise AssertionError("the message is not one line") from error

    limits = ["-timeout=300", "-rss_limit_mb=4096", f"-max_total_time={args.seconds}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={args.out}/{args.target}-", str(corpus)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
