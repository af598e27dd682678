"""The line: what one process, or one event loop, holds open to all the servers that it asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeAlias

import attrs
import redis

from nexus_connector.state import StoreError

from ._address import Address, Host
from ._connections import Connections, LoopPlaces, Places, ThreadPlaces
from ._options import RedisOptions
from ._replies import Reply
from ._wires import BlockingWire, LoopWire, MakeWire, Wire

Make: TypeAlias = Callable[[Host | None], Wire]
"""Makes a wire to a server, or to a sentinel, not connected yet."""


@attrs.frozen
class Face:
    """What differs between those that block and those that wait on a loop.

    Attributes:
        wire: Makes connections.
        places: Makes places for them.
    """

    wire: MakeWire
    places: Callable[[int], Places]


BLOCKING: Final = Face(BlockingWire, ThreadPlaces)
LOOPING: Final = Face(LoopWire, LoopPlaces)


class Dial(Protocol):
    """Finds a server."""

    def __call__(self, host: Host | None, server: Make, sentinel: Make) -> Awaitable[Wire]:
        """Make a wire to a host, not connected yet; ``None``: to the one server that there is."""
        ...


class Line:
    """Connections to each server; nothing connects before it is used.

    Args:
        address: Where the servers are.
        options: Those of ``[plugins.redis]``.
        dial: Finds them.
        face: Of which kind the connections are.
    """

    def __init__(self, address: Address, options: RedisOptions, dial: Dial, face: Face) -> None:
        self._address = address
        self._options = options
        self._dial = dial
        self._face = face
        self._servers: dict[Host | None, Connections] = {}
        self._closed = False

    @property
    def hosts(self) -> Sequence[Host]:
        """Those that have been asked by name."""
        return [host for host in list(self._servers) if host is not None]

    def exchange(self, host: Host | None, data: bytes, count: int) -> Awaitable[list[Reply]]:
        """Send commands to a server and read their replies, in one round trip.

        Args:
            host: Which; ``None``: the only one.
            data: The commands.
            count: How many replies they have.

        Raises:
            StoreError: If not every reply came in time.
        """
        server = self._servers.get(host)
        if server is None:
            server = self._servers.setdefault(host, self._connections(host))
        return self._last_exchange(server, data, count) if self._closed else server.exchange(data, count)

    async def _last_exchange(self, server: Connections, data: bytes, count: int) -> list[Reply]:
        """Answer who asks nevertheless, and leave nothing open."""
        await server.close()
        return await server.exchange(data, count)

    async def close(self) -> None:
        """Close what is idle now, and the rest when it has been used. May be called twice."""
        self._closed = True
        for server in list(self._servers.values()):
            await server.close()

    def _connections(self, host: Host | None) -> Connections:
        address, seconds = self._address, self._options.timeout_seconds
        shown = address.shown if host is None else f"{host[0]}:{host[1]}"

        def explain(error: BaseException) -> StoreError:
            timeout = isinstance(error, redis.TimeoutError)
            what = f"no answer within {seconds:g} s" if timeout else address.hide(str(error))
            return StoreError(f"Redis at {shown}: {what or type(error).__name__}")

        def dial() -> Awaitable[Wire]:
            return self._dial(
                host,
                lambda server: self._face.wire(address, server, address.settings, seconds),
                lambda sentinel: self._face.wire(address, sentinel, address.sentinel_settings, seconds),
            )

        count = self._options.max_connections
        return Connections(dial, self._face.places(count), count=count, wait_seconds=seconds, explain=explain)
