"""Ultralytics without its habits: no network, no telemetry, no installs, nothing in the user's settings, no chatter."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from detector.errors import ModelError
from detector.staging import temporary_folder
from detector.training import require_packages

__all__ = ["ultralytics_env"]

log = logging.getLogger(__name__)


class _ToOurLog(logging.Handler):
    """What ultralytics says becomes a debug line of ours, shown with ``--verbose``."""

    def emit(self, record: logging.LogRecord) -> None:
        log.debug("ultralytics: %s", record.getMessage().strip())


@contextmanager
def ultralytics_env(*, trust: bool = False) -> Iterator[None]:
    """Import ultralytics tamed, and keep its and torch's warnings (about their own insides) from the user's screen.

    Its settings go to a folder that is removed when the process ends. Where the caller imported ultralytics before,
    the caller's settings hold, and only the chatter is silenced.

    Args:
        trust: checkpoints (.pt), which are pickles, may run the code that they hold. Otherwise ultralytics loads and
            builds nothing but the networks it knows: its own checkpoints and ours need no more.

    Raises:
        ModelError: this torch cannot load a checkpoint without running its code.
        MissingExtraError: the packages of the extra ``train`` are not installed.
    """
    require_packages()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "ultralytics" not in sys.modules:
            _prepare_environment()
        from ultralytics.utils import LOGGER

        LOGGER.handlers[:] = [_ToOurLog()]
        with _restricted_loading(restricted=not trust):
            yield


@contextmanager
def _restricted_loading(*, restricted: bool) -> Iterator[None]:
    """What ULTRALYTICS_SAFE_LOAD=1 does, also where ultralytics was imported before."""
    import torch
    from ultralytics.nn import tasks

    if restricted and not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        raise ModelError("this torch would run what a checkpoint holds: pip install 'torch>=2.6'")
    before = tasks.SAFE_LOAD
    tasks.SAFE_LOAD = restricted
    try:
        yield
    finally:
        tasks.SAFE_LOAD = before


def _prepare_environment() -> None:
    """Ultralytics reads these once, when it is imported."""
    stack = ExitStack()
    settings = stack.enter_context(temporary_folder())
    atexit.register(stack.close)
    os.environ.update(
        YOLO_CONFIG_DIR=str(settings),
        YOLO_OFFLINE="true",  # no connection test, no usage events, no question for a newer version
        YOLO_AUTOINSTALL="false",
        YOLO_VERBOSE="false",  # no progress bars
    )
    os.environ.pop("ULTRALYTICS_API_KEY", None)  # with a key, runs are streamed to its platform
    # Ultralytics downloads a font before it reads any data set, unless one of this name is there.
    import matplotlib

    folder = settings / "Ultralytics"
    folder.mkdir()
    shutil.copyfile(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", folder / "Arial.ttf")
