"""Outages from beginning to end: many threads at the half-open moment, ten minutes without the vendor, its return."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nexus_connector.errors import CircuitOpenError, ConnectorError
from nexus_connector.message import Request

Opens = Callable[..., Any]

THREADS, ROUNDS = 24, 50
MINUTES, PER_SECOND = 10, 100


@pytest.mark.parametrize("snapshot_seconds", [0.05, 0.0])
def test_24_threads_at_the_half_open_moment(world: Opens, snapshot_seconds: float) -> None:
    """Fifty times, exactly one of 24 threads is the probe, and the other 23 are refused while it is under way."""
    crm = world({"snapshot_seconds": snapshot_seconds})
    crm.calls(*[500] * 5)
    probes: list[Request] = []
    refused: list[int] = []
    others_refused = threading.Event()

    def probed(request: Request) -> int:
        probes.append(request)
        assert others_refused.wait(20), "more than one probe, or somebody hangs"
        return 500

    crm.vendors.answer("", probed)
    start = threading.Barrier(THREADS, timeout=20)

    def one(number: int) -> str:
        start.wait()
        error = crm.call()
        if isinstance(error, CircuitOpenError):
            refused.append(number)
            if len(refused) == THREADS - 1:
                others_refused.set()
        return type(error).__name__

    with ThreadPoolExecutor(THREADS) as threads:
        for round_number in range(1, ROUNDS + 1):
            refused.clear()
            others_refused.clear()
            crm.vendors.clock.advance(60)
            kinds = list(threads.map(one, range(THREADS)))
            assert kinds.count("CircuitOpenError") == THREADS - 1
            assert len(probes) == round_number
    assert crm.changes == [("closed", "open"), *[("open", "half_open"), ("half_open", "open")] * ROUNDS]
    print(f"\n{ROUNDS} rounds of {THREADS} threads: {len(probes)} probes")


def test_24_threads_that_fail_at_once_make_one_transition(world: Opens) -> None:
    """Fifty times, failures of all threads at the same moment open the circuit once and are told once."""
    crm = world({"failure_threshold": 5})
    start = threading.Barrier(THREADS, timeout=20)
    crm.vendors.answer("", 500)

    def one(number: int) -> None:
        start.wait()
        crm.call()

    with ThreadPoolExecutor(THREADS) as threads:
        for _ in range(ROUNDS):
            list(threads.map(one, range(THREADS)))
            crm.vendors.answer("", 200)
            crm.vendors.clock.advance(60)
            assert crm.call().status == 200
            crm.vendors.answer("", 500)
    assert crm.changes == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")] * ROUNDS


def test_ten_minutes_without_the_vendor(world: Opens) -> None:
    """100 calls a second for ten minutes: at most 15 are sent after the trip, and 61 s after its return it is back."""
    crm = world({})
    step = 1 / PER_SECOND
    crm.vendors.answer("", ConnectionRefusedError())
    sent_at_trip = 0
    for _ in range(MINUTES * 60 * PER_SECOND):
        crm.call()
        if not sent_at_trip and crm.events:
            sent_at_trip = crm.sends
        crm.vendors.clock.advance(step)
    after_trip = crm.sends - sent_at_trip
    while crm.changes[-1] != ("half_open", "open") or crm.sends == sent_at_trip + after_trip:
        crm.call()
        crm.vendors.clock.advance(step)
    crm.vendors.answer("", 200)  # at the worst moment: right after a probe has failed
    returned = crm.vendors.clock.elapsed_seconds
    while isinstance(crm.call(), ConnectorError):
        crm.vendors.clock.advance(step)
    recovered = crm.vendors.clock.elapsed_seconds - returned
    print(
        f"\ntrip after {sent_at_trip} sends, {after_trip} of 60000 sent after it, back {recovered:.2f} s after return"
    )
    assert sent_at_trip == 5
    assert after_trip <= 15
    assert recovered <= 61
    assert all(crm.call().status == 200 for _ in range(100))
    assert crm.changes[-1] == ("half_open", "closed")


def test_ten_minutes_of_silence(world: Opens) -> None:
    """The same with a vendor that never answers: what was under way at the trip ends, then only probes are sent."""
    crm = world({}, timeout_seconds=2)
    io = crm.connector.runtime.loop_io
    service = crm.connector.as_async().service("crm")
    crm.vendors.answer("", TimeoutError())
    begun: list[float] = []
    refused: list[float] = []

    def task(at: float) -> Callable[[], Any]:
        async def call() -> None:
            await io.sleep(at)
            began = io.now()
            try:
                await service.get("/x")
            except CircuitOpenError:
                refused.append(began)
            except ConnectorError:
                begun.append(began)

        return call

    per_second = PER_SECOND // 5
    count = MINUTES * 60 * per_second
    asyncio.run(io.gather([task(number / per_second) for number in range(count)], count))
    tripped = io.now() - (io.wall() - crm.events[0].at).total_seconds()
    after_trip = [began for began in begun if began > tripped]
    print(f"\n{len(begun)} sent, {len(after_trip)} of them after the trip, {len(refused)} refused")
    assert len(after_trip) <= 15
    assert len(refused) > count * 0.98
