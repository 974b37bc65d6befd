from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="tests that train need the extra train")
