"""What an empty room costs, and whether anybody who enters it is missed: rooms and people cut from photographs."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from _benchmark.ratios import Ratio, Settings
from _benchmark.steady_verdicts import val_photos
from detector.engines import SingleStage
from detector.media import images
from detector.media.frames import Frame
from detector.media.rest import Rest
from detector.media.video import VideoSource
from detector.run import Channel, run_channels
from detector.tracking.look import Look

SIZE, FPS = (1280, 720), 25
ARRIVALS, WITHIN = 200, 2
ROOMS, STAY = 2, 1500  # films of an empty room, and frames of each
QUIET, COMES = 30, 25  # frames without anybody, then those in which somebody comes
NOISE = (1.5, 3.0, 5.0, 8.0)  # of the sensor, levels of 255: from daylight to a dark corridor
DRIFT = (0.0, 0.0, 0.02, 0.1)  # of the light, levels a frame: clouds, dusk
H264 = {"preset": "superfast", "g": "50"}
CODECS = [("libx264", H264 | {"crf": crf}) for crf in ("23", "28", "33")] + [("mjpeg", {"qscale": "5"})]
FACES = (16, 20, 28, 40, 60, 100, 180)  # px wide
CONTRAST = (1.0, 1.0, 0.7, 0.45)  # of a person with the wall behind
WAYS = ("walks", "creeps", "door", "fades", "turns", "nears")

Picture = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Person:
    """A head with shoulders.

    Args:
        picture: BGR (H, W, 3).
        shape: (H, W, 1), 1 where the person is and 0 beside.
    """

    picture: Pixels
    shape: Pixels

    def scaled(self, share: float) -> Person:
        """The same, smaller."""
        size = [max(2, round(side * share)) for side in self.picture.shape[1::-1]]
        picture, shape = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (self.picture, self.shape))
        return Person(picture.astype(np.float32), shape[..., None].astype(np.float32))


class Cast:
    """Rooms and people, always the same for one seed."""

    def __init__(self, settings: Settings, engine: SingleStage, seed: int) -> None:
        self.samples = val_photos(settings)
        self.faces = [(each, box) for each in self.samples for box in each.truth.xyxy if box[2] - box[0] >= 70]
        self.engine, self.random = engine, random.Random(seed)  # noqa: S311 - scenes, no secrets
        self.places: list[tuple[float, float, float, float]] = []

    def room(self) -> Picture:
        """A picture in which the network finds nobody; where it showed people, they are smeared."""
        while True:
            sample = self.random.choice(self.samples)
            image = images.read(sample.path)
            for box in sample.truth.xyxy:
                side = (box[2:] - box[:2]) * 0.8
                left, top = np.maximum(box[:2] - side, 0).astype(int)
                right, bottom = (box[2:] + side).astype(int)
                image[top:bottom, left:right] = cv2.blur(image[top:bottom, left:right], (61, 61))
            room = np.asarray(cv2.resize(image, SIZE, interpolation=cv2.INTER_CUBIC), np.uint8)
            if len(sample.truth) < 3 and not len(self.engine(room)):
                return room

    def person(self, face: int) -> Person:
        """Somebody whose face is so many pixels wide."""
        sample, (left, top, right, bottom) = self.random.choice(self.faces)
        image, width, height = images.read(sample.path), right - left, bottom - top
        x1, y1 = max(0, int(left - 0.7 * width)), max(0, int(top - 0.5 * height))
        picture = image[y1 : int(bottom + 1.2 * height), x1 : int(right + 0.7 * width)].astype(np.float32)
        high, wide = picture.shape[:2]
        shape = np.zeros((high, wide, 1), np.float32)
        cv2.ellipse(shape, (wide // 2, int(0.4 * high)), (int(0.42 * wide), int(0.42 * high)), 0, 0, 360, 1, -1)
        cv2.rectangle(shape, (int(0.12 * wide), int(0.62 * high)), (int(0.88 * wide), high), 1, -1)
        soft = max(1, int(0.06 * wide)) | 1
        shape = cv2.GaussianBlur(shape, (soft, soft), 0)[..., None].astype(np.float32)
        return Person(picture, shape).scaled(face / width)

    def enters(self, room: Picture) -> Iterator[Picture]:
        """A room with nobody in it, then with somebody who comes in one of :data:`WAYS`, whom ``places`` follow."""
        pick = self.random
        way, person = pick.choice(WAYS), self.person(pick.choice(FACES))
        high, wide = person.picture.shape[:2]
        x, y = pick.uniform(0, max(1, SIZE[0] - wide)), pick.uniform(0, max(1, SIZE[1] - high))
        wall = room[int(y) : int(y) + high, int(x) : int(x) + wide].mean((0, 1), dtype=np.float32)
        person = Person(wall + np.float32(pick.choice(CONTRAST)) * (person.picture - wall), person.shape)
        smeared = cv2.blur(person.picture, (max(3, wide // 3), max(3, high // 3)))  # as if from behind
        pace, lasts = pick.uniform(4, 30) if way == "walks" else pick.uniform(0.5, 3), pick.randint(4, COMES)
        self.places = []
        for step in range(-QUIET, COMES):
            share = min(1.0, max(0, step) / lasts)
            now, left = Person(person.picture, person.shape * np.float32(step >= 0)), x
            if way in ("walks", "creeps"):
                left = pace * step - wide * (0.4 if way == "creeps" else 1)
            elif way == "door":
                now = Person(now.picture, now.shape * (np.arange(wide) < wide * share)[None, :, None])
            elif way == "fades":
                now = Person(now.picture, now.shape * np.float32(share))
            elif way == "turns":
                now = Person(smeared * (1 - share) + person.picture * share, person.shape)
            else:
                now = now.scaled(0.3 + 0.7 * share)
            self.places.append((left, y, left + now.picture.shape[1], y + now.picture.shape[0]))
            yield _pasted(room, now, round(left), round(y))

    def sees(self, frame: Frame) -> bool:
        """Whether the network sees the person, and not something else, in a frame of the film."""
        boxes = self.engine(frame.image).xyxy
        centre, place = (boxes[:, :2] + boxes[:, 2:]) / 2, self.places[frame.index]
        return bool(((centre > place[:2]) & (centre < place[2:])).all(axis=1).any())


def _pasted(room: Picture, person: Person, x: int, y: int) -> Picture:
    high, wide = person.picture.shape[:2]
    x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + wide, SIZE[0]), min(y + high, SIZE[1])
    result = room.copy()
    if x2 > x1 and y2 > y1:
        here, there = (slice(y1 - y, y2 - y), slice(x1 - x, x2 - x)), (slice(y1, y2), slice(x1, x2))
        mixed = room[there] + person.shape[here] * (person.picture[here] - room[there])
        result[there] = np.clip(np.rint(mixed), 0, 255)
    return result


def film(path: Path, pictures: Iterator[Picture], pick: random.Random, drifts: Sequence[float] = DRIFT) -> None:
    """Write pictures to an .avi as a cheap camera makes them: noisy, the light drifting, compressed."""
    codec, options = pick.choice(CODECS)
    rng, noise, drift = np.random.default_rng(pick.randrange(2**32)), pick.choice(NOISE), pick.choice(drifts)
    grain = np.rint(rng.normal(0, noise, (SIZE[1] + 64, SIZE[0] + 64, 3))).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=FPS, options=options)
        (stream.width, stream.height), stream.pix_fmt = SIZE, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for index, picture in enumerate(pictures):
            x, y = rng.integers(0, 64, 2)
            noisy = cv2.add(picture, grain[y : y + SIZE[1], x : x + SIZE[0]] + round(drift * index), dtype=cv2.CV_8U)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(noisy, np.uint8), "bgr24")))
        container.mux(stream.encode(None))


def _delay(frames: list[Frame], cast: Cast) -> int | None:
    """By how many frames the person is seen later than by a network that looks at every frame.

    Returns:
        None if that sees nobody in the end, so that there was nobody to miss; COMES if it is more than WITHIN.
    """
    if not any(cast.sees(frame) for frame in (frames[-1], frames[QUIET + COMES // 2])):
        return None
    rest, first = Rest(), None
    for frame in frames:
        is_asked = rest.needs_look(frame)
        if frame.index >= QUIET and (is_asked or first is None) and cast.sees(frame):
            first = frame.index if first is None else first
            if is_asked:
                return frame.index - first
        if first is not None and frame.index == first + WITHIN:
            return COMES
        if is_asked:
            rest.looked(frame, anybody=False)
    return COMES


def arrivals(settings: Settings) -> Iterator[Ratio]:
    """People who enter an empty room, and are seen too late or not at all."""
    delays: list[int] = []
    with tempfile.TemporaryDirectory() as folder, SingleStage(settings.weights, threads=settings.threads) as engine:
        cast, path = Cast(settings, engine, seed=0), Path(folder, "room.avi")
        while len(delays) < ARRIVALS:
            film(path, cast.enters(cast.room()), cast.random)
            with VideoSource(f"file:{path}", "room") as source:
                delay = _delay(list(source), cast)
            if delay is not None:
                delays.append(delay)
    late = sum(delay > WITHIN for delay in delays)
    yield Ratio(
        f"people who enter an empty room: seen more than {WITHIN} frames later with --rest than without",
        wanted="0",
        met=late == 0,
        ours=f"{late} of {ARRIVALS}",
        ratio=f"{sum(delay > 0 for delay in delays)} later at all",
    )


def empty_room(settings: Settings) -> Iterator[Ratio]:
    """Processor time of a film of an empty room with and without ``--rest``, decoding and all."""
    with tempfile.TemporaryDirectory() as folder, SingleStage(settings.weights, threads=settings.threads) as engine:
        cast, spent = Cast(settings, engine, seed=1), []
        for number in range(ROOMS):
            path, room = Path(folder, f"{number}.avi"), cast.room()
            film(path, (room for _ in range(STAY)), cast.random, DRIFT[:3])
            for rest in (None, Rest()):
                with VideoSource(f"file:{path}", "room") as source:
                    started = time.process_time()
                    run_channels([Channel(source, Look(engine, engine.conf, rest=rest))])
                    spent.append(time.process_time() - started)
    without, with_rest = sum(spent[::2]), sum(spent[1::2])
    frames = ROOMS * STAY
    yield Ratio(
        f"processor time of {ROOMS} empty rooms, {SIZE[0]}x{SIZE[1]}, each {STAY / FPS:g} s: --rest, --no-rest",
        wanted="at most a tenth",
        met=with_rest <= without / 10,
        ours=f"{with_rest / frames * 1e3:.1f} ms a frame",
        theirs=f"{without / frames * 1e3:.1f} ms",
        ratio=f"{with_rest / without:.3f} of it",
    )
