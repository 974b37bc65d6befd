from __future__ import annotations

import io
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import box_iou

from detector.data.loading import load_yolo
from detector.detections import Detections
from detector.engines.face_finders import load_finder
from detector.engines.session import OnnxSession
from detector.errors import AnnotationError, ModelError, TrainingError
from detector.media import images
from detector.scoring import Example
from detector.training.checkpoint import FACE_FINDER, write_two_step
from detector.training.exporter import export
from detector.training.history import Trained
from detector.training.resume import resume
from detector.training.start import load_imagenet
from detector.training.two_step import face_ssd_network
from detector.training.two_step.face_ssd_data import SMALLEST, Pictures, view, views
from detector.training.two_step.face_ssd_network import Decoded, FaceSSD, Targets, detection_loss, match_priors
from detector.training.two_step.face_ssd_training import FaceFinderLearner, FaceFinderSettings, measure
from tests.training.build import SAMPLE, yolo_folder
from tests.training.two_step_parts import imagenet, stop_in

PICTURES = sorted((SAMPLE / "images").iterdir())[:1]


def settings(**changes: object) -> FaceFinderSettings:
    return FaceFinderSettings(**{"data": str(yolo_folder()), "epochs": 2, "imgsz": 64, "batch": 16, **changes})


def start() -> dict[str, torch.Tensor]:
    return load_imagenet(str(imagenet()), "mobilenet_v2", Path("nowhere"))


def new_run(folder: Path, name: str = "run") -> Path:
    (folder / name).mkdir()
    return folder / name


@pytest.fixture(scope="module")
def network() -> FaceSSD:
    torch.manual_seed(0)
    return FaceSSD().eval()


@pytest.fixture(scope="module")
def priors(network: FaceSSD) -> torch.Tensor:
    with torch.inference_mode():
        return network(torch.zeros(1, 3, 512, 512))[2].clone()


def test_the_head_has_a_prediction_for_each_prior_whatever_the_shape(network: FaceSSD) -> None:
    for height, width in ((32, 32), (96, 160), (64, 320)):
        with torch.inference_mode():
            logits, offsets, priors = network(torch.zeros(2, 3, height, width))
        assert logits.shape == (2, len(priors), 2)
        assert offsets.shape == (2, len(priors), 4)


