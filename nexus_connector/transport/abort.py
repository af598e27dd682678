"""The abort handle: ends the socket of a send that runs in another thread."""

from __future__ import annotations

import contextlib
import socket
import threading


class Abort:
    """Shared by the thread that sends and the one that may end it.

    >>> abort = Abort()
    >>> abort.fire()
    >>> abort.fired
    True
    """

    __slots__ = ("_lock", "_socket", "fired")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.fired = False

    def watch(self, sock: socket.socket | None) -> None:
        """Name the socket in use; ``None`` when it is given back. Ends it at once if the abort came before."""
        with self._lock:
            self._socket = sock
            if self.fired and sock is not None:
                _shut(sock)

    def fire(self) -> None:
        """End the send: its socket is shut down in both directions, which wakes the thread that waits on it."""
        with self._lock:
            self.fired = True
            if self._socket is not None:
                _shut(self._socket)


def _shut(sock: socket.socket) -> None:
    # socket.socket's own method: SSLSocket.shutdown would drop the TLS state under the thread that reads.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
