"""The watched store: a shared store that fails costs one timeout, then it is left alone until it answers again."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

import attrs

from .store import AsyncStore, Described, Item, Key, Plain, Store, StoreError, twin_of

T = TypeVar("T")

LEFT_ALONE_SECONDS: Final = 0.5
"""How often a store that failed is tried again, in the background."""
_PING: Final = ("nexus_connector", "ping")


@attrs.frozen
class Absence:
    """A store that does not answer. Pure.

    Attributes:
        since: When it was first missed.
        next_try: When it is tried again.
        message: What it failed with.
    """

    since: float
    next_try: float
    message: str

    def tried(self, now: float) -> Absence:
        """Put the next trial off."""
        return attrs.evolve(self, next_try=now + LEFT_ALONE_SECONDS)


class Watcher(Protocol):
    """Who hears of a store that fails."""

    def degraded(self, message: str) -> None:
        """Hear that it does not answer."""
        ...

    def recovered(self, seconds: float) -> None:
        """Hear that it answers again, after so long."""
        ...


class WatchedStore:
    """Stands before a store that waits on something.

    The first failure is raised as it came. From then on every call is refused at once with a `StoreError`, until a
    trial in the background has gone well.

    Args:
        store: The store.
        now: Seconds of a clock that never goes back.
        later: Has something done in the background.
        watcher: Hears of it.
    """

    blocking = True

    def __init__(
        self, store: Store, *, now: Callable[[], float], later: Callable[[Callable[[], None]], None], watcher: Watcher
    ) -> None:
        self.durable = store.durable
        self._store = store
        self._now = now
        self._later = later
        self._watcher = watcher
        self._lock = threading.Lock()
        self._absence: Absence | None = None
        twin = twin_of(store)
        self._twin = None if twin is None else _WatchedTwin(self, twin)

    @property
    def twin(self) -> AsyncStore | None:
        """The twin of the store behind it, watched together with it."""
        return self._twin

    def describe(self) -> str:
        """Ask the store behind it what it is; empty if it cannot say."""
        store = self._store
        return self._watched(store.describe) if isinstance(store, Described) else ""

    def run(self, items: Sequence[Item]) -> list[Plain]:
        """Run operations; see `Store.run`."""
        self.pass_on()
        try:
            return self._store.run(items)
        except StoreError as error:
            self.missed(str(error))
            raise

    def get(self, key: Key) -> bytes | None:
        """Return the value under `key`; see `Store.get`."""
        return self._watched(lambda: self._store.get(key))

    def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        """Keep a value; see `Store.put`."""
        return self._watched(lambda: self._store.put(key, value, ttl_ms=ttl_ms, if_absent=if_absent))

    def delete(self, key: Key) -> None:
        """Forget `key`; see `Store.delete`."""
        self._watched(lambda: self._store.delete(key))

    def close(self) -> None:
        """Close the store behind it."""
        self._store.close()

    def pass_on(self) -> None:
        """Let a call through to the store, or refuse it at once.

        Raises:
            StoreError: If the store failed and has not answered since.
        """
        absence = self._absence
        if absence is not None:
            self._try_again(absence)
            message = f"left alone after: {absence.message}"
            raise StoreError(message)

    def _watched(self, work: Callable[[], T]) -> T:
        self.pass_on()
        try:
            return work()
        except StoreError as error:
            self.missed(str(error))
            raise

    def missed(self, message: str) -> None:
        """Hear that the store failed; from now on it is left alone."""
        with self._lock:
            if self._absence is not None:  # another thread was first
                return
            now = self._now()
            self._absence = Absence(since=now, next_try=now + LEFT_ALONE_SECONDS, message=message)
        self._watcher.degraded(message)

    def _try_again(self, absence: Absence) -> None:
        now = self._now()
        with self._lock:
            if self._absence is not absence or now < absence.next_try:
                return
            self._absence = absence.tried(now)
        self._later(self._trial)

    def _trial(self) -> None:
        """Ask for a key that nobody keeps; runs in the background."""
        try:
            self._store.get(_PING)
        except StoreError:
            return
        with self._lock:
            absence, self._absence = self._absence, None
        if absence is not None:
            self._watcher.recovered(self._now() - absence.since)


class _WatchedTwin:
    """The asyncio twin of a watched store: what one of the two misses, both leave alone."""

    def __init__(self, watched: WatchedStore, twin: AsyncStore) -> None:
        self._watch = watched
        self._twin = twin

    async def run(self, items: Sequence[Item]) -> list[Plain]:
        return await self._watched(lambda: self._twin.run(items))

    async def get(self, key: Key) -> bytes | None:
        return await self._watched(lambda: self._twin.get(key))

    async def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        return await self._watched(lambda: self._twin.put(key, value, ttl_ms=ttl_ms, if_absent=if_absent))

    async def delete(self, key: Key) -> None:
        await self._watched(lambda: self._twin.delete(key))

    async def close(self) -> None:
        await self._twin.close()

    async def _watched(self, work: Callable[[], Awaitable[T]]) -> T:
        self._watch.pass_on()
        try:
            return await work()
        except StoreError as error:
            self._watch.missed(str(error))
            raise
