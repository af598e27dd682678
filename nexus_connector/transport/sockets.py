"""The open sockets of one transport, so that closing it ends those in use too."""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref

from ..errors import ConnectorClosedError


class Sockets:
    """Every socket of a transport from its creation to its end.

    A socket is shut down by whoever closes the transport, but closed only by the thread that uses it: a closed
    descriptor may already be another connection's.
    """

    __slots__ = ("_lock", "_open", "closed")

    def __init__(self) -> None:
        self._lock = threading.RLock()  # re-entered when a collection inside the lock finalises a connection
        # Weak: one that an interrupt lost is not kept open here.
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self.closed = False

    def check(self) -> None:
        """Say so if the transport is closed.

        Raises:
            ConnectorClosedError: If it is.
        """
        if self.closed:
            message = "The connector is closed."
            raise ConnectorClosedError(message, hint="Make a new one; nothing was sent.")

    def add(self, sock: socket.socket) -> None:
        """Keep a new socket in view.

        Raises:
            ConnectionAbortedError: If the transport is closed.
        """
        with self._lock:
            if self.closed:
                message = "the transport is closed"
                raise ConnectionAbortedError(message)
            self._open.add(sock)

    def end(self, sock: socket.socket) -> None:
        """Close a socket; again is harmless."""
        with self._lock:
            self._open.discard(sock)
        sock.close()

    def close(self) -> None:
        """Shut down every socket, which wakes the threads that wait on them, and take no more."""
        with self._lock:
            self.closed = True
            for sock in list(self._open):
                shut(sock)


def shut(sock: socket.socket) -> None:
    """Shut a socket down in both directions; what waits on it wakes, and reads the end."""
    with contextlib.suppress(OSError):
        # socket.socket's own: SSLSocket.shutdown would drop the TLS state under the thread that reads.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
