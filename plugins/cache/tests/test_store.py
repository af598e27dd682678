"""A store that fails is a miss, a store that blocks is not asked on the loop, and nothing in it is trusted blindly."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from nexus_connector import AsyncConnector, Connector, Response, hookimpl
from nexus_connector.state import Item, Key, MemoryStore, Plain, StoreError
from nexus_connector.testing.emulator import Answer, Compute, VendorEmulator
from nexus_connector_cache._shelf import EXTEND, HOLD

Opens = Callable[..., Any]

HOUR = {"Cache-Control": "max-age=3600"}
ALL = frozenset({"get", "put", "run", "delete"})


class Frail(MemoryStore):
    """A memory store whose methods fail while they are told to; notes in which threads it was asked."""

    def __init__(self, *, blocking: bool = False) -> None:
        super().__init__(lambda: 0.0)
        self.blocking = blocking
        self.gone: frozenset[str] = frozenset()
        self.threads: set[int] = set()
        self.asked: list[str] = []

    def _ask(self, name: str) -> None:
        self.threads.add(threading.get_ident())
        self.asked.append(name)
        if name in self.gone:
            message = f"{name} failed"
            raise StoreError(message)

    def run(self, items: Sequence[Item]) -> list[Plain]:
        """Run, or fail."""
        self._ask("run")
        return super().run(items)

    def get(self, key: Key) -> bytes | None:
        """Get, or fail."""
        self._ask("get")
        return super().get(key)

    def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        """Put, or fail."""
        self._ask("put")
        return super().put(key, value, ttl_ms=ttl_ms, if_absent=if_absent)

    def delete(self, key: Key) -> None:
        """Delete, or fail."""
        self._ask("delete")
        super().delete(key)


@pytest.mark.parametrize("face", ["call", "await_call"])
@pytest.mark.parametrize("gone", [*[frozenset({name}) for name in sorted(ALL)], ALL], ids=sorted)
@pytest.mark.parametrize("blocking", [False, True])
def test_a_store_that_fails_is_a_miss(world: Opens, face: str, gone: frozenset[str], blocking: bool) -> None:
    """Whatever fails, reads and changes go through to the vendor, and no StoreError comes out."""
    store = Frail(blocking=blocking)
    crm = world(store=store)
    crm.answer((200, 1, {**HOUR, "ETag": '"1"'}))
    store.gone = gone
    call = getattr(crm, face)
    for method in ("get", "get", "post", "get"):
        answer = call(method=method)
        assert isinstance(answer, Response)
        assert answer.json() == 1
    store.gone = frozenset()
    assert isinstance(call(), Response)


def test_a_store_that_comes_back_is_used_again(world: Opens) -> None:
    """What was kept before it failed answers again; what came meanwhile was not kept."""
    store = Frail()
    crm = world(store=store)
    crm.answer((200, 1, HOUR))
    crm.call()
    store.gone = ALL
    assert crm.call().attempts == 1
    store.gone = frozenset()
    assert crm.call().attempts == 0


def test_a_change_that_the_store_did_not_hear_of_counts_here(world: Opens) -> None:
    """What was kept before it is not used by this process any more, also when the store is back."""
    store = Frail()
    crm = world(store=store)
    crm.answer((200, "old", HOUR))
    crm.call()
    crm.advance(1)
    store.gone = ALL
    crm.call(method="post")
    store.gone = frozenset()
    crm.advance(1)
    crm.answer((200, "new", HOUR))
    assert crm.call().json() == "new"
    assert crm.call().attempts == 0


class Shares:
    """Opens the test's store."""

    def __init__(self, store: Frail) -> None:
        self.kept = store

    @hookimpl
    def store(self, url):
        return self.kept


def config(url: str) -> dict[str, object]:
    """One service with the cache, on the test's store."""
    return {
        "stores": {"shared": "frail://here"},
        "services": {"crm": {"base_url": url}},
        "plugins": {"only": ["cache"], "cache": {"enabled": True}},
    }


def test_a_store_that_blocks_is_not_asked_on_the_loop() -> None:
    """The awaited face asks it in the I/O threads, for looking, keeping and forgetting."""
    store = Frail(blocking=True)

    async def program(url: str) -> list[int]:
        async with AsyncConnector.from_config(config(url), plugins=[Shares(store)]) as connector:
            crm = connector.service("crm")
            answers = [await crm.get("/x"), await crm.get("/x"), await crm.post("/x"), await crm.get("/x")]
        return [answer.attempts for answer in answers]

    with VendorEmulator() as vendor:
        vendor.on("*", Answer(json=1, headers=HOUR))
        assert asyncio.run(program(vendor.url)) == [1, 0, 1, 1]
    assert {"get", "run", "put", "delete"} <= set(store.asked)
    assert threading.get_ident() not in store.threads


