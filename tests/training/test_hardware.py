from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch

from detector.training import hardware
from detector.training.single_stage.ultralytics_env import ultralytics_env


class _Criterion:
    updates = 0

    def __call__(self, preds: dict[str, torch.Tensor], batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict]:
        product = preds["boxes"] @ batch["weights"]
        return product, {"box": product.detach()}

    def update(self) -> None:
        self.updates += 1


def test_the_loss_is_computed_in_float32_inside_a_bfloat16_forward_pass() -> None:
    criterion = _Criterion()
    loss = hardware.Float32Loss(criterion)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        boxes = torch.full((1, 64), 1.001) @ torch.eye(64)
        value, items = loss({"boxes": boxes, "feats": [boxes, boxes]}, {"weights": torch.full((64, 1), 1.001)})
    assert boxes.dtype == torch.bfloat16
    assert value.dtype == items["box"].dtype == torch.float32
    assert value.item() == pytest.approx(64 * boxes[0, 0].item() * 1.001, rel=1e-6)


def test_the_wrapped_criterion_still_hears_the_end_of_an_epoch() -> None:
    criterion = _Criterion()
    hardware.Float32Loss(criterion).update()
    assert criterion.updates == 1


def test_no_more_threads_than_the_process_may_use() -> None:
    assert 1 <= hardware.physical_cores() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin a process to cores")
def test_a_process_that_is_pinned_to_one_core_gets_one_thread() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert hardware.physical_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_the_last_validation_has_as_many_threads_as_the_training() -> None:
    with ultralytics_env():
        from ultralytics.utils.torch_utils import select_device

        import detector.training.single_stage.trainer  # noqa: F401 - which tells ultralytics
    threads = torch.get_num_threads()
    try:
        select_device("cpu")
        assert torch.get_num_threads() == hardware.physical_cores()
    finally:
        torch.set_num_threads(threads)


class _Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 8, 3)

    def init_criterion(self) -> _Criterion:
        return _Criterion()


def prepared(device: str) -> SimpleNamespace:
    trainer = SimpleNamespace(
        device=torch.device(device), amp=False, model=_Network(), ema=SimpleNamespace(ema=_Network())
    )
    threads = torch.get_num_threads()
    try:
        hardware.accelerate(trainer)
    finally:
        torch.set_num_threads(threads)
    return trainer


def test_the_network_and_its_moving_average_share_one_memory_order_and_stay_float32() -> None:
    trainer = prepared("cpu")
    for network in (trainer.model, trainer.ema.ema):
        assert network.layer.weight.is_contiguous(memory_format=torch.channels_last)
        assert network.layer.weight.dtype == torch.float32


def test_half_precision_is_switched_on_together_with_the_float32_loss_and_only_where_it_is_native() -> None:
    trainer = prepared("cpu")
    assert trainer.amp == hardware.has_native_bfloat16()
    assert isinstance(getattr(trainer.model, "criterion", None), hardware.Float32Loss) == trainer.amp
    assert not hasattr(trainer.ema.ema, "criterion")


def test_another_device_is_left_alone() -> None:
    trainer = prepared("meta")
    assert not trainer.amp
    assert trainer.model.layer.weight.is_contiguous()
