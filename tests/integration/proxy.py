"""The proxy: a loopback port on the way to a server, which counts what passes and holds it up."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator


class Proxy:
    """Listens on a port of ``127.0.0.1`` and passes everything on, both ways.

    Args:
        port: Where the server listens, on ``127.0.0.1``.

    Attributes:
        port: Where the proxy listens.
        url: URL of a store in Redis behind it.
        trips: How often a client has spoken after the server had answered, or first: its round trips.
        commands: How often each command of Redis was sent, by its name.
        connections: How many were made.
        delay: Says for how many seconds each piece of an answer is held up; may throw dice.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.trips = self.connections = 0
        self.commands: Counter[str] = Counter()
        self.delay: Callable[[], float] = float
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def count(self, work: Callable[[], object]) -> int:
        """Return how many round trips something takes."""
        before = self.trips
        work()
        return self.trips - before

    def close(self) -> None:
        """End every connection."""
        self._closed.set()
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                far = socket.create_connection(("127.0.0.1", self._server))
            except OSError:  # nobody listens there: the client shall see that, too
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ends += [near, far]
            answered = threading.Event()
            answered.set()
            for work in (self._up, self._down):
                self._threads.append(threading.Thread(target=work, args=(near, far, answered)))
                self._threads[-1].start()

    def _up(self, near: socket.socket, far: socket.socket, answered: threading.Event) -> None:
        unread = b""
        for piece in _pieces(near):
            names, unread = _names(unread + piece)
            with self._lock:
                self.trips += answered.is_set()
                self.commands.update(names)
            answered.clear()
            with contextlib.suppress(OSError):
                far.sendall(piece)
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)

    def _down(self, near: socket.socket, far: socket.socket, answered: threading.Event) -> None:
        for piece in _pieces(far):
            if self._closed.wait(self.delay()):
                break
            answered.set()
            with contextlib.suppress(OSError):
                near.sendall(piece)
        with contextlib.suppress(OSError):
            near.shutdown(socket.SHUT_RDWR)


def _pieces(end: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(OSError):
        while data := end.recv(1 << 20):
            yield data


def _names(data: bytes) -> tuple[list[str], bytes]:
    """Return the names of the commands in what a client of Redis has sent, and what is not a whole one yet."""
    names: list[str] = []
    while data.startswith(b"*"):
        parts, rest = [], data
        head, mark, rest = rest.partition(b"\r\n")
        for _ in range(int(head[1:])) if mark else ():
            size, mark, rest = rest.partition(b"\r\n")
            if not mark or len(rest) < int(size[1:]) + 2:
                return names, data
            parts.append(rest[: int(size[1:])])
            rest = rest[int(size[1:]) + 2 :]
        if not parts:
            return names, data
        names.append(parts[0].decode().upper())
        data = rest
    return names, b"" if names else data