def test_priors_stand_where_their_features_look() -> None:
    """A map with a single bright cell: the head's answer changes most for priors of that cell."""
    torch.manual_seed(1)
    head_only = FaceSSD().eval()
    maps = [torch.zeros(1, face_ssd_network.WIDTH, 128 // s, 256 // s) for s in (8, 16, 32, 64)]
    quiet = head_only.head(maps)["cls_logits"]
    maps[1][0, :, 2, 5] = 100.0  # stride 16: around (88, 40)
    changed = (head_only.head(maps)["cls_logits"] - quiet).abs().sum(dim=2)[0]
    boxes = face_ssd_network._priors(maps)
    centres = ((boxes[:, :2] + boxes[:, 2:]) / 2)[changed > 0]
    assert (centres - torch.tensor([88.0, 40.0])).abs().max() <= 16  # a 3 x 3 convolution
    assert torch.tensor([88.0, 40.0]) in centres


def test_every_face_from_10_px_has_a_prior_that_learns_it_well(priors: torch.Tensor) -> None:
    rng = np.random.default_rng(0)
    for size in np.geomspace(10, 400, 25):
        corner = rng.uniform(0, 512 - size * 1.15, 2)
        face = torch.tensor([[*corner, corner[0] + size * 0.9, corner[1] + size * 1.1]], dtype=torch.float32)
        assert box_iou(face, priors).max() > 0.4, size


def test_what_the_coder_encodes_is_decoded_to_the_face(priors: torch.Tensor) -> None:
    faces = torch.tensor([[100.0, 100, 140, 150], [200, 200, 212, 215], [10, 10, 400, 500]])
    learnt = match_priors(faces, faces[:0], priors).face
    mine = learnt >= 0
    encoded = BoxCoder(face_ssd_network.CODER_WEIGHTS).encode_single(faces[learnt[mine]], priors[mine])
    decoded = face_ssd_network._decode(encoded[None], priors[mine])[0]
    assert set(learnt[mine].tolist()) == {0, 1, 2}
    torch.testing.assert_close(decoded, faces[learnt[mine]], atol=1e-3, rtol=1e-5)


def test_priors_on_an_ignored_face_are_not_asked_and_those_on_a_face_beside_it_are(priors: torch.Tensor) -> None:
    face, ignored = torch.tensor([[100.0, 100, 140, 150]]), torch.tensor([[120.0, 100, 160, 150]])
    learnt = match_priors(face, ignored, priors).face
    assert (learnt[(box_iou(face, priors) >= 0.45)[0]] == 0).all()
    overlapping = (box_iou(ignored, priors) >= 0.2)[0] & (box_iou(face, priors) < 0.3)[0]
    assert overlapping.any()
    assert (learnt[overlapping] == -2).all()
    assert (learnt[(box_iou(torch.cat([face, ignored]), priors) == 0).all(dim=0)] == -1).all()


def test_priors_in_a_region_much_larger_than_faces_are_not_asked(priors: torch.Tensor) -> None:
    region = torch.tensor([[0.0, 0, 300, 300]])
    learnt = match_priors(region[:0], region, priors).face
    inside = ((priors[:, :2] >= 0) & (priors[:, 2:] <= 300)).all(dim=1)
    assert (learnt[inside] == -2).all()
    assert (learnt[(priors[:, :2] > 300).any(dim=1)] == -1).all()


def test_the_loss_takes_the_hardest_negatives_and_skips_what_is_not_asked() -> None:
    priors = torch.tensor([[10.0 * i, 0, 10 * i + 10, 10] for i in range(200)])
    face = torch.full((200,), -1)
    face[0], face[1] = 0, -2
    logits = torch.zeros(1, 200, 2)
    logits[0, 1, 1] = 50.0  # surely a face, and not asked
    logits[0, 2:80, 1] = 1.0  # false alarms: more than are taken
    boxes = priors[:1].clone()
    score_loss, box_loss = detection_loss(logits, torch.zeros(1, 200, 4), priors, [Targets(face, boxes)])
    taken = face_ssd_network.LEAST_NEGATIVES
    assert score_loss.item() == pytest.approx(np.log(2) + taken * np.log(1 + np.e), rel=1e-5)
    assert box_loss.item() == 0


def test_pictures_without_a_face_give_a_loss_too() -> None:
    priors = torch.tensor([[0.0, 0, 10, 10]] * 100)
    empty = Targets(torch.full((100,), -1), torch.zeros(0, 4))
    losses = detection_loss(torch.zeros(1, 100, 2), torch.zeros(1, 100, 4), priors, [empty])
    assert losses[0].item() > 0
    assert losses[1].item() == 0


def test_a_face_is_in_the_view_where_its_box_says() -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[100:160, 200:250] = 255
    face, none = np.array([[200, 100, 250, 160]], np.float32), np.zeros((0, 4), np.float32)
    seen = 0
    for seed in range(40):
        shown = view(picture, face, none, 256, np.random.default_rng(seed))
        for left, top, right, bottom in shown.faces:
            rows, columns = np.nonzero(shown.image.max(axis=2) > 135)
            found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert np.abs(np.array(found) - [left, top, right, bottom]).max() <= 2
            seen += 1
    assert seen > 25


def test_small_and_cut_faces_and_regions_are_ignored_and_nothing_leaves_the_view() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 380, (200, 2))
    faces = np.concatenate([corners, corners + rng.uniform(2, 40, (200, 2))], axis=1).astype(np.float32)
    region = np.array([[0, 0, 400, 400]], np.float32)
    shown = view(np.zeros((400, 400, 3), np.uint8), faces, region, 128, rng)
    assert (shown.faces[:, 2:] - shown.faces[:, :2]).min() >= SMALLEST
    for boxes in (shown.faces, shown.ignored):
        assert boxes.min() >= 0
        assert boxes.max() <= 128
    assert len(shown.ignored) > 1


def test_the_same_seed_gives_the_same_epoch_and_a_mosaic_holds_four_pictures() -> None:
    pictures = Pictures(load_yolo(yolo_folder(), part="train"), 128)
    first, again, other = (
        [v for b in views(pictures, size=64, batch=4, mosaics=1.0, seed=seed) for v in b]
        for seed in ((0, 0), (0, 0), (0, 1))
    )
    assert len(first) == len(pictures) // 4 * 4
    assert all((a.image == b.image).all() and (a.faces == b.faces).all() for a, b in zip(first, again, strict=True))
    assert any((a.image != b.image).any() for a, b in zip(first, other, strict=True))
    assert {v.image.shape for v in first} == {(64, 64, 3)}


def test_recall_is_read_at_the_threshold_that_allows_one_false_face_an_image() -> None:
    def example(boxes: list[list[float]], scores: list[float]) -> Example:
        truth = np.array([[0, 0, 20, 20], [50, 50, 90, 90], [100, 100, 108, 108]], np.float32)
        ones, zeros = np.ones(3, np.float32), np.zeros(3, np.int64)
        found = Detections(np.array(boxes, np.float32), np.array(scores, np.float32), np.zeros(len(boxes), np.int64))
        return Example(Detections(truth, ones, zeros), found)

    far = [[200, 0, 230, 30], [300, 0, 330, 30]]
    surely = example([[0, 0, 20, 20], *far, [50, 50, 90, 90]], [0.9, 0.8, 0.7, 0.6])
    result = measure([surely])
    assert (result.recall, result.threshold, result.faces) == (0.5, pytest.approx(0.7), 2)  # 8 px do not count
    quiet = example([[0, 0, 20, 20], [50, 50, 90, 90]], [0.9, 0.3])
    assert measure([surely, quiet]).recall == 1.0  # two false faces in two images
    assert measure([quiet]).threshold == 0.0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    run = new_run(tmp_path_factory.mktemp("faces"))
    return FaceFinderLearner(settings(), run, "cpu").start(start())


@pytest.mark.slow
def test_an_interrupted_training_goes_on_as_if_nothing_had_been(
    trained: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = new_run(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        FaceFinderLearner(settings(), run, "cpu", stop_in(2, step=1)).start(start())
    caplog.clear()
    caplog.set_level(logging.INFO, "detector")
    resume(run, device="cpu")
    assert next(m for m in caplog.messages if m.startswith("epoch")).startswith("epoch 2/2  loss ")
    ours, theirs = (
        torch.load(path / "weights" / "last.pt", weights_only=True)["network"] for path in (run, trained.run)
    )
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], atol=1e-4, rtol=1e-3)


@pytest.mark.slow
def test_the_exported_finder_is_what_the_engine_loads(trained: Trained, tmp_path: Path) -> None:
    done = export(trained.best, tmp_path / "faces.onnx", images=trained.examples[:1])
    assert done.parity.pixels <= 0.5
    assert done.parity.score <= 1e-3
    with OnnxSession(done.path, device="cpu") as session:
        assert session.metadata.names == ("face",)
        assert (session.metadata.stride, session.metadata.imgsz) == (32, 64)
        assert session.metadata.raw["license"] == "AGPL-3.0-or-later"
        assert session.metadata.raw["data"].startswith("trained on ")
    finder = load_finder(f"ssd={done.path}", conf=0.001, device="cpu")
    picture = images.read(PICTURES[0])
    boxes, scores = finder(picture)
    assert boxes.shape == (len(scores), 4)
    finder.close()


@pytest.mark.slow
def test_a_file_that_differs_from_its_checkpoint_is_not_written(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.training.parity.MAX_SCORE", -1.0)
    with pytest.raises(ModelError, match="nothing was written"):
        export(trained.best, tmp_path / "faces.onnx", images=trained.examples[:1])
    assert not list(tmp_path.iterdir())


def test_a_training_that_cannot_begin_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"--batch 5000: there are only \d+ training images"):
        FaceFinderLearner(settings(batch=5000), tmp_path, "cpu")
    with pytest.raises(AnnotationError, match=r"nothing\.yaml"):
        FaceFinderLearner(settings(data="nothing.yaml"), tmp_path, "cpu")
    with pytest.raises(TrainingError, match="no checkpoint there"):
        resume(tmp_path, device="cpu")
    (tmp_path / "weights").mkdir()
    write_two_step(tmp_path / "weights" / "last.pt", {"kind": FACE_FINDER, "settings": {}})
    with pytest.raises(TrainingError, match="begun by an earlier version"):
        resume(tmp_path, device="cpu")


def test_a_size_is_rounded_up_to_what_a_mosaic_divides() -> None:
    assert [settings(imgsz=size).imgsz for size in (64, 65, 500)] == [64, 128, 512]


def test_a_folder_without_a_face_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(yolo_folder().parent, folder)
    for label in folder.rglob("labels/train/*.txt"):
        label.write_text("")
    with pytest.raises(TrainingError, match="no face is labelled in train"):
        FaceFinderLearner(settings(data=str(folder / "data.yaml")), tmp_path, "cpu")


def test_a_checkpoint_of_something_else_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    last = tmp_path / "weights" / "last.pt"
    last.write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match=r"last\.pt: not a detector that ultralytics can read"):
        resume(tmp_path, device="cpu")
    torch.save({"kind": "something else"}, buffer := io.BytesIO())
    last.write_bytes(buffer.getvalue())
    with pytest.raises(ModelError, match=r"last\.pt: not a detector that ultralytics can read"):
        resume(tmp_path, device="cpu")


def test_settings_that_are_saved_name_no_more_than_they_need(trained: Trained) -> None:
    content = torch.load(trained.best, weights_only=True)
    assert content["kind"] == "face finder"
    assert json.dumps(content["settings"])
    assert "optimizer" not in content


def test_the_readable_network_gives_scores_from_0_to_1(network: FaceSSD) -> None:
    with torch.inference_mode():
        boxes, scores = Decoded(network)(torch.rand(1, 3, 64, 64))
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert torch.isfinite(boxes).all()
