"""A store that is put off: nothing of it is there before it is asked, and then it is the store itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import ClassVar

import pytest

from nexus_connector.state import AtomicOp, Item, Key, LaterStore, MemoryStore, Plain, Store, WatchedStore
from nexus_connector.testing import StoreContract

COUNT = AtomicOp(name="test.count", version=1, py=lambda state, now, args: ((state or 0) + 1, 60_000, state or 0))  # type: ignore[operator]  # a number
ITEM: Item = (COUNT, ("k",), ())


class TestLaterStore(StoreContract):
    """It keeps every promise of a store."""

    shared: ClassVar[bool] = False
    now = 0.0

    def make_store(self) -> Store:
        return LaterStore(lambda: MemoryStore(lambda: self.now), durable=False)

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Twin:
    """The asyncio face of a store in memory."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.closed = 0

    async def run(self, items: Sequence[Item]) -> list[Plain]:
        return self._store.run(items)

    async def get(self, key: Key) -> bytes | None:
        return self._store.get(key)

    async def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        return self._store.put(key, value, ttl_ms=ttl_ms, if_absent=if_absent)

    async def delete(self, key: Key) -> None:
        self._store.delete(key)

    async def close(self) -> None:
        self.closed += 1


class Kept(MemoryStore):
    """A store that can say what it is, and that counts how often it was closed."""

    blocking = True

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.twin = Twin(self)
        self.closed = 0

    def describe(self) -> str:
        return "Kept 1.0"

    def close(self) -> None:
        self.closed += 1


class Maker:
    """Makes stores and remembers in which threads."""

    def __init__(self) -> None:
        self.made: list[Kept] = []
        self.threads: list[threading.Thread] = []

    def __call__(self) -> Kept:
        self.threads.append(threading.current_thread())
        self.made.append(Kept())
        return self.made[-1]


def test_it_is_made_with_the_first_question() -> None:
    """Neither building it nor asking whether it has a twin makes the store; every question goes to the same one."""
    maker = Maker()
    store = LaterStore(maker, durable=True, twin=True)
    assert (store.durable, store.blocking, store.twin is not None) == (True, True, True)
    assert (store.is_made, maker.made) == (False, [])
    assert [store.run([ITEM]), store.run([ITEM])] == [[0], [1]]
    assert store.put(("v",), b"1", ttl_ms=1000)
    assert store.get(("v",)) == b"1"
    store.delete(("v",))
    assert store.get(("v",)) is None
    assert maker.made == [store.store]


def test_what_was_never_made_is_not_closed() -> None:
    """Closing makes nothing; a store that is there is closed each time."""
    maker = Maker()
    store = LaterStore(maker, durable=True, twin=True)
    assert store.twin is not None
    store.close()
    asyncio.run(store.twin.close())
    assert maker.made == []
    store.run([ITEM])
    store.close()
    asyncio.run(store.twin.close())
    assert (maker.made[0].closed, maker.made[0].twin.closed) == (1, 1)


def test_it_says_what_the_store_says() -> None:
    """Product and version; nothing for a store that cannot say."""
    assert LaterStore(Kept, durable=True).describe() == "Kept 1.0"
    assert LaterStore(lambda: MemoryStore(lambda: 0.0), durable=True).describe() == ""


def test_a_loop_does_not_wait_for_the_making() -> None:
    """The twin has the store made in a thread, once, and asks the store's own twin."""
    maker = Maker()
    store = LaterStore(maker, durable=True, twin=True)
    assert store.twin is not None
    twin = store.twin

    async def ask() -> list[Plain]:
        replies = [*await twin.run([ITEM]), *await twin.run([ITEM])]
        assert await twin.put(("v",), b"1", ttl_ms=1000)
        assert await twin.get(("v",)) == b"1"
        await twin.delete(("v",))
        assert await twin.get(("v",)) is None
        return replies

    assert asyncio.run(ask()) == [0, 1]
    assert len(maker.made) == 1
    assert maker.threads[0] is not threading.current_thread()


def test_a_twin_that_is_not_there_is_said() -> None:
    """Who puts a store off says whether it has a twin; if that was wrong, the error names the store."""
    twin = LaterStore(lambda: MemoryStore(lambda: 0.0), durable=True, twin=True).twin
    assert twin is not None
    with pytest.raises(TypeError, match=r"^MemoryStore has no twin"):
        asyncio.run(twin.get(("k",)))


def test_threads_share_one() -> None:
    """However many ask first at the same time, all go on with the one that stays."""
    maker, start, found = Maker(), threading.Barrier(8), list[Store]()
    store = LaterStore(lambda: (start.wait(5), maker())[1], durable=True)
    threads = [threading.Thread(target=lambda: found.append(store.store)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(maker.made) == 8
    assert {id(each) for each in found} == {id(store.store)}


def test_it_may_be_watched() -> None:
    """The watch before it sees its twin, and makes nothing by looking."""
    maker = Maker()
    later = LaterStore(maker, durable=True, twin=True)
    watched = WatchedStore(later, now=lambda: 0.0, later=lambda work: None, watcher=Silent())
    assert (watched.durable, watched.twin is not None, later.is_made) == (True, True, False)
    assert watched.describe() == "Kept 1.0"


class Silent:
    """Hears of a store, and says nothing."""

    def degraded(self, message: str) -> None:
        raise AssertionError(message)

    def recovered(self, seconds: float) -> None:
        raise AssertionError(seconds)
