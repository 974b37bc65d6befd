from __future__ import annotations

import logging
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torchvision.models import inception_v3

from detector.engines.classifier import MaskClassifier
from detector.errors import TrainingError
from detector.media import images
from detector.training.exporter import export
from detector.training.history import Contents, Trained, data_note
from detector.training.resume import resume
from detector.training.start import load_imagenet
from detector.training.two_step.classifier_network import MaskClassifierNetwork
from detector.training.two_step.classifier_training import ClassifierLearner, ClassifierSettings, count_said
from detector.training.two_step.crop_folder import batches, read_crop_folder, whole
from tests.training.two_step_parts import imagenet, stop_in, write_crops

PUBLISHED = Path(__file__).resolve().parents[2] / "../shared/weights/mobilenet_v2-b0353104.pth"
VAL = ("val/with_mask", "val/without_mask", "val/background")
THREE = {"with_mask": 12, "without_mask": 12, "background": 12}


def split(counts: dict[str, int]) -> dict[str, int]:
    return {f"{part}/{name}": count for part in ("train", "val") for name, count in counts.items()}


def settings(crops: Path, **changes: object) -> ClassifierSettings:
    return ClassifierSettings(**{"crops": str(crops), "epochs": 2, "side": 32, "batch": 16, **changes})


def start() -> dict[str, torch.Tensor]:
    return load_imagenet(str(imagenet()), "mobilenet_v2", Path("nowhere"))


def new_run(folder: Path, name: str = "run") -> Path:
    (folder / name).mkdir()
    return folder / name


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_crops(tmp_path_factory.mktemp("crops"), split(THREE))


@pytest.fixture(scope="module")
def trained(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return ClassifierLearner(settings(crops), new_run(tmp_path_factory.mktemp("runs")), "cpu").start(start())


def test_a_split_that_the_folder_has_is_kept(crops: Path) -> None:
    found = read_crop_folder(crops)
    assert found.names == ("with_mask", "without_mask", "background")
    assert found.contents("train") == found.contents("val") == Contents(36, THREE)
    assert {crop.path.parts[-3] for crop in found.val} == {"val"}
    note = data_note("crops", found.contents("train"), found.contents("val"))
    assert note.startswith("trained on 36 crops (12 with_mask, 12 without_mask, 12 background), chosen on")


def test_without_a_split_a_fifth_validates_and_near_duplicates_stay_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("with_mask", "without_mask"):
        (tmp_path / name).mkdir()
        for index in range(20):
            picture = np.kron(rng.integers(0, 255, (8, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
            images.write(tmp_path / name / f"{index}.png", picture)
            again = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
            (tmp_path / name / f"{index}-again.jpg").write_bytes(again.tobytes())
    found = read_crop_folder(tmp_path)
    sides = [
        {crop.path.stem.removesuffix("-again") + crop.path.parent.name for crop in part}
        for part in (found.train, found.val)
    ]
    assert not sides[0] & sides[1]
    assert found.names == ("with_mask", "without_mask")
    assert 12 <= len(found.val) <= 20
    assert read_crop_folder(tmp_path) == found


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "no images in with_mask/, without_mask/, background/"),
        ({"with_mask": 3}, "no image in without_mask/"),
        ({"with_mask": 3, "without_mask": 0}, "no image in without_mask/"),
        ({"background": 3}, "no image in with_mask/"),
        ({"train/with_mask": 3, "train/without_mask": 3}, "no image in with_mask/"),
        (
            {"train/with_mask": 3, "train/without_mask": 3, **dict.fromkeys(VAL, 1)},
            "images of background are in val only",
        ),
    ],
)
def test_a_folder_that_nothing_can_be_learnt_from_is_one_line(
    tmp_path: Path, counts: dict[str, int], message: str
) -> None:
    write_crops(tmp_path, counts)
    with pytest.raises(TrainingError, match=message) as error:
        read_crop_folder(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no such folder: make it with mask-detector crop"):
        read_crop_folder(tmp_path / "nothing")


def test_crops_are_shaken_alike_for_a_seed_and_shown_whole_in_validation(crops: Path) -> None:
    found = read_crop_folder(crops)
    first, again, other = (
        np.concatenate([pixels for pixels, _ in batches(found.train, side=32, batch=16, seed=seed)])
        for seed in ((0, 0), (0, 0), (0, 1))
    )
    assert first.shape == (36, 32, 32, 3)
    assert (first == again).all()
    assert (first != other).any()
    pixels, labels = next(whole(found.val, side=32, batch=64))
    assert (pixels[0] == images.read(found.val[0].path)).all()
    assert labels.tolist() == [crop.label for crop in found.val]


def test_a_crop_that_is_not_square_is_padded_not_squeezed(tmp_path: Path) -> None:
    write_crops(tmp_path, split({"with_mask": 2, "without_mask": 2}))
    images.write(tmp_path / "val" / "with_mask" / "000.png", np.full((20, 40, 3), 255, np.uint8))
    pixels, _ = next(whole(read_crop_folder(tmp_path).val, side=32, batch=8))
    assert (pixels[0][16] == 255).all()
    assert (pixels[0][2] == 114).all()


def test_the_last_batch_holds_the_rest(crops: Path) -> None:
    train = read_crop_folder(crops).train
    assert [len(labels) for _, labels in batches(train[:33], side=32, batch=16, seed=(0,))] == [16, 16, 1]


def test_a_frozen_body_does_not_change_and_a_thawed_one_does_but_for_its_norms_averages() -> None:
    torch.manual_seed(0)
    network = MaskClassifierNetwork("mobilenet_v2", 2).train()
    for frozen in (True, False):
        network.freeze(frozen)
        before = {name: tensor.clone() for name, tensor in network.body.state_dict().items()}
        optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 0.1)
        network(torch.rand(4, 3, 32, 32)).sum().backward()
        optimizer.step()
        after = network.body.state_dict()
        changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
        assert bool(changed) is not frozen
        assert not [name for name in changed if "running" in name]


def test_the_report_counts_what_was_said() -> None:
    labels, said = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 2])
    report = count_said(labels, said, ("with_mask", "without_mask", "background"))
    assert report.accuracy == pytest.approx(4 / 6)
    assert report.confusion.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 1]]
    first = (report.precision[0], report.recall[0], report.f1[0], report.support[0])
    assert first == pytest.approx((2 / 3, 2 / 3, 2 / 3, 3))
    assert report.accuracy_of_faces == pytest.approx(3 / 5)
    assert "accuracy 0.667 of 6 crops, 0.600 of the 5 faces among them" in str(report)
    never = count_said(np.array([0, 0]), np.array([0, 0]), ("with_mask", "without_mask"))
    assert "accuracy 1.000 of 2 crops\n" in str(never)
    assert (never.precision[1], never.f1[1]) == (0, 0)


