"""Flicker, people counted and cost of ``--track``, on photographs filmed by a shaky camera with known truth."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from _benchmark.moving_photos import FPS, LEAST_PX, SECONDS, MovingPhoto
from _benchmark.ratios import ROOT, Ratio, Settings
from detector.boxes import overlap
from detector.data.loading import load_voc
from detector.data.regions import Regions
from detector.data.sample import Sample
from detector.detections import Detections
from detector.engines import Engine, load_engine
from detector.media import images
from detector.tracking import Tracker

CLIPS = 48
MOST_PEOPLE = 12  # in one clip
SAME_FACE = 0.3  # least overlap of a found and a true face
FACES, FRAMES = 16, 400  # of the measurement of cost


@dataclass
class Tally:
    """Sums over all clips.

    Attributes:
        people: how many there were, and how many the tracker counted.
        minutes: how long they were seen, all together.
        changes: of the word over one face, of single frames and with the tracker.
        right: people whose surest single frame, and whose last word of the tracker, was right.
    """

    people: int = 0
    counted: int = 0
    minutes: float = 0.0
    changes: tuple[int, int] = (0, 0)
    right: tuple[int, int] = (0, 0)


def steady_verdicts(settings: Settings) -> Iterator[Ratio]:
    """Changes of verdict, verdicts that are right, people counted, and how long a frame takes."""
    total, clips = Tally(), filmed_photos(settings, CLIPS)
    with load_engine(weights=settings.weights, threads=settings.threads) as engine:
        for seed, sample in enumerate(clips):
            _film(MovingPhoto(_completed(sample, engine), seed), engine, total)
    single, tracked = (count / total.minutes for count in total.changes)
    yield Ratio(
        f"changes of verdict per person and minute, {len(clips)} clips of {SECONDS:g} s from photographs of val, "
        f"{total.people} people: with --track, single frames",
        wanted="20 times fewer",
        met=single >= 20 * tracked,
        ours=f"{tracked:.2f}",
        theirs=f"{single:.2f}",
        ratio=f"{single / tracked:.0f}" if tracked else "none left",
    )
    yield Ratio(
        "the same: people whose last verdict is right, whose surest single frame is",
        wanted="at least as many",
        met=total.right[1] >= total.right[0],
        ours=f"{total.right[1]}",
        theirs=f"{total.right[0]}",
    )
    yield Ratio(
        f"the same: people counted, people there were (faces from {LEAST_PX} px)",
        wanted="within 5 %",
        met=abs(total.counted - total.people) <= 0.05 * total.people,
        ours=f"{total.counted}",
        theirs=f"{total.people}",
        ratio=f"{total.counted / total.people:.3f}",
    )
    cost = _cost_s()
    yield Ratio(f"--track: a frame with {FACES} faces", "at most 1 ms", cost <= 1e-3, f"{cost * 1e3:.2f} ms")


def filmed_photos(settings: Settings, count: int) -> list[Sample]:
    """About so many photographs that show some people, evenly over all sets."""
    samples = [sample for sample in val_photos(settings) if 1 <= len(MovingPhoto(sample, 0).truth) <= MOST_PEOPLE]
    return samples[:: max(1, len(samples) // count)]


def val_photos(settings: Settings) -> list[Sample]:
    """The labelled photographs that nothing was trained on."""
    data = settings.data or ROOT  # without photographs this part is not asked for
    return load_voc(
        [folder / "annotations" for folder in settings.sets],
        [folder / "images" for folder in settings.sets],
        split=data / "split.csv",
        part="val",
        regions=Regions(data / "unlabelled.csv"),
    )


def _completed(sample: Sample, engine: Engine) -> Sample:
    """What the sharp photograph shows and nobody labelled is ignored: counting is measured here, not the labels."""
    found = engine(images.read(sample.path)).xyxy
    unlabelled = found[overlap(found, sample.truth.xyxy).max(axis=1, initial=0) < SAME_FACE]
    return replace(sample, ignored=np.concatenate([sample.ignored, unlabelled]))


def _film(clip: MovingPhoto, engine: Engine, total: Tally) -> None:
    """Add one clip to the sums."""
    tracker, truth = Tracker(), clip.truth.class_id
    words: list[dict[int, list[int]]] = [{}, {}]  # of single frames and of the tracker, by person
    surest: dict[int, tuple[float, int]] = {}
    where: dict[int, Counter[int | str]] = {}  # whose face each number stood over
    for shot in clip.shots():
        found = engine(shot.image)
        steady = tracker.update(found, shot.time)
        faces = _faces(found.xyxy, shot.boxes)
        for row, person in faces.items():
            for said, words_of in zip((found, steady), words, strict=True):
                words_of.setdefault(person, []).append(int(said.class_id[row]))
            look = (float(found.confidence[row]), int(found.class_id[row]))
            surest[person] = max(surest.get(person, (0.0, 0)), look)
        ignored = overlap(found.xyxy, shot.ignored).max(axis=1, initial=0) > 0.3
        for row in np.flatnonzero(steady.track_id > 0).tolist():
            place = faces.get(row, "ignored" if ignored[row] else "nobody")
            where.setdefault(int(steady.track_id[row]), Counter())[place] += 1
    total.people += len(truth)
    total.counted += sum(places.most_common(1)[0][0] != "ignored" for places in where.values())
    total.minutes += sum(map(len, words[0].values())) / FPS / 60
    changes = [sum(int(np.count_nonzero(np.diff(said))) for said in words_of.values()) for words_of in words]
    total.changes = (total.changes[0] + changes[0], total.changes[1] + changes[1])
    last = [{person: look[1] for person, look in surest.items()}, {one: said[-1] for one, said in words[1].items()}]
    right = [sum(said.get(person) == word for person, word in enumerate(truth.tolist())) for said in last]
    total.right = (total.right[0] + right[0], total.right[1] + right[1])


def _faces(found: npt.NDArray[np.float32], true: npt.NDArray[np.float32]) -> dict[int, int]:
    """Which of the true faces each row shows, the best overlaps first."""
    shared, pairs = overlap(found, true), {}
    while shared.size and shared.max() >= SAME_FACE:
        row, person = map(int, np.unravel_index(shared.argmax(), shared.shape))
        pairs[row] = person
        shared[row], shared[:, person] = 0, 0
    return pairs


def _cost_s() -> float:
    """Median seconds of a frame with faces that all move a little."""
    random, tracker, taken = np.random.default_rng(0), Tracker(), []
    corners = np.stack(np.meshgrid(np.arange(4) * 300, np.arange(4) * 170), axis=-1).reshape(FACES, 2)
    for index in range(FRAMES):
        moved = corners + random.normal(0, 2, corners.shape) + index / 10
        confidence = random.uniform(0.6, 1, FACES).astype(np.float32)
        faces = Detections(np.hstack([moved, moved + 80]).astype(np.float32), confidence, random.integers(0, 2, FACES))
        started = time.perf_counter()
        tracker.update(faces, index / 25)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[FRAMES // 4 :])
