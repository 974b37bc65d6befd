"""Find the faces of an archive: millions of images, on one computer or on a cluster. See --help."""

from __future__ import annotations

import argparse
import logging
import os
import pickle
import signal
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import detector
from detector import cli
from detector.archiving.listing import SHARD, Shard, fixed_part, list_archive, shards_of
from detector.archiving.results import counts_of, done_in, read_manifest, write_manifest
from detector.archiving.stores import Store
from detector.archiving.worker import COPIES, Settings, Worker, digests
from detector.cli.flags import add_engine_flags, add_flags, engine_from, positive
from detector.cores import available_cores
from detector.engines.weights import SHIPPED, default_weights
from detector.errors import DetectorError, OutputError, SourceError, require_extra
from detector.files import alone

__all__ = ["main", "work_through"]

log = logging.getLogger("detector.archive")

COUNTED = (("images", "image"), ("faces", "face"), ("unreadable", "image"))
CONNECT_S = 10.0
LINE_S = 10.0  # how often a line says how far it is

EXAMPLES = """\
  mask-detector archive --source photos/ --out found        all images of a folder and those below it
  mask-detector archive --source list.csv --out found       the paths in the column "path"
  mask-detector archive --source s3://bucket/2025 --out s3://bucket/found --address auto
  python -c "import pandas; print(pandas.read_parquet('found/rows'))"

The same command again goes on where it was stopped, and works on what is new. Images that cannot be read have a row
with the reason. found/manifest.json says what was done, and by which network.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, 1 where images could not be read."""
    return cli.run_command(_build_parser(), _command, argv)


def _build_parser() -> argparse.ArgumentParser:
    parser = cli.make_parser("archive", "Find the faces of millions of images, on one computer or a cluster.", EXAMPLES)
    add_flags(
        parser,
        "--source",
        required=True,
        metavar="WHERE",
        help="folder, 'pattern*.jpg', list of paths (.txt, .csv, .parquet) or Parquet files that hold the images' "
        "bytes; also at s3://, gs:// or hdfs://; repeatable",
    )
    add_flags(parser, "--out", type=str, required=True, metavar="WHERE", help="folder for the results, there or here")
    parser.add_argument("--rows", choices=("image", "face"), default="image", help="a row for each image, or each face")
    for name, what in zip(COPIES, ("annotated copies", "LabelImg XML", "copies with blurred faces"), strict=True):
        parser.add_argument(f"--{name}", action="store_true", help=f"write {what} too, into this folder of --out")
    parser.add_argument("--shard", type=positive, default=SHARD, help="images whose rows are written in one file")
    parser.add_argument(
        "--address",
        metavar="RAY",
        help="join a Ray cluster: auto or HOST:6379",
    )
    add_engine_flags(parser)
    return parser


def _command(args: argparse.Namespace) -> int:
    require_extra("archive", "ray", "pyarrow")
    out = Store.at(args.out)
    sources = [Store.at(source) for source in args.source]
    for source in sources:
        if f"{out.key}/".startswith(f"{source.key}/") and out.root == source.root:
            raise OutputError(f"{args.out}: is within the archive {source.name}: choose another --out")
    with alone(Path(out.key)) if out.is_local else nullcontext():
        settings = _settings(args, out)
        if out.is_local:  # elsewhere a second run may be at work
            out.sweep()
        items = [item for source in args.source for item in list_archive(source)]
        done = done_in(out)
        left = [item for item in dict.fromkeys(items) if item.path not in done]
        shards = list(shards_of(left, args.shard))
        print(f"{len(items)} images, {len(items) - len(left)} of them done before")
        if shards:
            with _ray(args.address, args.threads) as workers:
                _report(work_through(shards, settings, workers), len(left))
        counts = counts_of(out)
        write_manifest(out, _made(settings), counts)
    images, faces, lost = (cli.some(counts[name], what) for name, what in COUNTED)
    words = f"{counts['with_mask']} with_mask, {counts['without_mask']} without_mask"
    print(f"{args.out}: {images}, {faces}, {words}; {lost} could not be read")
    return cli.EXIT_PARTIAL if counts["unreadable"] else cli.EXIT_OK


