"""The index of open claims: which calls may have one, in shards, because a store cannot be searched.

An entry is written in the same batch as the claim, so that no claim is open without one. It says only where to look:
what a call's claim has come to, the claim itself says. A state is a list of entries: call, until when it is kept,
turn, tenant, operation, key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias, cast
from zlib import crc32

import attrs

from nexus_connector.state import AtomicOp, Key, Plain

Step: TypeAlias = tuple[Plain, int, Plain]
Gone: TypeAlias = tuple[str, int]
"""An entry to take out: its call, and its turn; turn 0: whichever it is."""
_Kept: TypeAlias = tuple[str, int, int, str | None, str, str]

SHARDS: Final = 16
"""Shards of one service: calls that begin at once seldom wait for each other."""
ENTRIES: Final = 1000
"""Most entries of one shard. A service with more open outcomes than this needs a person, not more calls."""


@attrs.frozen
class Entry:
    """A call that may hold an open claim.

    Attributes:
        call_id: The call.
        turn: How often the call has asked for its claim, from 1: who takes an old entry out must not meet a newer one.
        tenant_id: Its tenant.
        operation: Its operation.
        key: Its idempotency key.
    """

    call_id: str
    turn: int
    tenant_id: str | None
    operation: str
    key: str


def add(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Enter a call, and take others out; replies whether there was room.

    Args:
        plain: The state.
        now_ms: The store's time.
        args: The fields of an `Entry`, how many milliseconds it is kept, the entries to take out, and how many there
            may be.
    """
    call_id, turn, tenant_id, operation, key, keep_ms, gone, most = cast(
        "tuple[str, int, str | None, str, str, int, list[Gone], int]", args
    )
    kept = _living(plain, now_ms, [(call_id, 0), *gone])
    if len(kept) >= most:
        return _changed(kept, now_ms, reply=False)
    return _changed([*kept, (call_id, now_ms + keep_ms, turn, tenant_id, operation, key)], now_ms, reply=True)


def remove(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Take entries out.

    Args:
        plain: The state.
        now_ms: The store's time.
        args: The entries, as `Gone`.
    """
    return _changed(_living(plain, now_ms, cast("Sequence[Gone]", args)), now_ms, reply=None)


def read(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Return all entries."""
    kept = _living(plain, now_ms, ())
    return _changed(kept, now_ms, [[call_id, *rest] for call_id, _, *rest in kept])


ADD: Final = AtomicOp(name="idempotency.index_add", version=1, py=add)
REMOVE: Final = AtomicOp(name="idempotency.index_remove", version=1, py=remove)
READ: Final = AtomicOp(name="idempotency.index_read", version=1, py=read)


def shard_of(call_id: str) -> int:
    """Return the shard of a call."""
    return crc32(call_id.encode()) % SHARDS


def index_key(service: str, shard: int) -> Key:
    """Return the key of a shard."""
    return service, "idempotency", "open", str(shard)


def entries_of(plain: Plain) -> list[Entry]:
    """Read the reply of `read`."""
    return [Entry(*fields) for fields in cast("Sequence[tuple[str, int, str | None, str, str]]", plain)]


def _living(plain: Plain, now_ms: int, without: Sequence[Gone]) -> list[_Kept]:
    kept, turns = cast("Sequence[_Kept]", plain or ()), dict(without)
    return [entry for entry in kept if entry[1] > now_ms and turns.get(entry[0], -1) not in {0, entry[2]}]


def _changed(kept: Sequence[_Kept], now_ms: int, reply: Plain) -> Step:
    if not kept:
        return None, 0, reply
    return [list(entry) for entry in kept], max(entry[1] for entry in kept) - now_ms, reply
