"""A store that fails: one timeout, then it is left alone, told once, and used again as soon as it answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from nexus_connector.state import AsyncStore, AtomicOp, Item, MemoryStore, Plain, StoreError, WatchedStore

COUNT = AtomicOp(name="test.count", version=1, py=lambda state, now, args: ((state or 0) + 1, 60_000, state or 0))  # type: ignore[operator]  # a number
ITEM: Item = (COUNT, ("k",), ())


class Shaky(MemoryStore):
    """A store that fails while it is told to."""

    blocking = True
    durable = True

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.gone = False
        self.asked = 0

    def run(self, items: Sequence[Item]) -> list[Plain]:
        self._fail()
        return super().run(items)

    def get(self, key: tuple[str, ...]) -> bytes | None:
        self._fail()
        return super().get(key)

    def _fail(self) -> None:
        self.asked += 1
        if self.gone:
            message = "no answer within 0.1 s"
            raise StoreError(message)


class World:
    """A watched store in virtual time; what is done in the background is done when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.inner = Shaky()
        self.background: list[Callable[[], None]] = []
        self.told: list[object] = []
        later = self.background.append
        self.store = WatchedStore(self.inner, now=lambda: self.now, later=later, watcher=self)

    def degraded(self, message: str) -> None:
        self.told.append(message)

    def recovered(self, seconds: float) -> None:
        self.told.append(seconds)

    def work(self) -> None:
        while self.background:
            self.background.pop()()


def refused(world: World) -> str:
    """Make a call that the store does not take, and return why."""
    with pytest.raises(StoreError) as caught:
        world.store.run([ITEM])
    return str(caught.value)


def test_a_store_that_answers_is_passed_on() -> None:
    """Every method reaches the store, and it says of itself what the store says."""
    store = World().store
    assert store.blocking
    assert store.durable
    assert store.run([ITEM, ITEM]) == [0, 1]
    assert store.put(("v",), b"x", ttl_ms=1000)
    assert not store.put(("v",), b"y", ttl_ms=1000, if_absent=True)
    assert store.get(("v",)) == b"x"
    store.delete(("v",))
    assert store.get(("v",)) is None
    store.close()
    assert store.run([ITEM]) == [0]


def test_a_failure_is_paid_for_once() -> None:
    """After the first failure nobody waits for the store: it is not asked again by any call."""
    world = World()
    world.inner.gone = True
    assert refused(world) == "no answer within 0.1 s"
    assert [refused(world) for _ in range(100)] == ["left alone after: no answer within 0.1 s"] * 100
    assert world.inner.asked == 1
    assert world.told == ["no answer within 0.1 s"]


def test_it_is_tried_again_in_the_background_only() -> None:
    """Every half second one trial, however many calls there are; a failed one changes nothing."""
    world = World()
    world.inner.gone = True
    refused(world)
    for expected in (1, 2, 3):
        world.now += 0.499
        for _ in range(10):
            refused(world)
        assert world.background == []
        world.now += 0.001
        for _ in range(10):
            refused(world)
        assert len(world.background) == 1
        world.work()
        assert world.inner.asked == 1 + expected
    assert len(world.told) == 1


def test_it_is_used_again_when_it_answers() -> None:
    """After a good trial calls go through; both changes are told once, with how long it lasted."""
    world = World()
    world.inner.gone = True
    refused(world)
    world.inner.gone = False
    world.now += 3.0
    refused(world)
    world.work()
    assert world.store.run([ITEM]) == [0]
    assert world.told == ["no answer within 0.1 s", 3.0]
    world.inner.gone = True
    refused(world)
    assert len(world.told) == 3


def test_threads_that_fail_together_tell_once() -> None:
    """However many calls were under way when it failed: one StoreDegraded."""
    world = World()
    world.inner.gone = True
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait(10)
        refused(world)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(world.told) == 1


def test_what_is_no_failure_of_the_store_passes() -> None:
    """A bug in an operation says nothing about the store."""
    broken = AtomicOp(name="test.broken", version=1, py=lambda state, now, args: 1 / 0)  # type: ignore[arg-type, return-value]  # never returns
    world = World()
    with pytest.raises(ZeroDivisionError):
        world.store.run([(broken, ("k",), ())])
    assert world.store.run([ITEM]) == [0]
    assert world.told == []


# The asyncio twin


class Twin:
    """The same store, awaited."""

    def __init__(self, store: Shaky) -> None:
        self.store = store
        self.closed = False

    async def run(self, items: Sequence[Item]) -> list[Plain]:
        return self.store.run(items)

    async def get(self, key: tuple[str, ...]) -> bytes | None:
        return self.store.get(key)

    async def put(self, key: tuple[str, ...], value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        return self.store.put(key, value, ttl_ms=ttl_ms, if_absent=if_absent)

    async def delete(self, key: tuple[str, ...]) -> None:
        self.store.delete(key)

    async def close(self) -> None:
        self.closed = True


class Twinned(Shaky):
    """A store that also serves event loops, and says what it is."""

    def __init__(self) -> None:
        super().__init__()
        self.twin: AsyncStore = Twin(self)

    def describe(self) -> str:
        self._fail()
        return "Shaky 1.0"


def twin_of(world: World) -> AsyncStore:
    """Watch a store with a twin; returns the watched twin."""
    world.inner = Twinned()
    world.store = WatchedStore(world.inner, now=lambda: world.now, later=world.background.append, watcher=world)
    assert world.store.twin is not None
    return world.store.twin


def test_a_store_without_a_twin_has_none() -> None:
    """It runs in threads then, and cannot say what it is."""
    store = World().store
    assert store.twin is None
    assert store.describe() == ""


def test_a_twin_is_passed_on() -> None:
    """Every method reaches the twin; both speak of the same states."""
    world = World()
    twin = twin_of(world)

    async def use() -> None:
        assert await twin.run([ITEM]) == [0]
        assert await twin.put(("v",), b"x", ttl_ms=1000)
        assert not await twin.put(("v",), b"y", ttl_ms=1000, if_absent=True)
        assert await twin.get(("v",)) == b"x"
        await twin.delete(("v",))
        assert await twin.get(("v",)) is None
        await twin.close()

    asyncio.run(use())
    assert world.store.run([ITEM]) == [1]
    assert isinstance(world.inner, Twinned)
    assert isinstance(world.inner.twin, Twin)
    assert world.inner.twin.closed
    assert world.store.describe() == "Shaky 1.0"


def test_what_one_of_the_two_misses_both_leave_alone() -> None:
    """One timeout for both faces, told once; one trial brings both back."""
    world = World()
    twin = twin_of(world)
    world.inner.gone = True
    with pytest.raises(StoreError, match=r"^no answer"):
        asyncio.run(twin.run([ITEM]))
    assert refused(world).startswith("left alone after")
    with pytest.raises(StoreError, match="left alone after"):
        asyncio.run(twin.get(("v",)))
    assert world.inner.asked == 1
    assert len(world.told) == 1
    world.inner.gone = False
    world.now += 0.5
    refused(world)
    world.work()
    assert asyncio.run(twin.run([ITEM])) == [0]
    assert world.told[1:] == [0.5]