def test_a_store_in_memory_costs_no_thread() -> None:
    """Nothing is handed to another thread for what does not block."""
    store = Frail()

    async def program(url: str) -> None:
        async with AsyncConnector.from_config(config(url), plugins=[Shares(store)]) as connector:
            await connector.service("crm").get("/x")

    with VendorEmulator() as vendor:
        vendor.on("*", Answer(json=1, headers=HOUR))
        asyncio.run(program(vendor.url))
    assert store.threads == {threading.get_ident()}


def test_a_hit_costs_one_look(world: Opens) -> None:
    """One get and one operation; a miss that is kept, one more of each kind."""
    store = Frail()
    crm = world(store=store)
    crm.answer((200, 1, HOUR))
    crm.call()
    assert store.asked == ["get", "run", "run", "put"]
    store.asked.clear()
    crm.call()
    assert store.asked == ["get", "run"]
    store.asked.clear()
    crm.call(method="post")
    assert store.asked == ["delete"]


def test_what_somebody_else_wrote_is_a_miss(world: Opens) -> None:
    """Bytes of another program, or half an answer, are asked for again and replaced."""
    store = Frail()
    crm = world(store=store)
    crm.answer((200, 1, HOUR))
    crm.call()
    [key] = store._values
    for data in (b"", b"\x80", b'{"format":1,"variants":[{}]}', b'{"format":1,"variants":7}\n'):
        store.put(key, data, ttl_ms=1000)
        assert crm.call().attempts == 1
        assert crm.call().attempts == 0


def test_everything_expires(world: Opens) -> None:
    """Answers after their freshness and the time that they may stand in; tokens of what is not kept soon after."""
    crm = world(default_seconds=60, stale_if_error_seconds=40)
    stores = crm.connector.runtime.process.stores.shared
    crm.call()
    assert sorted(until for _, until in stores._values.values()) == [100_000]
    assert sorted(until for _, until in stores._states.values()) == [100_000]
    crm.answer((200, 1, {"Cache-Control": "no-store"}))
    crm.call("/y", timeout_seconds=20)
    assert sorted(until for _, until in stores._states.values()) == [80_000, 100_000]
    assert len(stores._values) == 1


def test_a_hostile_lifetime_does_not_keep_for_ever(world: Opens) -> None:
    """The store is told 30 days at most."""
    crm = world()
    crm.answer((200, 1, {"Cache-Control": "max-age=99999999999999999999"}))
    crm.call()
    stores = crm.connector.runtime.process.stores.shared
    assert [until for _, until in stores._values.values()] == [30 * 24 * 3600 * 1000]


def test_processes_share_answers_and_changes() -> None:
    """What one connector keeps answers another one on the same store, and a change by either is for both."""
    store = Frail()
    with VendorEmulator() as vendor:
        vendor.on("*", Compute(lambda arrival: Answer(json=arrival.number, headers=HOUR)))
        with (
            Connector.from_config(config(vendor.url), plugins=[Shares(store)]) as one,
            Connector.from_config(config(vendor.url), plugins=[Shares(store)]) as other,
        ):
            seen = [each.service("crm").get("/x").json() for each in (one, other)]
            other.service("crm").post("/x")
            seen += [each.service("crm").get("/x").json() for each in (one, other)]
    assert seen == [1, 1, 3, 3]


def test_a_token_is_given_once_and_kept_for_the_longest_time() -> None:
    """HOLD gives the first token and only ever prolongs; another one finds it."""
    state, ttl, token = HOLD.py(None, 1_000, ("a", 5_000))
    assert (ttl, token) == (5_000, "a")
    state, ttl, token = HOLD.py(state, 2_000, ("b", 1_000))
    assert (ttl, token) == (4_000, "a")
    state, ttl, token = HOLD.py(state, 2_000, ("b", 9_000))
    assert (ttl, token) == (9_000, "a")


def test_only_the_same_token_is_prolonged() -> None:
    """EXTEND of a token that was taken away says so, and makes none; the new one keeps its time."""
    assert EXTEND.py(None, 0, ("a", 5_000)) == (None, 0, False)
    state, _, _ = HOLD.py(None, 0, ("b", 5_000))
    assert EXTEND.py(state, 1_000, ("a", 60_000)) == (("b", 5_000), 4_000, False)
    assert EXTEND.py(state, 1_000, ("b", 60_000)) == (("b", 61_000), 60_000, True)
    assert EXTEND.py(state, 1_000, ("b", 10)) == (("b", 5_000), 4_000, True)
