from __future__ import annotations

import csv
import re
import shutil
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
import torch

from detector.errors import TrainingError
from detector.media import images
from detector.training.resume import resume
from detector.training.runs import last_checkpoint, new_run, one_line_errors, run_folder
from detector.training.single_stage.ultralytics_env import ultralytics_env
from detector.training.single_stage.yolo_training import hyperparameters, train
from tests.training.build import copy_of_folder, digest, untrained, yolo_folder

T = TypeVar("T")


class Ear:
    """A progress that hears each step, and presses Ctrl-C in one if it is told to."""

    def __init__(self, stop_in_epoch: int | None = None) -> None:
        self.stop_in_epoch = stop_in_epoch
        self.steps: list[tuple[str, int]] = []

    def __call__(self, items: Sequence[T], title: str) -> Iterable[T]:
        for number, item in enumerate(items, 1):
            self.steps.append((title, number))
            if title.startswith(f"epoch {self.stop_in_epoch}/"):
                signal.raise_signal(signal.SIGINT)
            yield item


@pytest.mark.slow
def test_a_run_interrupted_in_its_second_epoch_goes_on_from_the_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = new_run(tmp_path / "runs")
    data = copy_of_folder(run / "dataset")
    ear = Ear(stop_in_epoch=2)
    with pytest.raises(KeyboardInterrupt):
        train(data, run, untrained(), epochs=2, imgsz=64, batch=8, device="cpu", progress=ear)
    last = last_checkpoint(run)
    assert last is not None
    assert torch.load(last, weights_only=False)["epoch"] == 0
    assert ear.steps == [("epoch 1/2", 1), ("epoch 1/2", 2), ("epoch 1/2", 3), ("epoch 2/2", 1)]

    moved = run.rename(tmp_path / "elsewhere")
    caplog.clear()
    with caplog.at_level("INFO", "detector"):
        result = resume(moved, device="cpu")
    (line,) = [line for line in caplog.messages if line.startswith("epoch")]
    assert line.startswith("epoch 2/2  loss ")
    assert [line.split()[:2] for line in result.report.splitlines()[1:]] == [["with_mask", "7"], ["without_mask", "6"]]
    assert images.read(result.curves).shape[0] > 300
    with (moved / "results.csv").open(encoding="utf-8") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    assert not list(moved.rglob("*.part"))
    best = torch.load(result.best, weights_only=False)["model"]
    assert all(value.is_contiguous() for value in best.state_dict().values())
    assert {value.dtype for value in best.parameters()} == {torch.float16}
    with pytest.raises(TrainingError, match="that training is finished"):
        resume(moved)


@pytest.mark.slow
def test_a_run_interrupted_in_its_first_epoch_leaves_nothing_to_go_on_from(tmp_path: Path) -> None:
    run = new_run(tmp_path / "runs")
    data = copy_of_folder(run / "dataset")
    with pytest.raises(KeyboardInterrupt):
        train(data, run, untrained(), imgsz=64, batch=4, device="cpu", progress=Ear(stop_in_epoch=1))
    assert last_checkpoint(run) is None
    with pytest.raises(TrainingError, match="no checkpoint there"):
        resume(run)


def test_in_validation_a_face_gets_one_word_the_surer(tmp_path: Path) -> None:
    from ultralytics.models.yolo.detect import DetectionValidator

    validator = DetectionValidator(save_dir=tmp_path, args=hyperparameters(1, 1))
    validator.end2end = False
    rows = [(32, 32, 20, 20, 0.9, 0.4), (33, 32, 20, 20, 0.3, 0.8), (100, 32, 20, 20, 0.2, 0.6)]
    (found,) = validator.postprocess(torch.tensor(rows).T[None])
    assert list(zip(found["conf"].tolist(), found["cls"].tolist(), strict=True)) == [
        (pytest.approx(0.9), 0),
        (pytest.approx(0.6), 1),
    ]


