"""The later store: it is made with the first thing that is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from .store import AsyncStore, Described, Item, Key, Plain, Store, twin_of

_ONLY: Final = "store"


class LaterStore:
    """Stands for a store that is not made yet.

    The driver of a database may take longer to import than a connector to build. An application that starts does not
    wait for it, and one that asks nothing of the store does not load it. What can be said about the URL without the
    driver is said before.

    Args:
        make: Makes the store, which does not connect either before it is asked.
        durable: Whether what was written survives the process.
        twin: Whether the store has an asyncio twin.

    >>> from nexus_connector.state import MemoryStore
    >>> store = LaterStore(lambda: MemoryStore(lambda: 0.0), durable=False)
    >>> store.get(("key",)) is None
    True
    """

    blocking = True

    def __init__(self, make: Callable[[], Store], *, durable: bool, twin: bool = False) -> None:
        self.durable = durable
        self.twin: AsyncStore | None = _LaterTwin(self) if twin else None
        self._make = make
        self._made: dict[str, Store] = {}

    @property
    def store(self) -> Store:
        """The store itself, made now if it was not before."""
        found = self._made.get(_ONLY)
        # Two threads may both make one; the first stays, and the other has connected to nothing. No lock: one that a
        # thread of the parent holds when it forks would never be given back in the child.
        return found if found is not None else self._made.setdefault(_ONLY, self._make())

    @property
    def is_made(self) -> bool:
        """Whether the store is there."""
        return _ONLY in self._made

    def run(self, items: Sequence[Item]) -> list[Plain]:
        """Run operations; see `Store.run`."""
        return self.store.run(items)

    def get(self, key: Key) -> bytes | None:
        """Return the value under `key`; see `Store.get`."""
        return self.store.get(key)

    def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        """Keep a value; see `Store.put`."""
        return self.store.put(key, value, ttl_ms=ttl_ms, if_absent=if_absent)

    def delete(self, key: Key) -> None:
        """Forget `key`; see `Store.delete`."""
        self.store.delete(key)

    def describe(self) -> str:
        """Ask the store what it is; empty if it cannot say."""
        store = self.store
        return store.describe() if isinstance(store, Described) else ""

    def close(self) -> None:
        """Close the store, if it was made."""
        if self.is_made:
            self.store.close()


class _LaterTwin:
    """The asyncio twin of a later store; a thread makes the store, so that the loop does not wait for an import."""

    def __init__(self, later: LaterStore) -> None:
        self._later = later

    async def run(self, items: Sequence[Item]) -> list[Plain]:
        return await (await self._twin()).run(items)

    async def get(self, key: Key) -> bytes | None:
        return await (await self._twin()).get(key)

    async def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        return await (await self._twin()).put(key, value, ttl_ms=ttl_ms, if_absent=if_absent)

    async def delete(self, key: Key) -> None:
        await (await self._twin()).delete(key)

    async def close(self) -> None:
        if self._later.is_made:
            await (await self._twin()).close()

    async def _twin(self) -> AsyncStore:
        if not self._later.is_made:
            import asyncio

            await asyncio.to_thread(lambda: self._later.store)
        twin = twin_of(self._later.store)
        if twin is None:
            message = f"{type(self._later.store).__name__} has no twin, against what was said when it was put off"
            raise TypeError(message)
        return twin
