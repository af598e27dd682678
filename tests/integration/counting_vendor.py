"""The counting vendor: a server in a process of its own that notes to the microsecond when each request arrives."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


def most_in(moments: Sequence[float], window: float) -> int:
    """Return how many of the moments lie in the fullest window of this length, wherever it begins."""
    ordered, first, most = sorted(moments), 0, 0
    for last, moment in enumerate(ordered):
        while moment - ordered[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most


class CountingVendor:
    """Answers every request with ``{}`` and keeps its moment, seconds of this machine's monotonic clock.

    It has a process of its own, so that callers who take the interpreter do not make its clock late.

    Attributes:
        url: Where it listens.
    """

    def __init__(self) -> None:
        self._orders, theirs = Pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self._orders.close()
                asyncio.run(_Server(theirs).serve())
            finally:
                os._exit(0)
        theirs.close()
        self.url: str = self._orders.recv()

    def delay(self, seconds: float) -> None:
        """Let each request take up to so long on its way, by chance, before it has arrived."""
        self._ask("delay", seconds)

    def answer(self, path: str, status: int, headers: Mapping[str, str]) -> None:
        """Answer requests for a path otherwise, without a body."""
        self._ask("answer", (path, status, dict(headers)))

    def clear(self) -> None:
        """Forget what has arrived."""
        self._ask("clear", None)

    def arrivals(self, path: str) -> list[float]:
        """Return when requests for a path arrived, in their order."""
        moments: list[float] = self._ask("arrivals", path)
        return moments

    def close(self) -> None:
        """End it."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._orders.close()

    def _ask(self, what: str, argument: object) -> Any:
        self._orders.send((what, argument))
        return self._orders.recv()


class _Server:
    def __init__(self, orders: Connection) -> None:
        self._orders = orders
        self._delay = 0.0
        self._answers: dict[str, bytes] = {}
        self._moments: defaultdict[str, list[float]] = defaultdict(list)
        self._chance = random.Random(0)  # delays, not cryptography

    async def serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=1024)
        asyncio.get_running_loop().add_reader(self._orders.fileno(), self._obey)
        self._orders.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await asyncio.Event().wait()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                return
            path = head.split(b" ", 2)[1].decode()
            if self._delay:
                await asyncio.sleep(self._chance.random() * self._delay)
            self._moments[path].append(time.monotonic())
            writer.write(self._answers.get(path, ANSWER))

    def _obey(self) -> None:
        what, argument = self._orders.recv()
        if what == "delay":
            self._delay = argument
        elif what == "answer":
            path, status, headers = argument
            lines = [f"HTTP/1.1 {status} Other", *(f"{name}: {value}" for name, value in headers.items())]
            self._answers[path] = "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode()
        elif what == "clear":
            self._moments.clear()
        self._orders.send(sorted(self._moments[argument]) if what == "arrivals" else None)