def work_through(shards: Sequence[Shard], settings: Settings, workers: int | None) -> Iterator[dict[str, int]]:
    """Have Ray spread shards over its workers; a cluster must be joined already.

    Args:
        shards: of :func:`detector.archiving.listing.shards_of`.
        settings: of each worker.
        workers: how many; None for as many as the cluster has cores (or GPUs), also when it grows.

    Yields:
        The numbers of images, unreadable ones and faces of each shard when its file is complete.
    """
    import ray

    pieces = [{"shard": pickle.dumps(shard)} for shard in shards]
    found = ray.data.from_items(pieces, override_num_blocks=len(pieces)).map_batches(
        Worker,
        fn_constructor_args=(settings,),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
        num_cpus=1,
        num_gpus=1 if settings.options["device"].startswith("cuda") else None,
    )
    try:
        yield from found.iter_rows()
    except ray.exceptions.RayError as error:
        raise _cause_of(error) from error


def _cause_of(error: BaseException) -> DetectorError:
    """What a worker has said, or that there is none left."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, DetectorError):
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    return SourceError(f"Ray has given up ({str(error).strip().splitlines()[-1]}): start the same command again")


@contextmanager
def _ray(address: str | None, threads: int | None) -> Iterator[int | None]:
    """A Ray of this computer alone, or a cluster; yields how many workers it should have."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it writes on our stderr what it mends itself
    import ray

    cores = threads or available_cores()
    where: dict[str, Any] = {"address": address} if address else {"address": "local", "num_cpus": cores}
    if not address:
        where["include_dashboard"] = False
    terminate = signal.getsignal(signal.SIGTERM)  # Ray puts a handler of its own there
    try:
        host, _, port = (address or "").partition(":")
        if port.isdecimal():  # Ray would try for minutes
            socket.create_connection((host, int(port)), CONNECT_S).close()
        with _silent_stderr():  # on which it would say that it is silent
            ray.init(**where, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, ValueError, RuntimeError) as error:
        if address:
            raise SourceError(f"--address {address}: no Ray answers there: start it with ray start --head") from error
        raise SourceError(f"Ray cannot be started here ({error}): join one with --address") from error
    with suppress(ValueError):  # in another thread neither Ray nor Python may change it
        signal.signal(signal.SIGTERM, terminate)
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        yield threads if address else cores
    finally:
        ray.shutdown()


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Without what libraries write there past Python."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - no path
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _settings(args: argparse.Namespace, out: Store) -> Settings:
    """How the archive is worked through; written down, and the same as before."""
    with engine_from(args):
        pass  # what is wrong with the network is said before anything begins
    names = ("weights", "faces", "conf", "iou", "imgsz", "device")
    options = {name: getattr(args, name) for name in names}
    if args.weights:  # of those that are shipped the name: every machine has them at a place of its own
        shipped = {default_weights(file): name for name, file in SHIPPED.items()}
        options["weights"] = shipped.get(args.weights) or str(args.weights.absolute())
    copies = tuple(name for name in COPIES if getattr(args, name))
    base = ""
    with suppress(ValueError):  # some here and some elsewhere have nothing in common
        base = os.path.commonpath([fixed_part(source) for source in args.source])
    weights = digests(args.engine, options)
    settings = Settings(args.engine, options, weights, out, args.rows == "face", copies, base)
    made, before = _made(settings), read_manifest(out)
    for name, value in made.items():
        if before is not None and name != "version" and before.get(name) != value:
            raise OutputError(f"{out.name}: was made with {name} {before.get(name)}, not {value}: choose another --out")
    if before is None:
        write_manifest(out, made, None)
    return settings


def _made(settings: Settings) -> dict[str, Any]:
    """What is the same in all rows of an output folder."""
    options = {name: value for name, value in settings.options.items() if name not in {"weights", "device"}}
    return {
        "version": detector.__version__,
        "engine": settings.engine,
        "weights": dict(settings.weights),
        **{"finder" if name == "faces" else name: value for name, value in options.items()},
        "rows": "face" if settings.row_per_face else "image",
        "copies": list(settings.copies),
    }


def _report(counts: Iterable[dict[str, int]], images: int) -> None:
    """Say how far it is: in one line that changes on a terminal, in plain lines elsewhere."""
    done, unreadable, began, said = 0, 0, time.monotonic(), time.monotonic()
    tty = sys.stderr.isatty()
    for each in counts:
        done, unreadable, now = done + each["images"], unreadable + each["unreadable"], time.monotonic()
        if tty or now - said >= LINE_S:
            said, rate = now, done / (now - began)
            left = timedelta(seconds=round((images - done) / rate))
            line = f"{done} of {images} images, {rate:.1f} a second, {left} left, {unreadable} unreadable"
            print(f"\r\033[K{line}" if tty else line, end="" if tty else "\n", file=sys.stderr, flush=True)
    if tty and done:
        print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
