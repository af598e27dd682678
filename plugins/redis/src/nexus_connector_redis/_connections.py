"""Connections: a bounded number of them to one server, shared by threads or by the tasks of an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import redis

from nexus_connector.state import StoreError

from ._replies import Reply
from ._wires import Wire


class Places(Protocol):
    """A bounded number of places, each with a wire in it or with none; the one that came back last goes first."""

    def pop(self) -> Wire | None:
        """Take one that is there now.

        Raises:
            LookupError: If there is none.
        """
        ...

    async def take(self, seconds: float) -> Wire | None:
        """Take one.

        Raises:
            TimeoutError: If all were taken for so long.
        """
        ...

    def put(self, wire: Wire | None) -> None:
        """Give one back."""
        ...

    def idle(self) -> list[Wire | None]:
        """Take all that are there."""
        ...


class ThreadPlaces:
    """Places for threads.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._idle: list[Wire | None] = [None] * count  # taking from it and putting into it are steps of their own
        self._waiting = 0
        self._came_back = threading.Condition()

    def pop(self) -> Wire | None:
        return self._idle.pop()

    async def take(self, seconds: float) -> Wire | None:
        try:
            return self._idle.pop()
        except IndexError:
            return self._wait(seconds)

    def put(self, wire: Wire | None) -> None:
        self._idle.append(wire)
        if self._waiting:
            with self._came_back:
                self._came_back.notify()

    def idle(self) -> list[Wire | None]:
        found: list[Wire | None] = []
        with contextlib.suppress(IndexError):
            while True:
                found.append(self._idle.pop())
        return found

    def _wait(self, seconds: float) -> Wire | None:
        until = time.monotonic() + seconds
        with self._came_back:
            self._waiting += 1  # before it looks once more: who puts one back now sees it
            try:
                while True:
                    with contextlib.suppress(IndexError):
                        return self._idle.pop()
                    left = until - time.monotonic()
                    if left <= 0:
                        raise TimeoutError
                    self._came_back.wait(left)
            finally:
                self._waiting -= 1


class LoopPlaces:
    """Places for the tasks of one event loop.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._queue: asyncio.LifoQueue[Wire | None] = asyncio.LifoQueue()
        for _ in range(count):
            self._queue.put_nowait(None)

    def pop(self) -> Wire | None:
        if self._queue.empty():
            raise LookupError
        return self._queue.get_nowait()

    async def take(self, seconds: float) -> Wire | None:
        async with asyncio.timeout(seconds):
            return await self._queue.get()

    def put(self, wire: Wire | None) -> None:
        self._queue.put_nowait(wire)

    def idle(self) -> list[Wire | None]:
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]


class Connections:
    """Connects when it is first used. One call has one connection for itself.

    Nothing is sent twice here: who gets no answer cannot know whether it was done.

    Args:
        dial: Makes a connection, not connected yet.
        places: Where they are kept.
        count: How many places there are.
        wait_seconds: How long somebody waits for one when all are in use.
        explain: Turns a failure into what is raised.
    """

    def __init__(
        self,
        dial: Callable[[], Awaitable[Wire]],
        places: Places,
        *,
        count: int,
        wait_seconds: float,
        explain: Callable[[BaseException], StoreError],
    ) -> None:
        self._dial = dial
        self._places = places
        self._count = count
        self._wait_seconds = wait_seconds
        self._explain = explain
        self._closed = False

    async def exchange(self, data: bytes, count: int) -> list[Reply]:
        """Send commands and read their replies, in one round trip; see `Wire.exchange`.

        Raises:
            StoreError: If not every reply came in time.
        """
        # Two coroutines less than to await the same: a call of somebody waits for this.
        try:
            wire = self._places.pop()
        except LookupError:
            wire = await self._wait()
        try:
            if wire is None or (not wire.is_fresh() and await _is_lost(wire)):
                wire = await self._dial()
                await wire.connect()
            return await wire.exchange(data, count)
        except BaseException as error:  # an interrupt in between, too: what is still under way belongs to nobody
            await _end(wire)
            wire = None
            if isinstance(error, Exception):  # the driver's, TLS's, the resolver's: only they are at work here
                raise self._explain(error) from None
            raise
        finally:
            if self._closed:
                await _end(wire)
                wire = None
            self._places.put(wire)

    async def _wait(self) -> Wire | None:
        try:
            return await self._places.take(self._wait_seconds)
        except TimeoutError:
            raise self._explain(TimeoutError(f"all {self._count} connections are in use")) from None

    async def close(self) -> None:
        """Close what is idle now, and the others when they are given back. May be called twice."""
        self._closed = True
        for wire in self._places.idle():
            await _end(wire)
            self._places.put(None)


async def _is_lost(wire: Wire) -> bool:
    """Say whether a connection has been closed meanwhile: nothing was sent, so it may be made anew."""
    try:
        lost = await wire.is_stale()
    except (redis.RedisError, OSError):
        lost = True
    if lost:
        await wire.end()
    return lost


async def _end(wire: Wire | None) -> None:
    if wire is not None:
        await wire.end()
