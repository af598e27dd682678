"""Servers: who is asked, and how; one of them, at an address or where the sentinels say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, cast

import attrs
import redis

from nexus_connector.state import StoreError

from ._address import Address, Wire
from ._connections import Connections, Reply, command
from ._options import RedisOptions

_ASKING: Final = command(b"ASKING")


@attrs.frozen(kw_only=True)
class Request:
    """One command on one key.

    Attributes:
        key: The key, as text in Redis.
        command: The command.
        load: Makes the script known that the command names; empty: it names none.
        cold: Whether that is sent, too, before the command.
    """

    key: bytes
    command: bytes
    load: bytes = b""
    cold: bool = False


class Servers(Protocol):
    """Whom a store asks."""

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Send all requests and return the reply to each, in one round trip for each server that has a part.

        Raises:
            StoreError: If not every reply came in time.
        """
        ...

    def close(self) -> None:
        """Give all connections back."""
        ...


class Sentinels:
    """Asks the sentinels where the server is, whenever a connection is made; the one that knew it last comes first.

    Args:
        address: The sentinels and the name they know it by.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._hosts = list(address.hosts)

    def __call__(self) -> Wire:
        failure = redis.ConnectionError(f"no sentinel knows a master called {self._address.service!r}")
        for host in self._hosts:
            wire = self._address.wire_to_sentinel(host)
            try:
                wire.connect()
                question = command(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self._address.service.encode())
                wire.send_packed_command([question], check_health=False)
                master = wire.read_response()
            except Exception as error:
                failure = redis.ConnectionError(f"{failure} ({host[0]}:{host[1]}: {error})")
                continue
            finally:
                wire.disconnect()
            if master is not None:
                self._hosts = [host, *(other for other in self._hosts if other != host)]
                name, port = cast("list[bytes]", master)
                return self._address.wire((name.decode(), int(port)))
        raise failure


def connections(address: Address, options: RedisOptions, dial: Callable[[], Wire], *, shown: str) -> Connections:
    """Make connections, whose errors call the server as `shown`."""

    def explain(error: BaseException) -> StoreError:
        timeout = isinstance(error, redis.TimeoutError)
        what = f"no answer within {options.timeout_seconds:g} s" if timeout else address.hide(str(error))
        return StoreError(f"Redis at {shown}: {what or type(error).__name__}")

    return Connections(dial, count=options.max_connections, wait_seconds=options.timeout_seconds, explain=explain)


class SingleServer:
    """One server, which has all keys.

    Args:
        connections: To it.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Send all requests in one round trip; see `Servers.ask`."""
        return exchange(self._connections, requests, asking=False)

    def close(self) -> None:
        """Give all connections back."""
        self._connections.close()


def exchange(server: Connections, requests: Sequence[Request], *, asking: bool) -> list[Reply]:
    """Send requests to one server and return the reply to each.

    Args:
        server: Its connections.
        requests: The requests.
        asking: Whether it gets the keys just now, from another node that sent us here.
    """
    data: list[bytes] = []
    last: list[int] = []
    count = 0
    for request in requests:
        for part in (request.load if request.cold else b"", _ASKING if asking else b"", request.command):
            if part:
                data.append(part)
                count += 1
        last.append(count - 1)
    replies = server.exchange(b"".join(data), count)
    return [replies[index] for index in last]
