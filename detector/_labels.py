"""Goes when nobody imports it: see :mod:`detector.cli.label_flags`."""

from detector.cli.label_flags import add_label_flags, check_label_flags, sources_given
from detector.cli.label_flags import convert_labels as convert

__all__ = ["add_label_flags", "check_label_flags", "convert", "sources_given"]
