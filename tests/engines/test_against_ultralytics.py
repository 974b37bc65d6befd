"""The promise most often broken elsewhere: the same network gives the same faces here and where it was trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detector.engines import SingleStage, default_weights
from detector.media import images
from detector.scoring.confidences import uncalibrated
from detector.training.single_stage.ultralytics_env import ultralytics_env

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "images"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch and ultralytics about their own insides
@pytest.mark.parametrize("imgsz", [640, 416])
def test_the_shipped_network_finds_the_same_faces_as_in_ultralytics(imgsz: int) -> None:
    pytest.importorskip("ultralytics", reason="needs the extra train")
    network = uncalibrated(default_weights())  # ultralytics knows scores only
    with ultralytics_env(), SingleStage(network, imgsz=imgsz, conf=0.25, iou=0.6) as engine:
        from ultralytics import YOLO

        model = YOLO(str(default_weights()), task="detect")
        for path in images.list_images(SAMPLE):
            image = images.read(path)
            ours = engine(image)
            theirs = model.predict(
                image, imgsz=imgsz, conf=0.25, iou=0.6, agnostic_nms=True, device="cpu", verbose=False
            )[0].boxes
            assert ours.class_id.tolist() == theirs.cls.int().tolist(), path.name
            np.testing.assert_allclose(ours.xyxy, theirs.xyxy.numpy(), atol=0.1, err_msg=path.name)
            np.testing.assert_allclose(ours.confidence, theirs.conf.numpy(), atol=1e-3, err_msg=path.name)
