"""The real page as its attackers meet it: a process of its own whose files, memory and words can be looked at."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from .conftest import OURS, ROOT, end, free_port, page_command


@dataclass
class Attacked:
    """A page under attack."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]
    host: str = "127.0.0.1"

    @property
    def address(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{name}:{self.port}"

    def said(self) -> str:
        """All that it has written."""
        return (self.folder / "said.txt").read_text(encoding="utf-8", errors="replace")

    def megabytes(self) -> float:
        """What it holds in memory."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6

    def uploads(self) -> list[str]:
        """Files of visitors on its disk."""
        return [path.name for path in (self.folder / "tmp").rglob("*") if path.is_file() and path.name not in OURS]

    def client(self, **settings: object) -> httpx.Client:
        """A browser before it, without the page's scripts."""
        return httpx.Client(base_url=self.address, timeout=30, trust_env=False, **settings)  # type: ignore[arg-type]

    def connect(self, sent: bytes = b"") -> socket.socket:
        """A bare connection on which ``sent`` was sent."""
        connection = socket.create_connection((self.host, self.port), timeout=30)
        connection.sendall(sent)
        return connection


@contextmanager
def attacked(
    folder: Path,
    *flags: str,
    files: int = 0,
    port: int = 0,
    host: str = "",
    env: Mapping[str, str] | None = None,
    limits: Mapping[str, float] | None = None,
) -> Iterator[Attacked]:
    """Run the demo until the ``with`` is left; ``files``: how many it may open; ``limits``: see ``page_command``."""
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    where = ["--port", str(port), *(["--host", host] if host else [])]
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            page_command(*where, *flags, limits=limits),
            stdout=said,
            stderr=said,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp"), **(env or {})},
            preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None,
        )
    page = Attacked(port, folder, process, host or "127.0.0.1")
    try:
        last = time.monotonic() + 180
        while "Ctrl-C ends it" not in page.said():
            assert process.poll() is None, f"it ended: {page.said()}"
            assert time.monotonic() < last, page.said()
            time.sleep(0.1)
        yield page
        assert process.poll() is None or process.returncode == -signal.SIGKILL, page.said()
    finally:
        end(process)
    assert "Traceback" not in page.said(), page.said()[-3000:]
