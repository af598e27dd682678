"""Lanes: the connections of one origin, taken out of urllib3's pool and given back, one checkout each."""

from __future__ import annotations

import queue
import ssl
import time
from typing import TYPE_CHECKING, Any, cast

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

from . import SendError
from .checkout import Checkout
from .connection import Connection, TlsConnection
from .failure import ended_here
from .slots import Slots

if TYPE_CHECKING:
    from . import Abort
    from .connection import Watch
    from .origin import Origin
    from .slots import Slot
    from .sockets import Sockets
    from .wire import Wire

_LOOK_SECONDS = 0.05
"""How often a send that waits for a slot looks whether it was ended."""


class _Idle(queue.LifoQueue[Any]):
    """urllib3's store of idle connections, without locks: a list's methods are atomic.

    With `queue.LifoQueue` itself, Ctrl-C at the wrong moment leaves a lock taken, and every thread waits for ever.
    """

    def __init__(self, maxsize: int = 0) -> None:  # slots bound it
        self._connections: list[Any] = []

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        try:
            return self._connections.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is not None:
            self._connections.append(item)


class _Pool(HTTPConnectionPool):
    """urllib3's pool with our connections; it never blocks, because a slot is taken first."""

    ConnectionCls = cast("Any", Connection)
    QueueCls = _Idle

    def take(self) -> Connection:
        """Take an idle connection that is still alive, or a new one that is not open yet."""
        return cast("Connection", self._get_conn())

    def validate(self, connection: Any) -> None:
        """Let urllib3 look at a connection that was just opened: it warns of one that is not verified."""
        self._validate_conn(connection)

    def give(self, connection: Any) -> None:
        """Give back a connection for further use."""
        self._put_conn(connection)


class _TlsPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = cast("Any", TlsConnection)


class Lane:
    """The way to one origin.

    Args:
        origin: Where it leads.
        width: Connections in use at once, and kept.
        sockets: The open sockets of the transport.
        context: TLS context; ``None`` for plain HTTP.
    """

    def __init__(self, origin: Origin, width: int, sockets: Sockets, context: ssl.SSLContext | None) -> None:
        self.origin = origin
        self.sockets = sockets
        self.slots = Slots(width)
        if context is None:
            self._pool = _Pool(origin.host, origin.port, maxsize=width, block=False)
        else:
            self._pool = _TlsPool(origin.host, origin.port, maxsize=width, block=False, ssl_context=context)

    def check_out(self, deadline: float, abort: Abort | None) -> Checkout:
        """Take a connection, waiting for one until `deadline`.

        Raises:
            SendError: If none came free, or `abort` fired.
            ConnectorClosedError: If the transport is closed.
        """
        slot = self.slots.take(0.0) or self._wait(deadline, abort)
        return Checkout(self, slot, self._pool.take(), abort)

    def _wait(self, deadline: float, abort: Abort | None) -> Slot:
        while True:
            left = deadline - time.monotonic()
            slot = self.slots.take(min(left, _LOOK_SECONDS))
            if slot is not None:
                return slot
            self.sockets.check()
            if abort is not None and abort.fired:
                raise ended_here(self.origin.host, "connect", wrote=False)
            if left <= 0:
                message = f"No connection to {self.origin.host} came free by the deadline: max_connections are in use."
                raise SendError(message, phase="connect", wrote=False, timed_out=True, own=True)

    def open(self, connection: Connection, watch: Watch) -> Wire:
        """Open a connection that was taken closed."""
        wire = connection.open(watch)
        self._pool.validate(connection)
        return wire

    def give(self, connection: Connection) -> None:
        """Take back a connection for further use."""
        self._pool.give(connection)

    def close(self) -> None:
        """Close the idle connections and keep none from now on."""
        self._pool.close()