@pytest.mark.slow
def test_a_training_leaves_a_report_a_picture_and_checkpoints(trained: Trained) -> None:
    assert sorted(path.name for path in trained.run.rglob("*.*")) == ["best.pt", "curves.png", "last.pt"]
    assert trained.curves.stat().st_size > 10_000
    assert trained.report.support.tolist() == [12, 12, 12]


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.skipif(not PUBLISHED.is_file(), reason=f"{PUBLISHED.name} is not there")
def test_what_differs_by_colour_is_learnt(crops: Path, tmp_path: Path) -> None:
    weights = load_imagenet(str(PUBLISHED), "mobilenet_v2", tmp_path)
    done = ClassifierLearner(settings(crops, epochs=8, batch=6), new_run(tmp_path), "cpu").start(weights)
    assert done.report.accuracy > 0.9


@pytest.mark.slow
def test_an_interrupted_training_goes_on_as_if_nothing_had_been(
    crops: Path, trained: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = new_run(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        ClassifierLearner(settings(crops), run, "cpu", stop_in(2)).start(start())
    caplog.clear()
    caplog.set_level(logging.INFO, "detector")
    done = resume(run, device="cpu")
    assert next(m for m in caplog.messages if m.startswith("epoch")).startswith("epoch 2/2  loss ")
    ours, theirs = (
        torch.load(path / "weights" / "last.pt", weights_only=True)["network"] for path in (run, trained.run)
    )
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], atol=1e-4, rtol=1e-3)
    assert done.report.confusion.tolist() == trained.report.confusion.tolist()


@pytest.mark.slow
def test_a_run_whose_crops_show_other_classes_by_now_cannot_go_on(trained: Trained, tmp_path: Path) -> None:
    run, last = new_run(tmp_path), torch.load(trained.run / "weights" / "last.pt", weights_only=True)
    changed = write_crops(tmp_path / "crops", split({"with_mask": 12, "without_mask": 12}))
    (run / "weights").mkdir()
    torch.save(last | {"settings": last["settings"] | {"crops": str(changed)}}, run / "weights" / "last.pt")
    with pytest.raises(TrainingError, match="the data are not those that it began with"):
        resume(run, device="cpu")


@pytest.mark.slow
def test_the_exported_classifier_is_what_the_engine_loads(crops: Path, trained: Trained, tmp_path: Path) -> None:
    done = export(trained.best, tmp_path / "masks.onnx", images=trained.examples)
    assert done.parity.score <= 1e-3
    classifier = MaskClassifier(done.path, device="cpu")
    assert (classifier.side, classifier.margin) == (32, 0.1)
    assert classifier.session.metadata.names == ("with_mask", "without_mask", "background")
    assert classifier.session.metadata.raw["license"] == "AGPL-3.0-or-later"
    pixels, labels = next(whole(read_crop_folder(crops).val, side=32, batch=64))
    said = classifier(pixels)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)
    agreed = count_said(labels, said.argmax(axis=1), classifier.session.metadata.names)
    assert abs(agreed.accuracy - trained.report.accuracy) <= 2 / 36  # the report's came in bfloat16
    classifier.close()


def test_inception_takes_its_weights_and_says_what_side_it_needs(tmp_path: Path) -> None:
    network = MaskClassifierNetwork("inception_v3", 3).eval()
    published = inception_v3(weights=None, init_weights=False).state_dict()
    network.start_from(published)
    torch.testing.assert_close(network.body.Mixed_7c.branch1x1.conv.weight, published["Mixed_7c.branch1x1.conv.weight"])
    with torch.inference_mode():
        assert network(torch.rand(2, 3, 75, 75)).shape == (2, 3)
    with pytest.raises(TrainingError, match="--side 64: inception_v3 needs crops of 75 px or more"):
        ClassifierLearner(settings(tmp_path, backbone="inception_v3", side=64), tmp_path, "cpu")


def test_a_start_that_is_missing_or_something_else_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(TrainingError, match=r"--start gone\.pth: no such file"):
        load_imagenet("gone.pth", "mobilenet_v2", tmp_path)
    with pytest.raises(TrainingError, match=r"offline\?\): download it elsewhere, and name the file with --start"):
        load_imagenet("mobilenet_v2", "mobilenet_v2", tmp_path / "pretrained")
    torch.save({"something": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(TrainingError, match=r"other\.pth: not torchvision's weights of mobilenet_v2"):
        load_imagenet(str(tmp_path / "other.pth"), "mobilenet_v2", tmp_path)
    assert not list((tmp_path / "pretrained").iterdir())
