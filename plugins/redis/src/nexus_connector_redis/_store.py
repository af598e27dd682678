"""The Redis store: its two faces, one for threads and one for event loops, over the same questions."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Final

import attrs

from nexus_connector.io.drive import drive
from nexus_connector.state import Item, Key, Plain

from ._address import Address
from ._cluster import Cluster
from ._line import BLOCKING, LOOPING, Face, Line
from ._options import RedisOptions
from ._questions import Questions
from ._servers import SentinelServer, Servers, SingleServer
from ._urls import Kind

_SERVERS: Final[Mapping[Kind, Callable[[Address], Servers]]] = {
    "server": SingleServer,
    "sentinel": SentinelServer,
    "cluster": Cluster,
}
_abandoned: Final[list[object]] = []
"""What event loops of a parent process hold open: never touched here, for it shares their sockets and selectors."""


def open_store(address: Address, options: RedisOptions) -> RedisStore:
    """Make a store; nothing connects yet."""
    servers = _SERVERS[address.kind](address)
    questions = Questions(servers, prefix=options.key_prefix, address=address)

    def line(face: Face) -> Line:
        return Line(address, options, servers.dial, face)

    try:
        LOOPING.wire(address, address.hosts[0] if address.hosts else None, address.settings, options.timeout_seconds)
    except TypeError:  # some ssl_ options are those of blocking connections only
        return RedisStore(questions, lambda: line(BLOCKING), None)
    return RedisStore(questions, lambda: line(BLOCKING), RedisTwin(questions, lambda: line(LOOPING)))


class RedisStore:
    """Keeps states and values in Redis, for threads.

    Args:
        questions: What can be asked.
        new_line: Makes a line that blocks.
        twin: The same store for event loops; ``None``: they ask this one, in threads.
    """

    durable = False
    blocking = True

    def __init__(self, questions: Questions, new_line: Callable[[], Line], twin: RedisTwin | None) -> None:
        self.twin = twin
        self._questions = questions
        self._new_line = new_line
        self._line, self._pid = new_line(), os.getpid()

    def run(self, items: Sequence[Item]) -> list[Plain]:
        """Run operations; see `Store.run`. Those without a Lua twin need two round trips, and more if others interfere.

        Raises:
            StoreError: If Redis did not answer in time, refused, or others always came between.
        """
        return drive(self._questions.run(self._of_this_process(), items))

    def get(self, key: Key) -> bytes | None:
        """Return the value under `key`; see `Store.get`."""
        return drive(self._questions.get(self._of_this_process(), key))

    def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        """Keep a value; see `Store.put`."""
        return drive(self._questions.put(self._of_this_process(), key, value, ttl_ms=ttl_ms, if_absent=if_absent))

    def delete(self, key: Key) -> None:
        """Forget `key`, its state and its value; see `Store.delete`."""
        drive(self._questions.delete(self._of_this_process(), key))

    def describe(self) -> str:
        """Return product and version, as ``Redis 7.2.4``.

        Raises:
            StoreError: If Redis did not answer in time.
        """
        return drive(self._questions.describe(self._of_this_process()))

    def close(self) -> None:
        """Close the connections, those in use when they are done; those of event loops as soon as these run."""
        drive(self._of_this_process().close())
        if self.twin is not None:
            self.twin.close_soon()

    def _of_this_process(self) -> Line:
        """Return the line; a forked child has one of its own, for the connections of its parent are not shared."""
        if self._pid != os.getpid():
            self._line, self._pid = self._new_line(), os.getpid()
        return self._line


@attrs.frozen
class _Kept:
    """The line of one event loop, and what closes it when that ends."""

    line: Line
    watch: AsyncGenerator[None]


class RedisTwin:
    """Keeps states and values in Redis, for event loops; each has a line of its own.

    Args:
        questions: What can be asked.
        new_line: Makes a line that waits on the running loop.
    """

    def __init__(self, questions: Questions, new_line: Callable[[], Line]) -> None:
        self._questions = questions
        self._new_line = new_line
        self._lines: dict[asyncio.AbstractEventLoop, _Kept] = {}
        self._pid = os.getpid()
        self._closed = False

    async def run(self, items: Sequence[Item]) -> list[Plain]:
        """Run operations; see `RedisStore.run`."""
        return await self._questions.run(await self._line(), items)

    async def get(self, key: Key) -> bytes | None:
        """Return the value under `key`; see `Store.get`."""
        return await self._questions.get(await self._line(), key)

    async def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        """Keep a value; see `Store.put`."""
        return await self._questions.put(await self._line(), key, value, ttl_ms=ttl_ms, if_absent=if_absent)

    async def delete(self, key: Key) -> None:
        """Forget `key`, its state and its value; see `Store.delete`."""
        await self._questions.delete(await self._line(), key)

    async def close(self) -> None:
        """Close the connections of the running loop, those in use when they are done."""
        kept = self._of_this_process().get(asyncio.get_running_loop())
        if kept is not None:
            await kept.line.close()

    def close_soon(self) -> None:
        """Have every loop close its connections; called from outside of them."""
        self._closed = True
        for loop, kept in list(self._of_this_process().items()):
            with contextlib.suppress(RuntimeError):  # closed meanwhile, and its connections with it
                loop.call_soon_threadsafe(_begin_closing, loop, kept.line)

    async def _line(self) -> Line:
        lines, loop = self._of_this_process(), asyncio.get_running_loop()
        kept = lines.get(loop)
        if kept is None:
            for other in [other for other in list(lines) if other.is_closed()]:
                lines.pop(other, None)
            line = self._new_line()
            if self._closed:
                await line.close()
            # A loop that ends properly ends its asynchronous generators while it can still close connections.
            kept = lines[loop] = _Kept(line, _until_the_loop_ends(lines, loop, line))
            await anext(kept.watch)
        return kept.line

    def _of_this_process(self) -> dict[asyncio.AbstractEventLoop, _Kept]:
        """Return the lines; a forked child leaves those of its parent alone."""
        if self._pid != os.getpid():
            _abandoned.append(self._lines)
            self._lines, self._pid = {}, os.getpid()
        return self._lines


def _begin_closing(loop: asyncio.AbstractEventLoop, line: Line) -> None:
    _ = loop.create_task(line.close())  # never waits, so that nothing can end it half way


async def _until_the_loop_ends(
    lines: dict[asyncio.AbstractEventLoop, _Kept], loop: asyncio.AbstractEventLoop, line: Line
) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        lines.pop(loop, None)
        await line.close()
