"""Accuracy against time: our networks at their sizes and other people's, one thread, all in turn in one run."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial

import cv2

from _benchmark.ratios import Ratio, Settings
from compare_peers import peer_contender
from detector import cli
from detector.engines import load_engine
from detector.evaluation.charts import Chart, chart_file
from detector.evaluation.contenders import Contender, Findings, find, open_contender
from detector.evaluation.figures import by_set, measure
from detector.evaluation.timing import cut_faces, machine, time_engines
from detector.files import make_folder, write_file
from val_figures import load_sets, mean_precision

SIZES = {"pico": (256, 320, 416), "nano": (256, 320, 416, 512, 640)}
SETS = ("ilc", "kaggle")
FACES = 4
MARGIN = 0.1


@dataclass(frozen=True)
class Point:
    """One network at one size.

    Args:
        name: of the network.
        imgsz: the picture's longer side in it, px; None: it has its own.
        ms: median time of a call with a 1280x720 frame of four faces.
        ap50: the mean over kaggle and ilc and both classes, one word per face.
    """

    name: str
    imgsz: int | None
    ms: float
    ap50: float


def curve(settings: Settings) -> Iterator[Ratio]:
    """Each point; then of each peer whether ours in no more time are better by the margin. Files go to ``plots``."""
    assert settings.data is not None  # noqa: S101 - the caller has seen to it
    used = cv2.getNumThreads()
    cv2.setNumThreads(1)
    with ExitStack() as stack:
        stack.callback(cv2.setNumThreads, used)
        points = _measure([*_ours(stack), *_peers(settings)], settings)
    if settings.plots:
        _write(points, settings)
    for point in points:
        size = f" at {point.imgsz} px" if point.imgsz else ""
        what = f"curve: {point.name}{size}, one thread, 1280x720 frame"
        yield Ratio(what, "–", met=True, ours=f"AP50 {point.ap50:.3f}", ratio=f"{point.ms:.1f} ms")
    for peer in (point for point in points if point.name not in SIZES):
        best = max((point.ap50 for point in points if point.name in SIZES and point.ms <= peer.ms), default=0.0)
        yield Ratio(
            f"AP50 in no more time than {peer.name}",
            wanted=f"{MARGIN} better",
            met=best >= peer.ap50 + MARGIN,
            ours=f"{best:.3f}",
            theirs=f"{peer.ap50:.3f}",
            ratio=f"{best - peer.ap50:+.3f}",
        )


def _ours(stack: ExitStack) -> Iterator[tuple[str, int | None, Contender]]:
    for name, sizes in SIZES.items():
        for size in sizes:
            load = partial(load_engine, weights=name, imgsz=size, device="cpu", threads=1)
            yield name, size, open_contender(stack, f"{name} {size}", load, conf=None)


def _peers(settings: Settings) -> Iterator[tuple[str, int | None, Contender]]:
    for kind, path in settings.peer:
        yield kind, None, peer_contender(kind, path, argparse.Namespace(conf=None, threads=1))


def _measure(contenders: list[tuple[str, int | None, Contender]], settings: Settings) -> list[Point]:
    assert settings.data is not None  # noqa: S101
    alone = [contender for _, _, contender in contenders]
    findings: Findings = find(alone, load_sets(settings.data, "val", SETS), cli.progress_bar)
    (timing,) = time_engines(alone, cut_faces(findings.labelled), counts=(FACES,), rounds=settings.rounds)
    points = []
    for (name, size, contender), ms, examples in zip(contenders, timing.ms, findings.examples, strict=True):
        sets = by_set(partial(measure, conf=contender.conf), findings.labelled, examples)
        points.append(Point(name, size, round(ms, 2), round(mean_precision(sets), 4)))
    return points


def _write(points: list[Point], settings: Settings) -> None:
    assert settings.plots is not None  # noqa: S101
    make_folder(settings.plots)
    lines = {name: [(p.ms, p.ap50) for p in points if p.name == name] for name in dict.fromkeys(p.name for p in points)}
    title = "Accuracy against time: one thread, 1280x720 frame"
    chart = chart_file(Chart(title, "ms for a frame, one thread", "AP50 of kaggle and ilc, val", lines, top=1))
    said = {"machine": machine(1), "faces": FACES, "points": [asdict(point) for point in points]}
    write_file(settings.plots / "curve.svg", chart.encode(), replace=True)
    write_file(settings.plots / "curve.json", f"{json.dumps(said, indent=1)}\n".encode(), replace=True)
