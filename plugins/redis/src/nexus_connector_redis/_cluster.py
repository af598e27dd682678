"""The cluster: which of its nodes is asked for a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, MovedError

from nexus_connector.state import StoreError

from ._address import Address, Host
from ._line import Line, Make
from ._replies import Reply
from ._servers import Request, exchange
from ._wires import Wire, command

_SLOTS: Final = command(b"CLUSTER", b"SLOTS")
_REDIRECTS: Final = 5
"""How often a key may be said to be elsewhere, in one call."""


def slot(key: bytes) -> int:
    """Return the slot of a key; a cluster keeps all keys of one slot on one node."""
    return int(key_slot(key))


class Cluster:
    """Nodes that share the slots of keys between them; each is asked for its own, one after the other.

    Args:
        address: Some of the nodes; they know the others.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._slots: list[Host | None] | None = None

    async def ask(self, line: Line, requests: Sequence[Request]) -> list[Reply]:
        """Send all requests, in one round trip for each node that has a part; see `Servers.ask`."""
        replies: list[Reply] = [None] * len(requests)
        places = [(await self._place(line, request.key), False) for request in requests]
        waiting = list(range(len(requests)))
        for _ in range(_REDIRECTS):
            parts: dict[tuple[Host, bool], list[int]] = {}
            for index in waiting:
                parts.setdefault(places[index], []).append(index)
            sent_on: list[int] = []
            for (host, asking), indices in parts.items():
                got = await self._exchange(line, host, [requests[index] for index in indices], asking=asking)
                for index, reply in zip(indices, got, strict=True):
                    replies[index] = reply
                    elsewhere = self._elsewhere(host, reply)
                    if elsewhere is not None:  # this node has done nothing
                        places[index] = elsewhere
                        sent_on.append(index)
            if not sent_on:
                return replies
            waiting = sent_on
        raise StoreError(f"Redis at {self._address.shown}: the cluster sent a key from node to node.")

    async def dial(self, host: Host | None, server: Make, sentinel: Make) -> Wire:
        """Make a wire to a node."""
        return server(host)

    async def _exchange(self, line: Line, host: Host, requests: Sequence[Request], *, asking: bool) -> list[Reply]:
        try:
            return await exchange(line, host, requests, asking=asking)
        except StoreError:
            self._slots = None  # another node may have taken its place
            raise

    def _elsewhere(self, asked: Host, reply: Reply) -> tuple[Host, bool] | None:
        """Return where the key is if the node did nothing because it is elsewhere, and whether that is on its way."""
        if not isinstance(reply, AskError):  # MovedError is one, too
            return None
        error = cast("Any", reply)
        host = (str(error.host) or asked[0], int(error.port))
        moved, slots = isinstance(reply, MovedError), self._slots
        if moved and slots is not None:
            slots[error.slot_id] = host
        return host, not moved

    async def _place(self, line: Line, key: bytes) -> Host:
        slots = self._slots
        if slots is None:
            slots = self._slots = await self._read_slots(line)
        host = slots[slot(key)]
        if host is None:
            self._slots = None
            raise StoreError(f"Redis at {self._address.shown}: no node of the cluster has the slot of a key.")
        return host

    async def _read_slots(self, line: Line) -> list[Host | None]:
        """Ask the nodes, one after the other, until one says which slots are where."""
        failure = StoreError(f"Redis at {self._address.shown}: no node to ask.")
        for host in dict.fromkeys([*self._address.hosts, *line.hosts]):
            try:
                [ranges] = await line.exchange(host, _SLOTS, 1)
            except StoreError as error:
                failure = error
                continue
            if isinstance(ranges, redis.ResponseError):
                failure = StoreError(f"Redis at {host[0]}:{host[1]}: {ranges}")
                continue
            slots: list[Host | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
            for first, last, (name, port, *_), *_ in cast("list[list[Any]]", ranges):
                node = ((name or b"").decode() or host[0], int(port))
                slots[first : last + 1] = [node] * (last + 1 - first)
            return slots
        raise failure
