"""What ``--blur`` leaves of faces, on photographs filmed by a shaky camera: found again, or seen as they were."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from _benchmark.moving_photos import FPS, MovingPhoto, Shot
from _benchmark.ratios import Ratio, Settings
from _benchmark.steady_verdicts import SAME_FACE, filmed_photos
from compare_peers import peer_detector
from detector.boxes import overlap
from detector.detections import Detections
from detector.engines import Engine, load_engine
from detector.media.blur import WEAK, BlurSink
from detector.media.encode import VideoSink
from detector.media.frames import Frame
from detector.media.images import Image
from detector.media.sinks import Sink
from detector.media.video import VideoSource
from detector.tracking import Tracker
from detector.tracking.look import Look

CLIPS = 12
CHANGED = 0.9  # of a face's pixels: then it is hidden

Finder = Callable[[Image], Detections]


@dataclass
class _Witness(Sink):
    """Sees the frames before and after their faces are hidden.

    Attributes:
        shots: the clip as it was filmed.
        open_faces: (frame, person) whose face is still as it was.
    """

    shots: list[Shot]
    open_faces: set[tuple[int, int]] = field(default_factory=set)

    def write(self, frame: Frame, _: Detections) -> None:
        shot = self.shots[frame.index]
        for person in np.flatnonzero(~shot.hidden).tolist():
            left, top, right, bottom = np.rint(np.clip(shot.boxes[person], 0, [1280, 720] * 2)).astype(int).tolist()
            here = (slice(top, bottom), slice(left, right))
            same = (frame.image[here] == shot.image[here]).all(axis=2)
            if same.size and same.mean() > 1 - CHANGED:
                self.open_faces.add((frame.index, person))

    def close(self) -> None:
        """Keep what was seen."""


@dataclass
class _Sums:
    """Over all clips, faces: to be seen, of people who are tracked, of these not hidden, and not hidden at all."""

    faces: int = 0
    tracked: int = 0
    tracked_open: int = 0
    all_open: int = 0
    before: list[int] = field(default_factory=list)  # found by our engine, and by the others
    after: list[int] = field(default_factory=list)


def hidden_faces(settings: Settings) -> Iterator[Ratio]:
    """Faces found again in a saved video, and frames in which a tracked person's face is open."""
    sums, clips = _Sums(), filmed_photos(settings, CLIPS)
    others = [peer_detector(kind, path, settings.threads) for kind, path in settings.peer]
    names = ["our own network", *(kind for kind, _ in settings.peer)]
    sums.before, sums.after = [0] * len(names), [0] * len(names)
    with load_engine(weights=settings.weights, threads=settings.threads) as engine:
        for seed, sample in enumerate(clips):
            _measure(MovingPhoto(sample, seed), engine, [engine, *others], sums)
    for name, before, after in zip(names, sums.before, sums.after, strict=True):
        yield Ratio(
            f"faces found again by {name} in videos saved with --blur, of {sums.faces} in {len(clips)} clips",
            wanted="under 2 %",
            met=after < 0.02 * sums.faces,
            ours=f"{after / sums.faces:.2%}",
            theirs=f"{before / sums.faces:.1%} without",
        )
    yield Ratio(
        f"the same: faces of people who are tracked, {sums.tracked}, that are not hidden",
        wanted="0",
        met=sums.tracked_open == 0,
        ours=f"{sums.tracked_open}",
        ratio=f"{sums.all_open} of all",
    )


def _measure(clip: MovingPhoto, engine: Engine, finders: Sequence[Finder], sums: _Sums) -> None:
    shots, conf = list(clip.shots()), engine.conf
    witness, tracker = _Witness(shots), Tracker()
    seen: dict[int, list[int]] = {}  # the frames in which the tracker has each person
    with tempfile.TemporaryDirectory() as folder:
        with VideoSink(Path(folder, "blurred.mp4")) as video, BlurSink([video, witness]) as blur:
            engine.conf = WEAK
            look = Look(engine, conf, tracker=tracker, blur=blur)
            for index, shot in enumerate(shots):
                frame = Frame(shot.image, index, index / FPS, "clip")
                found = look(frame)
                blur.write(frame, found)
                for person in np.flatnonzero(_at(shot.boxes, found[found.track_id > 0])).tolist():
                    seen.setdefault(person, []).append(index)
            engine.conf = conf
        with VideoSource(f"file:{video.path}", "blurred") as source:
            for frame in source:
                shot = shots[frame.index]
                true = shot.boxes[~shot.hidden]
                sums.faces += len(true)
                for place, finder in enumerate(finders):
                    sums.before[place] += int(_at(true, finder(shot.image)).sum())
                    sums.after[place] += int(_at(true, finder(frame.image)).sum())
    sums.all_open += len(witness.open_faces)
    for person, frames in seen.items():
        tracked = {(index, person) for index in range(frames[0], frames[-1] + 1) if not shots[index].hidden[person]}
        sums.tracked += len(tracked)
        sums.tracked_open += len(tracked & witness.open_faces)


def _at(true: npt.NDArray[np.float32], found: Detections) -> npt.NDArray[np.bool_]:
    """Which of the true faces (N, 4) something was found at (N,)."""
    result: npt.NDArray[np.bool_] = overlap(true, found.xyxy).max(axis=1, initial=0) >= SAME_FACE
    return result
