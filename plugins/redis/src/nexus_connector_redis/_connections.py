"""Connections: a bounded number of them to one server, shared by threads, none of them by processes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from queue import Empty, LifoQueue
from typing import TypeAlias

import redis

from nexus_connector.state import StoreError

from ._address import Wire

Reply: TypeAlias = object
"""Bytes, a number, a list of these, ``None``, or a `redis.ResponseError`."""


def command(*parts: bytes) -> bytes:
    r"""Write a command as Redis reads it.

    >>> command(b"GET", b"k")
    b'*2\r\n$3\r\nGET\r\n$1\r\nk\r\n'
    """
    return b"*%d\r\n" % len(parts) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


class Connections:
    """Connects when it is first used. One call has one connection for itself.

    Nothing is sent twice here: who gets no answer cannot know whether it was done.

    Args:
        dial: Makes a connection, not connected yet.
        count: How many there may be.
        wait_seconds: How long a thread waits for one when all are in use.
        explain: Turns a failure into what is raised.
    """

    def __init__(
        self,
        dial: Callable[[], Wire],
        *,
        count: int,
        wait_seconds: float,
        explain: Callable[[BaseException], StoreError],
    ) -> None:
        self._dial = dial
        self._count = count
        self._wait_seconds = wait_seconds
        self._explain = explain
        self._closed = False
        self._renew()

    def exchange(self, data: bytes, count: int) -> Sequence[Reply]:
        """Send commands and read their replies, in one round trip.

        Args:
            data: The commands.
            count: How many replies they have.

        Raises:
            StoreError: If not every reply came in time.
        """
        if self._pid != os.getpid():
            self._renew()
        places = self._places
        try:
            wire = places.get(timeout=self._wait_seconds)
        except Empty:
            raise self._explain(TimeoutError(f"all {self._count} connections are in use")) from None
        try:
            wire = self._ready(wire)
            wire.send_packed_command([data], check_health=False)
            return [_read(wire) for _ in range(count)]
        except BaseException as error:  # an interrupt in between, too: what is still under way belongs to nobody
            _end(wire)
            wire = None
            if isinstance(error, Exception):  # the driver's, TLS's, the resolver's: only they are at work here
                raise self._explain(error) from None
            raise
        finally:
            if self._closed:
                _end(wire)
                wire = None
            places.put(wire)

    def close(self) -> None:
        """Close what is idle now, and the others when they are given back. May be called twice."""
        self._closed = True
        if self._pid != os.getpid():
            return
        taken = 0
        with contextlib.suppress(Empty):
            while True:
                _end(self._places.get_nowait())
                taken += 1
        for _ in range(taken):
            self._places.put(None)

    def _renew(self) -> None:
        """Begin with no connection; those of a parent are its own, and its lock may be held by nobody."""
        places: LifoQueue[Wire | None] = LifoQueue()
        for _ in range(self._count):
            places.put(None)
        self._places = places
        self._pid = os.getpid()

    def _ready(self, wire: Wire | None) -> Wire:
        """Return a connection that the server has not closed meanwhile: nothing was sent, so it may be made anew."""
        if wire is not None:
            try:
                if not wire.can_read(0):
                    return wire
            except (redis.RedisError, OSError):
                pass
            wire.disconnect()
        wire = self._dial()
        wire.connect()
        return wire


def _read(wire: Wire) -> Reply:
    try:
        return wire.read_response()
    except redis.ResponseError as error:  # of this one command; the others have their own
        return error


def _end(wire: Wire | None) -> None:
    if wire is not None:
        wire.disconnect()
