"""``python -m detector.compare`` with other people's networks in the table too. See --help."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence

from detector import _cli
from detector.compare import build_parser, run
from detector.evaluation.contenders import Contender
from peers import PEERS, peer, peer_contender

EXAMPLES = """\
  python tools/compare_peers.py --data my_yolo_folder/data.yaml --peer rfb=rfb_ssd_640.onnx --out report.html
  python tools/compare_peers.py --peer rfb=rfb_ssd_640.onnx --peer aizoo=aizoo_ssd_260.onnx

Everything else is as in python -m detector.compare. Further networks: write an adapter into tools/peers.py."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = build_parser("tools/compare_peers.py", EXAMPLES)
    parser.add_argument(
        "--peer", type=peer, action="append", default=[], metavar="KIND=FILE",
        help=f"another's network: {' or '.join(PEERS)} and its ONNX file; repeatable",
    )  # fmt: skip
    return _cli.run_command(parser, _command, argv)


def _command(args: argparse.Namespace) -> int:
    def others(_: contextlib.ExitStack) -> list[Contender]:
        return [peer_contender(named, args) for named in args.peer]

    return run(args, others)


if __name__ == "__main__":
    sys.exit(main())
