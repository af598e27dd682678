"""Over real HTTP, with threads and loops of one process: one effect under one key."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from nexus_connector import Connector, hookimpl
from nexus_connector.errors import IdempotencyInFlightError
from nexus_connector.state import MemoryStore, Store
from nexus_connector.testing.emulator import Answer, Hang, VendorEmulator


class Blocking(MemoryStore):
    """A memory store that is used like a database: in threads, and watched."""

    durable = True
    blocking = True


class Opens:
    """Opens it."""

    def __init__(self) -> None:
        self.opened = Blocking(time.monotonic)

    @hookimpl
    def store(self, url: str, role: str) -> Store:
        return self.opened


@contextmanager
def connected(vendor: VendorEmulator, **service: Any) -> Generator[Connector]:
    """A connector to the vendor, with claims."""
    config = {
        "services": {"crm": {"base_url": vendor.url, **service}},
        "stores": {"durable": "test://"},
        "plugins": {"only": ["idempotency"]},
    }
    with Connector.from_config(config, plugins=[Opens()]) as connector:
        yield connector


def test_threads_and_tasks_wait_for_the_first() -> None:
    """16 threads and 16 tasks call one key at once: one request, and its answer for all, to the byte."""
    body = bytes(range(256)) * 4

    with VendorEmulator() as vendor, connected(vendor) as connector, ThreadPoolExecutor(17) as pool:
        vendor.on("POST /orders", Answer(201, body=body, headers={"X-B": "1", "X-A": "2"}, delay_seconds=0.05))
        start = threading.Barrier(17)

        def call() -> Any:
            start.wait()
            return connector.service("crm").post("/orders", idempotency_key="k", json={})

        async def tasks() -> list[Any]:
            service = connector.as_async().service("crm")
            return await asyncio.gather(*[service.post("/orders", idempotency_key="k", json={}) for _ in range(16)])

        def on_a_loop() -> list[Any]:
            start.wait()
            return asyncio.run(tasks())

        loop = pool.submit(on_a_loop)
        responses = [future.result() for future in [pool.submit(call) for _ in range(16)]] + loop.result()
        assert len(vendor.arrivals) == 1
    assert sorted(response.call.replayed for response in responses) == [False] + [True] * 31
    assert {(response.status, response.body) for response in responses} == {(201, body)}
    assert len({tuple(response.headers.pairs()) for response in responses}) == 1


def test_a_cancelled_call_is_unknown() -> None:
    """Its request arrived, its caller gave up: listed, and not sent again."""

    async def main(vendor: VendorEmulator, connector: Connector) -> None:
        vendor.on("POST /orders", Hang())
        aconnector = connector.as_async()
        call = asyncio.ensure_future(aconnector.service("crm").post("/orders", idempotency_key="k", json={}))
        await asyncio.to_thread(vendor.wait_for, 1, "POST /orders")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await aconnector.flush()
        [pending] = await aconnector.outcomes.list()
        assert (pending.state, pending.message) == ("unknown", "it ended with CancelledError")
        with pytest.raises(IdempotencyInFlightError):
            await aconnector.service("crm").post("/orders", idempotency_key="k", json={})
        assert len(vendor.arrivals) == 1

    with VendorEmulator() as vendor, connected(vendor) as connector:
        asyncio.run(main(vendor, connector))


def test_one_that_waits_in_this_process_has_its_deadline() -> None:
    """The first hangs; who waits for it here ends by its own deadline, without having asked the store to send."""
    with VendorEmulator() as vendor, connected(vendor) as connector, ThreadPoolExecutor(1) as pool:
        vendor.on("POST /orders", Hang())
        service = connector.service("crm")
        first = pool.submit(service.post, "/orders", idempotency_key="k", json={}, timeout_seconds=5)
        vendor.wait_for(1, "POST /orders")
        with pytest.raises(IdempotencyInFlightError, match="still under way") as caught:
            service.post("/orders", idempotency_key="k", json={}, timeout_seconds=0.05)
        assert caught.value.retry_after is not None
        assert len(vendor.arrivals) == 1
        connector.close()
        assert first.exception() is not None


def test_a_stream_is_settled_when_it_is_closed() -> None:
    """The awaited face closes it on the loop: its claim is written in the background."""

    async def main(vendor: VendorEmulator, connector: Connector) -> None:
        vendor.on("GET /export", Answer(200, body=b"ab"))
        aconnector = connector.as_async()
        async with aconnector.service("crm").stream("/export", idempotency_key="s") as stream:
            assert [each.state for each in await aconnector.outcomes.list()] == ["in_flight"]
            assert b"".join([piece async for piece in stream]) == b"ab"
        await aconnector.flush()
        assert await aconnector.outcomes.list() == []

    with VendorEmulator() as vendor, connected(vendor) as connector:
        asyncio.run(main(vendor, connector))
