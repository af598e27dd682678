"""One client connection of an emulated vendor: takes requests one at a time and performs what the book says."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import cast

from ._emulator_behaviours import Plain
from ._emulator_book import Book
from ._emulator_exchange import Answer
from ._emulator_http import Head, MalformedRequestError, RequestReader
from ._emulator_script import Script, script_of

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_LINGER = struct.pack("ii", 1, 0)


def reset_on_close(sock: socket.socket) -> None:
    """Make the coming close of a socket send RST instead of FIN.

    >>> with socket.socket() as sock:
    ...     reset_on_close(sock)
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


class Connection(asyncio.Protocol):
    """Protocol of one connection.

    Args:
        sock: The accepted socket; the transport owns it.
        number: Of the connection, from 1.
        book: Routes and arrivals.
        peers: All open connections of the emulator; this one keeps itself in it while it is open.
    """

    def __init__(self, sock: socket.socket, number: int, book: Book, peers: set[Connection]) -> None:
        self._sock = sock
        self._number = number
        self._book = book
        self._peers = peers
        self._reader = RequestReader()
        self._script: Script | None = None
        self._next_step: asyncio.Handle | None = None
        self._writable = True

    @property
    def idle(self) -> bool:
        """Whether no request is under way, nor the beginning of one."""
        return self._script is None and self._reader.idle and not self._transport.get_write_buffer_size()

    def close(self) -> None:
        """End the connection properly (FIN)."""
        self._transport.close()

    def reset(self) -> None:
        """End the connection at once (RST), whatever is under way."""
        with contextlib.suppress(OSError):  # under TLS, the socket is closed a turn of the loop before we are told
            reset_on_close(self._sock)
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start: called by the event loop, once the TLS handshake (if any) is done."""
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._peers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # the signature is asyncio's
        """Give up what is under way: the client left, or the connection was ended."""
        self._peers.discard(self)
        if self._next_step is not None:
            self._next_step.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        self._reader.feed(data)
        self._serve()

    def pause_writing(self) -> None:
        """Note that the client reads too slowly."""
        self._writable = False

    def resume_writing(self) -> None:
        """Go on where writing was paused."""
        self._writable = True
        if self._script is None:
            self._serve()
        elif self._next_step is None:  # else a delay is under way
            self._perform()

    def _serve(self) -> None:
        while self._script is None and self._writable and not self._transport.is_closing():
            try:
                request = self._reader.next()
            except MalformedRequestError as error:
                refusal = Answer(error.status, json={"error": "malformed request", "detail": str(error)})
                self._play(refusal, "GET", close=True)
                return
            if request is None:
                if self._reader.take_expectation():
                    self._transport.write(_CONTINUE)
                return
            self._answer(*request)

    def _answer(self, head: Head, body: bytes) -> None:
        arrival, behaviour = self._book.receive(head, body, self._number)
        try:
            plain = self._book.settle(behaviour, arrival)
        except Exception as error:  # a Compute calls foreign code: its error is the test's
            plain = Answer(500, json={"error": "computing the answer failed", "detail": repr(error)})
        self._play(plain, head.method, close=not head.keep_alive)

    def _play(self, behaviour: Plain, method: str, *, close: bool) -> None:
        if isinstance(behaviour, Answer) and not (behaviour.delay_seconds or behaviour.closes or close):
            self._transport.write(behaviour.wire(method))  # what a script would come to, in one step
            return
        self._script = script_of(behaviour, method, close=close)
        self._perform()

    def _perform(self) -> None:
        """Take the next step, or end; one step per turn of the loop, so that a huge body holds up nobody else."""
        self._next_step = None
        if self._script is None or self._transport.is_closing():
            return
        step = next(self._script.steps, None)
        if step is None:
            self._end(self._script)
            return
        wait_seconds, data = step
        if wait_seconds:
            self._next_step = self._loop.call_later(wait_seconds, self._write, data)
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        # Scheduled before the write: a client that has read the last step finds the connection idle (`close_idle`).
        self._next_step = self._loop.call_soon(self._perform)
        self._transport.write(data)
        if not self._writable:
            self._next_step.cancel()
            self._next_step = None

    def _end(self, script: Script) -> None:
        if script.ending == "reset":
            self.reset()
        elif script.ending == "close":
            self.close()
        elif script.ending == "keep":
            self._script = None
            self._serve()
