"""The store protocol: atomic operations on keys, one round trip per batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import attrs

Plain: TypeAlias = bool | int | float | str | Sequence["Plain"] | None
"""What states, arguments and replies consist of, so that every store can keep and send them.

Whole numbers from -(2**53) to 2**53, for a store may keep numbers as JSON does; finite floats, exactly, though a whole
one may come back as an int; texts that UTF-8 can write, NUL included. A tuple comes back as a list.
"""
Key: TypeAlias = tuple[str, ...]
"""At least one part, each any text. The first one is the cluster tag: keys that share it live together."""


@attrs.frozen(kw_only=True, cache_hash=True)
class AtomicOp:
    """One pure step on the state of one key; stores run it so that nobody comes between.

    Attributes:
        name: Unique name, beginning with the plugin's.
        version: Raised whenever the meaning of the state changes.
        py: ``(state or None, now_ms, args) -> (new state or None, ttl_ms, reply)``; ``None`` deletes. The time is the
            store's, in milliseconds; replies are durations, never times.
        lua: The same step as the body of a Lua 5.1 function of ``state``, ``now_ms``, ``args``, for speed; it returns
            state, time to live and reply as `py` does. ``None`` is ``nil`` for the whole state and ``null`` inside
            lists, which have no holes; numbers are doubles, and one without a fraction comes back as an int. It is
            pure: neither ``redis`` nor ``KEYS`` nor ``ARGV`` are there.

    >>> count = AtomicOp(name="demo.count", version=1, py=lambda state, now, args: ((state or 0) + 1, 60_000, state))
    >>> count.py(None, 0, ())
    (1, 60000, None)
    """

    name: str
    version: int
    py: Callable[[Plain, int, Sequence[Plain]], tuple[Plain, int, Plain]]
    lua: str | None = None


Item: TypeAlias = tuple[AtomicOp, Key, Sequence[Plain]]
"""One operation on one key, with its arguments."""


class StoreError(Exception):
    """A store did not answer, or not in time; nobody knows whether what it was asked to do was done.

    Raised by stores with a text that holds no secret. Gates and stages decide what becomes of the call.
    """


class Store(Protocol):
    """Keeps states under keys. Threads may share it. It connects when it is first used, never when it is made.

    Every method may raise `StoreError`, within 100 ms for a shared store.

    Attributes:
        durable: Whether what was written survives the process.
        blocking: Whether its calls wait on something; they then run in the I/O threads under the async face.
    """

    durable: bool
    blocking: bool

    def run(self, items: Sequence[Item]) -> list[Plain]:
        """Run operations, each atomic on its key, in one round trip; replies come in the order of `items`."""
        ...

    def get(self, key: Key) -> bytes | None:
        """Return the value under `key`; ``None`` if there is none or it has expired."""
        ...

    def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        """Keep `value` for `ttl_ms` milliseconds.

        Returns:
            Whether it was written: with `if_absent` only if there was none.
        """
        ...

    def delete(self, key: Key) -> None:
        """Forget `key`."""
        ...

    def close(self) -> None:
        """Give back what the store holds open. May be called twice."""
        ...


class AsyncStore(Protocol):
    """The same store for an event loop: each method is that of `Store`, awaited instead of blocking."""

    async def run(self, items: Sequence[Item]) -> list[Plain]:
        """Run operations; see `Store.run`."""
        ...

    async def get(self, key: Key) -> bytes | None:
        """Return the value under `key`; see `Store.get`."""
        ...

    async def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        """Keep a value; see `Store.put`."""
        ...

    async def delete(self, key: Key) -> None:
        """Forget `key`."""
        ...

    async def close(self) -> None:
        """Give back what the running loop holds open."""
        ...


@runtime_checkable
class Described(Protocol):
    """A store that can say what it is."""

    def describe(self) -> str:
        """Ask for product and version, as ``Redis 7.2.4``; may raise `StoreError`."""
        ...


def twin_of(store: Store) -> AsyncStore | None:
    """Return the asyncio twin of a store: its attribute ``twin``, if it has one that is not ``None``."""
    twin: AsyncStore | None = getattr(store, "twin", None)
    return twin


def encode_key(key: Key) -> str:
    """Write a key as text in which no two keys are alike, whatever their parts hold.

    >>> encode_key(("a", "b:c")), encode_key(("a:b", "c"))
    ('1:a3:b:c', '3:a:b1:c')
    """
    return "".join([f"{len(part)}:{part}" for part in key])
