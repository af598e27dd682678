"""The server: answers every request with the same small JSON, in a process of its own.

It reads no more of a request than where it ends, so that it is never what is measured. Run as a program it prints its
URL and serves until its input ends; `serving` runs it and pins it to a core.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

BODY = b'{"id": "ord_1001", "status": "paid", "amount": 4200, "currency": "EUR"}'
"""What every answer holds."""

_ANSWER = (
    b"HTTP/1.1 200 OK\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b"Server: bench\r\n"
    b"Content-Type: application/json\r\n"
    b"Content-Length: %d\r\n"
    b"X-Request-Id: req_1001\r\n"
    b"\r\n"
    b"%s"
) % (len(BODY), BODY)
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_BACKLOG = 4096
"""Connections that may wait to be taken: a thousand come at once."""


class Answering(asyncio.Protocol):
    """One connection, kept open.

    Args:
        delay_seconds: How long each answer is held back; 0: not at all.
    """

    def __init__(self, delay_seconds: float) -> None:
        self._delay = delay_seconds
        self._rest = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._write = transport.write

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        if self._rest:
            data = self._rest + data
        while data:
            head = data.find(b"\r\n\r\n")
            if head < 0:
                break
            end = head + 4
            if not data.startswith(b"GET ") and (length := _LENGTH.search(data, 0, head)):
                end += int(length[1])
                if len(data) < end:
                    break
            if self._delay:
                self._loop.call_later(self._delay, self._write, _ANSWER)
            else:
                self._write(_ANSWER)
            data = data[end:]
        self._rest = data


@contextmanager
def serving(core: int | None = None, *, delay_seconds: float = 0.0) -> Generator[str]:
    """Run the server; yields its URL.

    Args:
        core: The core it is pinned to; ``None``: any.
        delay_seconds: How long each answer is held back.
    """
    command = [sys.executable, str(Path(__file__)), str(delay_seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            yield process.stdout.readline().strip()
        finally:
            process.kill()


async def _serve(delay_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(delay_seconds), "127.0.0.1", 0, backlog=_BACKLOG)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def _end_with_input() -> None:
    """End when whoever started this is gone."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_input, daemon=True).start()
    asyncio.run(_serve(float(sys.argv[1])))
