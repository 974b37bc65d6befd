"""Goes when nobody imports it: see :mod:`detector.cli` and :mod:`detector.cli.flags`."""

from __future__ import annotations

import argparse

from detector.cli import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_PARTIAL,
    EXIT_USER_ERROR,
    make_parser,
    progress_bar,
    run_command,
)
from detector.cli.flags import add_engine_flags, add_flags, engine_from, fraction, name_and_class, positive, whole

__all__ = [
    "EXIT_INTERRUPTED",
    "EXIT_OK",
    "EXIT_PARTIAL",
    "EXIT_USER_ERROR",
    "add_conf_flag",
    "add_engine_flags",
    "add_trust_flag",
    "engine_from",
    "fraction",
    "make_parser",
    "name_and_class",
    "positive",
    "progress_bar",
    "run_command",
    "whole",
]


def add_conf_flag(group: argparse._ActionsContainer) -> None:
    """``--conf``."""
    add_flags(group, "--conf")


def add_trust_flag(group: argparse._ActionsContainer) -> None:
    """``--trust``."""
    add_flags(group, "--trust")
