"""Servers: who is asked, and how; one of them, at an address or where the sentinels say."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Final, NamedTuple, Protocol, cast

import redis

from ._address import Address, Host
from ._line import Line, Make
from ._replies import Reply
from ._wires import Wire, command

_ASKING: Final = command(b"ASKING")


class Request(NamedTuple):
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
    """Whom a store asks. Threads and event loops share it."""

    def ask(self, line: Line, requests: Sequence[Request]) -> Awaitable[list[Reply]]:
        """Send all requests and return the reply to each, in one round trip for each server that has a part.

        Raises:
            StoreError: If not every reply came in time.
        """
        ...

    async def dial(self, host: Host | None, server: Make, sentinel: Make) -> Wire:
        """Make a wire, not connected yet; see `Dial`."""
        ...


class SingleServer:
    """One server, which has all keys.

    Args:
        address: Where it is.
    """

    def __init__(self, address: Address) -> None:
        self._host = address.hosts[0] if address.hosts else None

    def ask(self, line: Line, requests: Sequence[Request]) -> Awaitable[list[Reply]]:
        """Send all requests in one round trip; see `Servers.ask`."""
        for request in requests:  # any() takes three times as long, and somebody waits
            if request.cold:
                return exchange(line, None, requests, asking=False)
        return line.exchange(None, b"".join([request.command for request in requests]), len(requests))

    async def dial(self, host: Host | None, server: Make, sentinel: Make) -> Wire:
        """Make a wire to it."""
        return server(self._host)


class SentinelServer(SingleServer):
    """One server, which the sentinels know; the one of them that knew it last is asked first.

    Args:
        address: The sentinels and the name they know it by.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._service = address.service
        self._hosts = list(address.hosts)

    async def dial(self, host: Host | None, server: Make, sentinel: Make) -> Wire:
        """Ask the sentinels where the server is, whenever a connection is made."""
        question = command(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self._service.encode())
        failure = redis.ConnectionError(f"no sentinel knows a master called {self._service!r}")
        for asked in self._hosts:
            wire = sentinel(asked)
            answer: object
            try:
                await wire.connect()
                [answer] = await wire.exchange(question, 1)
            except Exception as error:
                answer = error
            finally:
                await wire.end()
            if isinstance(answer, Exception):
                failure = redis.ConnectionError(f"{failure} ({asked[0]}:{asked[1]}: {answer})")
            elif answer is not None:
                self._hosts = [asked, *(other for other in self._hosts if other != asked)]
                name, port = cast("list[bytes]", answer)
                return server((name.decode(), int(port)))
        raise failure


async def exchange(line: Line, host: Host | None, requests: Sequence[Request], *, asking: bool) -> list[Reply]:
    """Send requests to one server and return the reply to each.

    Args:
        line: Connections to it.
        host: Which server; ``None``: the only one.
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
    replies = await line.exchange(host, b"".join(data), count)
    return [replies[index] for index in last]
