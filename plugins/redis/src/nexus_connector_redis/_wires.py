"""Wires: one connection to a server, over redis-py; one kind blocks its thread, the other waits on an event loop."""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, cast

import redis
from redis import connection as blocking_drivers
from redis.asyncio import connection as loop_drivers

from ._address import Address, Host
from ._replies import Reply, UnfinishedError, read

_PIECE: Final = 65_536
"""So many bytes at most are taken at once."""


def command(*parts: bytes) -> bytes:
    r"""Write a command as Redis reads it.

    >>> command(b"GET", b"k")
    b'*2\r\n$3\r\nGET\r\n$1\r\nk\r\n'
    """
    return b"*%d\r\n" % len(parts) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


class Wire(Protocol):
    """One connection. Whatever is raised here, it is of no use any more; only `end` is left to be called."""

    async def connect(self) -> None:
        """Connect, log in and select the database."""
        ...

    def is_fresh(self) -> bool:
        """Say whether it is known at once that it is not stale."""
        ...

    async def is_stale(self) -> bool:
        """Say whether the server has closed it, or something lies there that nobody has asked for."""
        ...

    async def exchange(self, data: bytes, count: int) -> list[Reply]:
        """Send commands and read their replies, in one round trip.

        Args:
            data: The commands.
            count: How many replies they have.
        """
        ...

    async def end(self) -> None:
        """Close it, without waiting for anybody."""
        ...


class MakeWire(Protocol):
    """Makes a wire, not connected yet."""

    def __call__(self, address: Address, host: Host | None, settings: Mapping[str, Any], seconds: float) -> Wire:
        """Make it.

        Args:
            address: Says how Redis is spoken to.
            host: To whom; ``None``: the unix socket.
            settings: Those of the address, or of its sentinels.
            seconds: Longest wait for a connection and for an answer.
        """
        ...


class BlockingWire:
    """Blocks its thread: what is awaited here never suspends. See `MakeWire` for the arguments.

    redis-py connects and logs in; what is said from then on goes over its socket directly.
    """

    def __init__(self, address: Address, host: Host | None, settings: Mapping[str, Any], seconds: float) -> None:
        self.driver: Final = cast("Any", address.connection(blocking_drivers, host, settings, seconds))
        self.receive: Callable[[int], bytes]
        self._send: Callable[[bytes], None]
        self._seconds = seconds
        self._poll: Callable[[int], object] | None = None
        self._left = b""

    async def connect(self) -> None:
        self.driver.connect()
        sock = self.driver._sock
        self._send, self.receive = sock.sendall, sock.recv
        if hasattr(select, "poll") and not isinstance(sock, ssl.SSLSocket):  # TLS has things to say of its own
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            self._poll = poll.poll

    def is_fresh(self) -> bool:
        return not self._left and self._poll is not None and not self._poll(0)

    async def is_stale(self) -> bool:
        return bool(self._left or (self.driver.can_read(0) if self._poll is None else self._poll(0)))

    async def exchange(self, data: bytes, count: int) -> list[Reply]:
        replies: list[Reply] = []
        refused = self.driver._parser.parse_error
        try:
            self._send(data)
            got, at = self._more(), 0
            while len(replies) < count:
                try:
                    reply, at = read(got, at, refused)
                except UnfinishedError:
                    got, at = got[at:] + self._more(), 0
                else:
                    replies.append(reply)
        except TimeoutError:
            raise redis.TimeoutError(f"no answer within {self._seconds:g} s") from None
        self._left = got[at:]
        for reply in replies:
            if isinstance(reply, redis.ConnectionError):  # it has no place for us
                raise reply
        return replies

    async def end(self) -> None:
        self.driver.disconnect()

    def _more(self) -> bytes:
        piece = self.receive(_PIECE)
        if not piece:
            raise redis.ConnectionError("Connection closed by server.")
        return piece


class LoopWire:
    """Waits on the event loop on which it connected. See `MakeWire` for the arguments."""

    def __init__(self, address: Address, host: Host | None, settings: Mapping[str, Any], seconds: float) -> None:
        self.driver: Final = cast("Any", address.connection(loop_drivers, host, settings))
        self._seconds = seconds

    async def connect(self) -> None:
        async with _patience(self._seconds):
            await self.driver.connect()

    def is_fresh(self) -> bool:
        return False  # the loop has to look

    async def is_stale(self) -> bool:
        # redis-py 8 gave it this name; before, it read what lay there, which is given up anyhow.
        look = getattr(self.driver, "can_read", None) or self.driver.can_read_destructive
        return bool(await look())

    async def exchange(self, data: bytes, count: int) -> list[Reply]:
        async with _patience(self._seconds):
            await self.driver.send_packed_command(data, check_health=False)
            return [await self._read() for _ in range(count)]

    async def end(self) -> None:
        await self.driver.disconnect(nowait=True)

    async def _read(self) -> Reply:
        try:
            return cast("Reply", await self.driver.read_response())
        except redis.ResponseError as error:
            return error


@asynccontextmanager
async def _patience(seconds: float) -> AsyncGenerator[None]:
    """Give up after so long; but what has come while the loop was busy elsewhere is taken first.

    A loop that did not run for longer than this finds the answer and the end of the time at once. Ending it in two
    steps lets the reader run before.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as limit:
            timer = loop.call_later(seconds, limit.reschedule, 0.0)
            try:
                yield
            finally:
                timer.cancel()
    except TimeoutError:
        raise redis.TimeoutError(f"no answer within {seconds:g} s") from None
