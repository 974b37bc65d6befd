"""What holds for all tests."""

from __future__ import annotations

import signal

# Where pytest itself was started in the background, Ctrl-C is ignored, and the commands it starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
