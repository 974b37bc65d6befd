"""``mask-detector demo``: the detector as a web page, for this computer or with a link for others."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from detector import cli
from detector._heap import return_memory
from detector.cli.flags import add_engine_flags, engine_from
from detector.defaults import ENGINES
from detector.engines import DEFAULT_WEIGHTS, Engine, load_engine
from detector.errors import ModelError, require_extra

if TYPE_CHECKING:
    import gradio as gr

__all__ = ["build_demo", "main"]

log = logging.getLogger("detector.demo")  # also when it runs as __main__

EXAMPLES = """\
  mask-detector demo                                     on this computer, at http://127.0.0.1:7860
  mask-detector demo --share --auth guest:secret         with a link that works on a phone, for a week
  mask-detector demo --host 0.0.0.0                      for everyone in the same network (no webcam: no https)
  mask-detector demo --allow-host faces.example.org      behind a proxy that serves it under that name
  mask-detector demo --weights runs/mine/mask_detector.onnx"""


def build_demo(engine: Engine, other: Engine | None = None, *, conf: float | None = None, model: str = "") -> gr.Blocks:
    """The page as Gradio blocks: ``build_demo(load_engine()).launch()``, or to be mounted in another application.

    Args:
        engine: what answers first. The demo sets its ``conf``; it stays the caller's to close.
        other: a second engine, for the switch between them and the comparison.
        conf: where the sliders stand at first, 0.1 to 0.99; the engine's own by default.
        model: what the footer calls the network.

    Raises:
        MissingExtraError: gradio is not installed.
    """
    require_extra("demo", "gradio")
    with _no_proxy():
        from detector.web.page import build_page
    return build_page(engine, other, conf=conf, model=model)


@contextmanager
def _no_proxy() -> Iterator[None]:
    """Import gradio within this: it makes a web client at once, which fails on a proxy that it cannot use, as of SOCKS.

    The page needs none, and the link for others finds the proxies as they were.
    """
    before = os.environ.get("no_proxy")
    os.environ["no_proxy"] = "*"
    try:
        yield
    finally:
        del os.environ["no_proxy"]
        if before is not None:
            os.environ["no_proxy"] = before


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``mask-detector demo``."""
    parser = cli.make_parser("demo", "Show the detector as a web page.", EXAMPLES)
    page = parser.add_argument_group("page")
    page.add_argument("--share", action="store_true", help="ask Gradio's free service for a public https link")
    page.add_argument("--auth", type=_user_and_password, metavar="USER:PASS", help="ask visitors for these first")
    page.add_argument("--host", default="127.0.0.1", help="whom to answer; 0.0.0.0 is everyone who can reach you")
    page.add_argument("--port", type=_port, help="default: the first free one from 7860")
    proxy = "serve it under this name too, of a proxy in front; may be repeated, * allows all"
    page.add_argument("--allow-host", action="append", default=[], type=_allowed_name, metavar="NAME", help=proxy)
    add_engine_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return cli.run_command(build_parser(), _command, argv)


def _command(args: argparse.Namespace) -> int:
    require_extra("demo", "gradio")
    return_memory()
    with ExitStack() as stack:
        engine = stack.enter_context(engine_from(args))
        other = _other(args)
        if other is not None:
            stack.enter_context(other)
        _serve(args, stack, engine, other)
    return cli.EXIT_OK


def _serve(args: argparse.Namespace, stack: ExitStack, engine: Engine, other: Engine | None) -> None:
    from detector.web.uploads import own_folder

    stack.enter_context(own_folder())
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it tells of every malformed upload
    with _no_proxy():
        from detector.web.server import serve  # only now: gradio looks for its folder when it is imported

    named = args.weights.name if args.weights else (DEFAULT_WEIGHTS if args.engine == ENGINES[0] else "two-step")
    page = build_demo(engine, other, conf=args.conf, model=named)
    served = stack.enter_context(
        serve(page, host=args.host, port=args.port, auth=args.auth, share=args.share, allow_hosts=args.allow_host)
    )
    print(f"on this computer: {served.local}", flush=True)
    if served.share:
        print(f"for others:       {served.share} (for a week, while this runs)", flush=True)
        if not args.auth:
            print("everyone who has the link can use it: --auth USER:PASS asks for a password", flush=True)
    elif args.share:
        log.warning("no link for others: %s", served.why_not)
        log.warning(
            "check the internet connection and the firewall (api.gradio.app, huggingface.co), or use --host 0.0.0.0 "
            "for everyone in this network"
        )
    print("Ctrl-C ends it", flush=True)
    while True:
        time.sleep(1)


def _other(args: argparse.Namespace) -> Engine | None:
    """The engine that was not asked for, with its shipped weights, where these are there."""
    name = next(name for name in ENGINES if name != args.engine)
    try:
        return load_engine(name, device=args.device, threads=args.threads)
    except ModelError as error:
        log.info("without %s to compare with: %s", name, error)
        return None


def _user_and_password(text: str) -> tuple[str, str]:
    user, separator, password = text.partition(":")
    if not (user and separator and password):
        raise argparse.ArgumentTypeError("it must be USER:PASS, both not empty")
    return user, password


def _allowed_name(text: str) -> str:
    if not re.fullmatch(r"\*|[\w.-]+|\[?[0-9a-fA-F:.]+\]?", text):
        raise argparse.ArgumentTypeError(f"{text} is not a name such as faces.example.org, without https:// and port")
    return text


def _port(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port, 1 to 65535")
    return value


if __name__ == "__main__":
    sys.exit(main())
