"""How many frames of a video, and images of a folder, go through from end to end."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from _benchmark.engine_speed import SIZE
from _benchmark.ratios import PAUSE_S, ROOT, Ratio, Settings
from detector.defaults import DEFAULT_CONF
from detector.engines import load_engine
from detector.engines.ahead import Ahead
from detector.engines.letterbox import InputBuffer, Letterbox
from detector.engines.session import OnnxSession
from detector.media import images
from detector.media.encode import VideoSink
from detector.media.records import JsonLinesSink
from detector.media.sinks import Sink
from detector.media.sources import open_source
from detector.run import run
from detector.training.single_stage.ultralytics_env import ultralytics_env

FRAMES, PER_PICTURE = 400, 40
SHAPE = (720, 1280)  # (height, width) of the video
TURNS = 3
BLOCKS = 5  # of the folder; each side takes one in turn


def video(settings: Settings) -> Iterator[Ratio]:
    """A video decoded, looked at, drawn on and encoded, against the network alone on the same frames."""
    with tempfile.TemporaryDirectory() as name:
        film = Path(name) / "film.mp4"
        _write_film(film)
        tensors = _tensors(film)
        rates: list[tuple[float, ...]] = []
        for turn in range(TURNS):
            time.sleep(PAUSE_S)
            sink = VideoSink(Path(name) / f"copy-{turn}.mp4", Fraction(25))
            with _loaded(settings) as ahead:
                ours = _rate(FRAMES, partial(_run, ahead, film, sink))
            rates.append((ours, _pure(settings, tensors, 1), _pure(settings, tensors, settings.threads)))
    ours, together, apart = (statistics.median(side) for side in zip(*rates, strict=True))
    what = f"{FRAMES} frames of 1280x720 decoded, looked at, drawn and encoded, against session.run alone"
    for how, theirs, wanted in (
        (f"one session of {settings.threads} threads", together, 0.9),
        (f"{settings.threads} sessions of one thread", apart, 0.0),
    ):
        yield Ratio(
            f"{what}, {how}",
            wanted=f"{wanted:g} of it" if wanted else "–",
            met=ours / theirs >= wanted,
            ours=f"{ours:.1f} a second",
            theirs=f"{theirs:.1f}",
            ratio=f"{ours / theirs:.2f} of it",
        )


def folder(settings: Settings) -> Iterator[Ratio]:
    """A folder of images against a loop of ultralytics predict with the checkpoint, a fifth of it at a time."""
    photographs = [path for one in settings.sets or [ROOT / "data"] for path in images.list_images(one / "images")]
    chosen = [photographs[index * 7919 % len(photographs)] for index in range(settings.folder_images)]
    taken = np.zeros((BLOCKS, 2))
    with tempfile.TemporaryDirectory() as name, _loaded(settings) as ahead, ultralytics_env():
        predict = _predictor(settings.checkpoint)
        predict(chosen[0])
        for block in range(BLOCKS):
            part = Path(name) / str(block)
            part.mkdir()
            for index, path in enumerate(chosen[block::BLOCKS]):
                (part / f"{index:05d}{path.suffix}").symlink_to(path)
            listed = images.list_images(part)
            sink = JsonLinesSink(str(part / "faces.jsonl"))
            for side, work in enumerate((partial(_run, ahead, part, sink), partial(_all, predict, listed))):
                time.sleep(PAUSE_S)
                started = time.perf_counter()
                work()
                taken[block, side] = time.perf_counter() - started
    ours, theirs = len(chosen) / taken.sum(axis=0)
    yield Ratio(
        f"folder of {len(chosen)} photographs, {settings.threads} threads, against a loop of ultralytics predict "
        f"with {settings.checkpoint.name}",
        wanted="2.5x",
        met=bool(ours / theirs >= 2.5),
        ours=f"{ours:.1f} a second",
        theirs=f"{theirs:.1f}",
        ratio=f"{ours / theirs:.2f}x as many",
    )


@contextmanager
def _loaded(settings: Settings) -> Iterator[Ahead]:
    """The engine as the command has it."""
    load = partial(load_engine, weights=settings.weights)
    with load(threads=settings.threads) as engine, Ahead(engine, partial(load, threads=1), settings.threads) as ahead:
        yield ahead


def _run(ahead: Ahead, file: Path, output: Sink) -> None:
    with open_source(file) as source, output as sink:
        ahead.follow(source)
        run(source, ahead, [sink])


def _pure(settings: Settings, tensors: Sequence[npt.NDArray[np.float32]], sessions: int) -> float:
    """Frames a second of as many sessions, which share the threads."""
    with ExitStack() as stack, ThreadPoolExecutor(sessions) as pool:
        share = settings.threads // sessions
        loaded = [
            stack.enter_context(OnnxSession(settings.weights, device="cpu", threads=share)) for _ in range(sessions)
        ]

        def work(index: int, calls: int) -> None:
            for call in range(calls):
                loaded[index](tensors[call % len(tensors)])

        list(pool.map(work, range(sessions), [2] * sessions))
        return _rate(FRAMES, lambda: list(pool.map(work, range(sessions), [FRAMES // sessions] * sessions)))


def _rate(frames: int, work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return frames / (time.perf_counter() - started)


def _tensors(film: Path) -> list[npt.NDArray[np.float32]]:
    """Frames from the whole film as the network sees them."""
    geometry = Letterbox.fit(SHAPE, SIZE, 32)
    tensors = []
    with open_source(film) as source:
        for frame in islice(source, 0, None, PER_PICTURE):
            buffer = InputBuffer(geometry)
            buffer.write(frame.image)
            tensors.append(buffer.tensor[None])
    return tensors


def _write_film(path: Path) -> None:
    """The sample's photographs, one after the other, as a camera sees them that is turned and sees badly."""
    import av

    pictures = [images.read(one) for one in images.list_images(ROOT / "data" / "images")]
    random = np.random.default_rng(0)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "20"})
        stream.height, stream.width, stream.pix_fmt = *SHAPE, "yuv420p"
        for index in range(FRAMES):
            picture = pictures[index // PER_PICTURE % len(pictures)]
            scale = 1.15 * max(outer / inner for outer, inner in zip(SHAPE, picture.shape, strict=False))
            shift = [-(1.15 - 1) * side * (index % PER_PICTURE) / PER_PICTURE for side in SHAPE[::-1]]
            matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
            frame = cv2.warpAffine(picture, matrix, SHAPE[::-1]) + random.normal(0, 2, (*SHAPE, 1))
            raw = av.VideoFrame.from_ndarray(np.clip(frame, 0, 255).astype(np.uint8), "bgr24")
            container.mux(stream.encode(raw))
        container.mux(stream.encode(None))


def _predictor(checkpoint: Path) -> Callable[[Path], Any]:
    from ultralytics import YOLO

    model = YOLO(str(checkpoint), task="detect")
    return lambda path: model.predict(path, imgsz=SIZE, conf=DEFAULT_CONF, device="cpu", verbose=False)


def _all(predict: Callable[[Path], Any], paths: Sequence[Path]) -> None:
    for path in paths:
        predict(path)
