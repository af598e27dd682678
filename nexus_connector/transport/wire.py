"""The wire: a connected socket as http.client sees it; every read and write on it ends by the deadline."""

from __future__ import annotations

import contextlib
import io
import ssl
import time
from typing import TYPE_CHECKING

from ..io.turns import wait_for_turn
from .sockets import shut

if TYPE_CHECKING:
    import socket

    from _typeshed import WriteableBuffer

    from .sockets import Sockets

_GRAIN_SECONDS = 0.005
"""How far a socket's timeout may lag behind the deadline before it is set anew: each setting is a system call."""


class _Reader(io.RawIOBase):
    """The raw end below http.client: the deadline is looked at before each recv, so no drip outlives it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.deadline = 0.0
        self.received = 0
        self.ended = False
        self.takes_turns = False
        self._armed = -1.0

    def arm(self, *, is_ready: bool = False) -> None:
        """Give the socket what is left.

        Args:
            is_ready: Whether something to read was there in time: it is read even if nothing is left by now.

        Raises:
            TimeoutError: If nothing is.
        """
        left = self.deadline - time.monotonic()
        if is_ready and left < _GRAIN_SECONDS:
            left = _GRAIN_SECONDS
        if not 0.0 <= self._armed - left <= _GRAIN_SECONDS:
            if left <= 0.0:
                raise TimeoutError
            # Half a grain ahead, so that the next request with as much time finds it set.
            self._armed = left + _GRAIN_SECONDS / 2
            self.sock.settimeout(self._armed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        self.arm(is_ready=self.takes_turns and wait_for_turn(self.sock, self.deadline))
        count = self.sock.recv_into(buffer)
        self.received += count
        if not count:
            self.ended = True
        return count

    def tell(self) -> int:
        return self.received

    def close(self) -> None:
        """Do nothing: the socket is the wire's to close, and an answer may be collected later than this."""


class _File(io.BufferedReader):
    """One buffer for all answers of a connection."""

    def close(self) -> None:
        """Do nothing: http.client closes its file after each answer."""


class Wire:
    """A connected socket with a deadline; what http.client and urllib3 call on a socket, and nothing else.

    Attributes:
        sock: The socket itself.
        wrote: Whether a byte of the present request went to the kernel.
    """

    __slots__ = ("__weakref__", "_file", "_reader", "_sockets", "sock", "wrote")

    def __init__(self, sock: socket.socket, sockets: Sockets) -> None:
        self.sock = sock
        self.wrote = False
        self._sockets = sockets
        self._reader = _Reader(sock)
        self._file = _File(self._reader)

    def begin(self, deadline: float, *, takes_turns: bool) -> None:
        """Begin a request.

        Args:
            deadline: When it must have ended, ``time.monotonic()`` seconds.
            takes_turns: Whether I/O threads wait for its answer, perhaps with many others.
        """
        self.wrote = False
        self._reader.takes_turns = takes_turns
        self._reader.deadline = deadline
        self._reader.ended = False

    def extend(self, deadline: float) -> None:
        """Move the deadline."""
        self._reader.deadline = deadline

    def rest(self) -> None:
        """End the request: of the next one nothing is written yet."""
        self.wrote = False

    def sendall(self, data: bytes) -> None:
        """Write all of `data` by the deadline."""
        self._reader.arm()
        sent = self._send(data)
        if sent < len(data):
            view = memoryview(data)[sent:]
            while view:
                self._reader.arm()
                view = view[self._send(view) :]

    def _send(self, data: bytes | memoryview) -> int:
        try:
            sent = self.sock.send(data)
        except OSError:
            # A TLS record may have left in part.
            self.wrote = self.wrote or isinstance(self.sock, ssl.SSLSocket)
            raise
        self.wrote = True
        return sent

    @property
    def ended(self) -> bool:
        """Whether the peer, or a shutdown from this side, ended the stream during the present request."""
        return self._reader.ended

    @property
    def is_clean(self) -> bool:
        """Whether nothing came beyond what was read: a server that says more than it was asked is not asked again."""
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return False
        return self._file.tell() == self._reader.received

    def makefile(self, mode: str) -> io.BufferedReader:  # http.client asks for "rb", which it is
        """Return the reading end."""
        return self._file

    def fileno(self) -> int:
        """Return the descriptor, for the look whether an idle connection was closed."""
        return self.sock.fileno()

    def close(self) -> None:
        """End it: urllib3 does so with an idle connection that is dead, or too many."""
        self.end()

    def shut(self) -> None:
        """Shut the connection down in both directions; the socket stays open for the thread that reads."""
        shut(self.sock)

    def end(self) -> None:
        """Close the socket; again is harmless."""
        self._sockets.end(self.sock)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # an interrupt may come before there is anything to end
            self.end()
