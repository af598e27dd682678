"""Sharing: what stores promise to several threads, processes and owners, as tests."""

from __future__ import annotations

import asyncio
import os
import threading
import traceback
import warnings
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final, Literal, TypeAlias, TypeVar

import pytest

from ..state import AsyncStore, Item, Key, Plain, Store, StoreError, twin_of
from ._store_operations import ADD, TTL_MS, fresh_key

T = TypeVar("T")

THREADS: Final = 8
Face: TypeAlias = Literal["store", "twin"]
"""Whom a test asks: the store itself, or its asyncio twin."""


class Loop:
    """An event loop in a thread of its own; a forked child that goes on with it gets another one."""

    def __init__(self) -> None:
        self._pid = 0
        self._lock = threading.Lock()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for its result."""
        with self._lock:
            if self._pid != os.getpid():
                self._begin()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        """End the loop; it begins anew if it is asked again."""
        if self._pid == os.getpid():
            self._pid = 0
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join()

    def _begin(self) -> None:
        begun = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._until_stopped(begun)), daemon=True)
        self._thread.start()
        begun.wait()
        self._pid = os.getpid()

    async def _until_stopped(self, begun: threading.Event) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        begun.set()
        await self._stopped.wait()


class Twinned:
    """A store that has its asyncio twin answer every question.

    Args:
        store: The store.
        twin: Its twin.
    """

    def __init__(self, store: Store, twin: AsyncStore) -> None:
        self.durable, self.blocking = store.durable, store.blocking
        self.plain = store
        self.twin = twin
        self._loop = Loop()

    def run(self, items: Sequence[Item]) -> list[Plain]:
        """Run operations; see `Store.run`."""
        return self._loop.run(self.twin.run(items))

    def get(self, key: Key) -> bytes | None:
        """Return a value; see `Store.get`."""
        return self._loop.run(self.twin.get(key))

    def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        """Keep a value; see `Store.put`."""
        return self._loop.run(self.twin.put(key, value, ttl_ms=ttl_ms, if_absent=if_absent))

    def delete(self, key: Key) -> None:
        """Forget a key; see `Store.delete`."""
        self._loop.run(self.twin.delete(key))

    def close(self) -> None:
        """Close the twin, end its loop, and close the store."""
        self._loop.run(self.twin.close())
        self._loop.stop()
        self.plain.close()


class SharingContract:
    """How stores are made, and what holds while several use them."""

    shared: ClassVar[bool] = True
    has_twin: ClassVar[bool] = False
    face: Face = "store"
    password: ClassVar[str] = "password-of-the-contract"  # noqa: S105  # made to be looked for

    def make_store(self) -> Store:
        """Return a new store. The test closes it."""
        raise NotImplementedError

    def make_lost_store(self) -> Store | None:
        """Return a store whose server cannot be reached, with `password` in its URL; ``None``: it needs no server."""
        return None

    def advance(self, seconds: float) -> None:
        """Let time pass for the stores of this test.

        Move their clock; or, where that is not yours, take the time off the rest that everything has to live.
        """
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _ask_this_face(self, request: pytest.FixtureRequest) -> None:
        self.face = getattr(request, "param", "store")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Have every test run a second time through the twin, where there is one."""
        if self.has_twin:
            metafunc.parametrize("_ask_this_face", ["store", "twin"], indirect=True)

    @contextmanager
    def stores(self, count: int = 1) -> Generator[list[Store]]:
        """Open stores on one place: as many as asked for, or the same one again if they do not share theirs."""
        made = [self._faced(self.make_store()) for _ in range(count if self.shared else 1)]
        try:
            yield made if self.shared else made * count
        finally:
            for store in made:
                store.close()

    @contextmanager
    def store(self) -> Generator[Store]:
        """Open one store."""
        with self.stores() as [store]:
            yield store

    def _faced(self, store: Store) -> Store:
        """Return the store, or what asks its twin instead."""
        twin = twin_of(store)
        if self.face == "store":
            return store
        assert twin is not None, "has_twin is True, but the store has none"
        return Twinned(store, twin)

    def test_threads_lose_no_update(self) -> None:
        """Nobody comes between the two ends of an operation, in batches neither, in whatever order they name keys."""
        tag, rounds = fresh_key()[0], 25
        keys = [(tag, name) for name in ("a", "b", "c")]
        replies: dict[Key, list[Plain]] = {key: [] for key in keys}
        with self.stores(2) as stores:

            def count(number: int) -> None:
                order = keys if number % 2 else keys[::-1]
                for _ in range(rounds):
                    got = stores[number % len(stores)].run([(ADD, key, (1,)) for key in order])
                    for key, reply in zip(order, got, strict=True):
                        replies[key].append(reply)

            at_once(count)
        for got in replies.values():
            assert sorted(map(repr, got)) == sorted(map(repr, range(1, THREADS * rounds + 1))), "updates were lost"

    def test_one_thread_claims(self) -> None:
        """Of many that put with ``if_absent`` at once, exactly one is told that it wrote, and its value is there."""
        keys = [fresh_key() for _ in range(10)]
        won: list[tuple[Key, bytes]] = []
        with self.stores(2) as stores:

            def claim(number: int) -> None:
                store, value = stores[number % len(stores)], str(number).encode()
                won.extend((key, value) for key in keys if store.put(key, value, ttl_ms=TTL_MS, if_absent=True))

            at_once(claim)
            assert sorted(key for key, _ in won) == sorted(keys), f"{len(won)} claims of {len(keys)} keys were won"
            assert [stores[0].get(key) for key, _ in won] == [value for _, value in won]

    def test_other_stores_see_it(self) -> None:
        """What was written stays when the store that wrote it is closed, and another store finds it."""
        if not self.shared:
            pytest.skip("each of these stores has its own place")
        key = fresh_key()
        with self.store() as first:
            first.run([(ADD, key, (1,))])
            first.put(key, b"1", ttl_ms=TTL_MS)
        with self.store() as second:
            assert second.run([(ADD, key, (1,))]) == [2]
            assert second.get(key) == b"1"

    def test_a_forked_child_disturbs_nobody(self) -> None:
        """A child that forgets the store of its parent and opens its own; both count on."""
        if not self.shared or not hasattr(os, "fork"):
            pytest.skip("each of these stores has its own place, or nothing forks here")
        key = fresh_key()
        with self.store() as store:
            store.run([(ADD, key, (1,))])
            assert forked(lambda: self._count_in_child(store, key)) == 0, "the child failed"
            assert store.run([(ADD, key, (1,))]) == [12]

    def _count_in_child(self, inherited: Store, key: Key) -> None:
        inherited.close()
        with self.store() as store:
            for _ in range(10):
                store.run([(ADD, key, (1,))])

    def test_it_may_be_closed_twice(self) -> None:
        """Also if it was never used."""
        unused, used = self._faced(self.make_store()), self._faced(self.make_store())
        used.put(fresh_key(), b"1", ttl_ms=TTL_MS)
        for store in (unused, used):
            store.close()
            store.close()

    def test_a_lost_server_is_a_store_error(self) -> None:
        """Making and closing it asks nobody; every other method raises `StoreError`, and no text holds the password."""
        lost = self.make_lost_store()
        if lost is None:
            pytest.skip("this store needs no server")
        store = self._faced(lost)
        key = fresh_key()
        asks: list[Callable[[], object]] = [
            lambda: store.run([(ADD, key, (1,))]),
            lambda: store.get(key),
            lambda: store.put(key, b"1", ttl_ms=TTL_MS),
            lambda: store.delete(key),
        ]
        try:
            for ask in asks:
                with pytest.raises(StoreError) as caught:
                    ask()
                assert str(caught.value), "the error says nothing"
                told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
                assert self.password not in told, "the error shows the password"
        finally:
            store.close()


def at_once(work: Callable[[int], None]) -> None:
    """Run it in several threads that start together; what one of them raises is raised here."""
    errors: list[BaseException] = []
    start = threading.Barrier(THREADS)

    def guarded(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,), daemon=True) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if any(thread.is_alive() for thread in threads):
        pytest.fail("threads wait for each other")
    if errors:
        raise errors[0]


def forked(work: Callable[[], None]) -> int:
    """Run it in a forked child and return its exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests may be about
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