def test_the_best_epoch_is_the_one_with_the_highest_ap50_which_its_line_shows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where ultralytics would take the mean over tighter and tighter boxes, which people do not see in that line."""

    with ultralytics_env(), caplog.at_level("INFO", "detector"):
        from detector.training.single_stage.trainer import FaceTrainer

        settings = hyperparameters(3, 1) | {"model": str(untrained()), "data": str(yolo_folder()), "device": "cpu"}
        trainer = FaceTrainer(settings | {"save_dir": str(tmp_path)})
        trainer.loss, trainer.tloss = torch.tensor(1.5), {"box": torch.tensor(1.5)}
        for trainer.epoch, (ap50, tight) in enumerate([(0.5, 0.4), (0.6, 0.3), (0.55, 0.5)]):
            measured = {f"metrics/{name}(B)": ap50 for name in ("mAP50", "precision", "recall")} | {"fitness": tight}
            trainer.validator = lambda _, measured=measured: dict(measured)
            trainer.metrics, trainer.fitness = trainer.validate()
            trainer.run_callbacks("on_model_save")
    assert (trainer.fitness, trainer.best_fitness) == (0.55, 0.6)
    lines = [re.search(r"one-word AP50 [\d.]+( \(.*?best.*?\))?", line) for line in caplog.messages]
    assert [found.group() for found in lines if found] == [
        "one-word AP50 0.500 (the best so far)",
        "one-word AP50 0.600 (the best so far)",
        "one-word AP50 0.550",
    ]


def stop(runs: Path, *, after_an_epoch: bool) -> None:
    with run_folder(None, runs, "mine") as run:
        if after_an_epoch:
            (run / "weights").mkdir()
            (run / "weights" / "last.pt").touch()
        raise KeyboardInterrupt


def test_ctrl_c_says_what_is_kept_and_which_command_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match="nothing to go on from"):
        stop(tmp_path, after_an_epoch=False)
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt, match=r"Go on with: mask-detector train --resume .*mine$"):
        stop(tmp_path, after_an_epoch=True)
    assert (tmp_path / "mine" / "weights" / "last.pt").is_file()


def test_a_run_never_takes_the_folder_of_another(tmp_path: Path) -> None:
    made = [new_run(tmp_path / "runs", "mine") for _ in range(3)]
    assert [run.name for run in made] == ["mine", "mine-2", "mine-3"]


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden"])
def test_a_run_name_is_a_plain_folder_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(TrainingError, match="letters, digits, dots and dashes"):
        new_run(tmp_path, name)


def test_a_file_in_the_place_of_the_runs_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(TrainingError, match="choose another --runs"):
        new_run(tmp_path / "runs")


def test_a_batch_larger_than_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--batch 21: there are only 20 training images"):
        train(yolo_folder(), tmp_path, untrained(), batch=21)


@pytest.mark.parametrize(
    ("device", "says"),
    [("tpu", "is not known"), ("cpu:1", "is not known"), ("cuda:99", r"torch finds \d CUDA devices: use --device cpu")],
)
def test_a_device_that_is_not_there_is_refused_before_anything_is_written(
    tmp_path: Path, device: str, says: str
) -> None:
    before = digest(yolo_folder().parent)
    with pytest.raises(TrainingError, match=says):
        train(yolo_folder(), tmp_path, untrained(), device=device)
    assert not list(tmp_path.iterdir())
    assert digest(yolo_folder().parent) == before


def test_a_damaged_start_is_named(tmp_path: Path) -> None:
    data = copy_of_folder(tmp_path / "run" / "dataset")
    (tmp_path / "bad.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(TrainingError, match=r"--start .*bad\.pt: not a network that ultralytics can train"):
        train(data, tmp_path / "run", tmp_path / "bad.pt", device="cpu")


def test_a_run_whose_data_are_gone_cannot_go_on_and_says_what_can(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    shutil.copy(untrained(), tmp_path / "weights" / "last.pt")
    with pytest.raises(TrainingError, match="--start"):
        resume(tmp_path)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate"), "use a smaller --batch or --imgsz"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "use a smaller --batch or --imgsz"),
        (MemoryError(), "use a smaller --batch or --imgsz"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (RuntimeError("Training failed: NaN persisted for 4 epochs"), "not a number"),
        (RuntimeError("No valid images found in x.cache.\n  bad"), "no image there"),
    ],
)
def test_what_goes_wrong_in_the_middle_is_one_line_with_a_remedy(error: Exception, says: str) -> None:
    with pytest.raises(TrainingError, match=says) as caught, one_line_errors(Path("run")):
        raise error
    assert "\n" not in str(caught.value)


def test_the_remedy_names_the_flag_of_the_network_that_is_trained() -> None:
    with pytest.raises(TrainingError, match="use a smaller --batch or --side"), one_line_errors(Path("run"), "--side"):
        raise MemoryError


def test_a_bug_is_not_dressed_up_as_the_users_mistake() -> None:
    with pytest.raises(RuntimeError, match="shapes"), one_line_errors(Path("run")):
        raise RuntimeError("shapes do not fit")
