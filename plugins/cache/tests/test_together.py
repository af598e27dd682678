"""Calls that want the same answer at the same time make one request, in threads and on a loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any

import attrs
import pytest

from nexus_connector import AsyncConnector, CallOptions, Connector, Operation, Request, Response, Stage, hookimpl
from nexus_connector.errors import DeadlineExceededError
from nexus_connector.execution import execute
from nexus_connector.state import Key, MemoryStore
from nexus_connector.testing.emulator import Answer, Compute, VendorEmulator
from nexus_connector_cache import CacheOptions
from nexus_connector_cache._flights import Flights
from nexus_connector_cache._stage import CacheStage

Opens = Callable[..., Any]

MINUTE = {"Cache-Control": "max-age=60"}
CALLERS = 8
SECONDS = 20.0
"""Longest wait of a thread that would otherwise hang for ever; no test comes near it."""


class Crowd(MemoryStore):
    """A store that knows when so many calls have looked into it."""

    def __init__(self, number: int) -> None:
        super().__init__(time.monotonic)
        self.looked = threading.Event()
        self._wanted = number
        self._looks = 0
        self._counting = threading.Lock()

    def get(self, key: Key) -> bytes | None:
        """Look, and be counted."""
        value = super().get(key)
        with self._counting:
            self._looks += 1
            if self._looks >= self._wanted:
                self.looked.set()
        return value


class Behind(Stage):
    """Right behind the cache: the first call waits until all have looked, the others for each other."""

    name = "behind"
    slot = 310

    def __init__(self, crowd: Crowd, others: int = 0) -> None:
        self.crowd = crowd
        self.numbers: Iterator[int] = count()
        self.barrier = threading.Barrier(others) if others else None
        self.first: asyncio.Task[Any] | None = None
        self.go: threading.Event = crowd.looked

    async def __call__(self, call, request, next):
        if next_number(self.numbers) == 0:
            self.first = running_task()
            await call.io.run(lambda: self.go.wait(SECONDS))
        elif self.barrier is not None:
            await call.io.run(lambda: self.barrier.wait(SECONDS))
        return await next(call, request)


def next_number(numbers: Iterator[int]) -> int:
    """The next one."""
    return next(numbers)


def running_task() -> asyncio.Task[Any] | None:
    """The task, if there is a loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


class Brings:
    """The cache on a store of the test's own, and what stands behind it."""

    def __init__(self, crowd: Crowd, behind: Behind) -> None:
        self.crowd, self.behind = crowd, behind
        self.caches: list[CacheStage] = []

    @hookimpl
    def stages(self, config):
        self.caches.append(CacheStage(CacheOptions(enabled=True), store=self.crowd))
        return [self.caches[-1], self.behind]


def config(url: str) -> dict[str, object]:
    """One service; the cache comes from `Brings`."""
    return {"services": {"crm": {"base_url": url}}, "plugins": {"only": []}}


def by_threads(url: str, brings: Brings, paths: Sequence[str]) -> list[Response]:
    """Make calls, each in a thread of its own."""
    with Connector.from_config(config(url), plugins=[brings]) as connector, ThreadPoolExecutor(len(paths)) as pool:
        return list(pool.map(connector.service("crm").get, paths))


def by_gather(url: str, brings: Brings, paths: Sequence[str]) -> list[Response]:
    """Make calls on one loop."""

    async def program() -> list[Response]:
        async with AsyncConnector.from_config(config(url), plugins=[brings]) as connector:
            return await asyncio.gather(*[connector.service("crm").get(path) for path in paths])

    return asyncio.run(program())


faces = pytest.mark.parametrize("make", [by_threads, by_gather])


@faces
def test_they_make_one_request(make: Any) -> None:
    """All of them have looked before the answer comes; it answers them all."""
    crowd = Crowd(CALLERS)
    with VendorEmulator() as vendor:
        vendor.on("/x", Answer(json=1, headers=MINUTE))
        brings = Brings(crowd, Behind(crowd))
        answers = make(vendor.url, brings, ["/x"] * CALLERS)
        assert len(vendor.arrivals) == 1
    assert [answer.json() for answer in answers] == [1] * CALLERS
    assert sorted(answer.attempts for answer in answers) == [*[0] * (CALLERS - 1), 1]
    assert len({answer.call.id for answer in answers}) == CALLERS
    assert [len(cache._flights) for cache in brings.caches] == [0]


@faces
def test_what_cannot_be_kept_makes_nobody_queue(make: Any) -> None:
    """Each of the others asks for itself, all at the same time: they wait for each other behind the cache."""
    crowd = Crowd(CALLERS)
    with VendorEmulator() as vendor:
        vendor.on(
            "/x",
            Compute(lambda arrival: Answer(json=arrival.number, headers={"Cache-Control": "no-store, max-age=60"})),
        )
        answers = make(vendor.url, Brings(crowd, Behind(crowd, others=CALLERS - 1)), ["/x"] * CALLERS)
        assert len(vendor.arrivals) == CALLERS
    assert sorted(answer.json() for answer in answers) == list(range(1, CALLERS + 1))


@faces
def test_other_answers_do_not_wait(make: Any) -> None:
    """While one path is asked for, others are asked for at the same time."""
    crowd = Crowd(CALLERS)
    with VendorEmulator() as vendor:
        vendor.on("*", Answer(json=1, headers=MINUTE))
        make(vendor.url, Brings(crowd, Behind(crowd, others=CALLERS - 1)), [f"/{number}" for number in range(CALLERS)])
        assert len(vendor.arrivals) == CALLERS


def test_the_next_one_asks_if_the_first_is_cancelled() -> None:
    """Whoever was to ask for all is cancelled: another one asks, once, and answers the rest."""
    crowd = Crowd(CALLERS)
    behind = Behind(crowd)
    behind.go = threading.Event()

    async def program(url: str) -> list[object]:
        async with AsyncConnector.from_config(config(url), plugins=[Brings(crowd, behind)]) as connector:
            tasks = [asyncio.create_task(connector.service("crm").get("/x")) for _ in range(CALLERS)]
            await asyncio.to_thread(crowd.looked.wait, SECONDS)
            assert behind.first is not None
            behind.first.cancel()
            behind.go.set()
            return list(await asyncio.gather(*tasks, return_exceptions=True))

    with VendorEmulator() as vendor:
        vendor.on("/x", Answer(json=1, headers=MINUTE))
        results = asyncio.run(program(vendor.url))
        arrivals = len(vendor.arrivals)
    cancelled = [result for result in results if isinstance(result, asyncio.CancelledError)]
    answers = [result for result in results if isinstance(result, Response)]
    assert (len(cancelled), len(answers)) == (1, CALLERS - 1)
    assert sorted(answer.attempts for answer in answers) == [*[0] * (CALLERS - 2), 1]
    assert arrivals == 1


def at_once(crm: Any, *options: CallOptions, headers: Sequence[dict[str, str]] = ()) -> list[Any]:
    """Make calls at the same virtual time, on one path."""
    runtime = crm.connector.runtime
    io = runtime.blocking_io
    empty: dict[str, str] = {}
    fields = headers or [empty] * len(options)

    def operation(own: dict[str, str]) -> Operation[Any]:
        return Operation(name="GET /x", request=Request(path="/x").with_headers(own), parse=lambda response: response)

    def call(own: dict[str, str], each: CallOptions) -> Any:
        return execute(runtime, io, "crm", lambda target, options: operation(own), each)

    async def gathered() -> list[Any]:
        tasks = [partial(call, own, each) for own, each in zip(fields, options, strict=True)]
        return await io.gather(tasks, len(tasks))

    coroutine = gathered()
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return list(stop.value)
    raise AssertionError


class Slow(Stage):
    """The vendor takes five seconds."""

    name = "slow"
    slot = 450

    @hookimpl
    def stages(self, config):
        return [self]

    async def __call__(self, call, request, next):
        await call.io.sleep(5.0)
        return await next(call, request)


def test_a_wait_ends_with_the_calls_own_time(world: Opens) -> None:
    """Who has less time than the one that asks gets a DeadlineExceededError, nothing sent, at its own deadline."""
    crm = world(plugins=[Slow()])
    crm.answer((200, 1, MINUTE))
    first, hasty, third = at_once(crm, CallOptions(), CallOptions(timeout_seconds=2), CallOptions())
    assert isinstance(hasty, DeadlineExceededError)
    assert (hasty.attempts, hasty.outcome.value, hasty.retry_safe) == (0, "not_sent", True)
    assert (first.attempts, third.attempts, crm.sends) == (1, 0, 1)


def test_a_stale_answer_stands_in_for_a_wait_that_is_too_long(world: Opens) -> None:
    """As for any other failure to get an answer in time."""
    crm = world(plugins=[Slow()])
    crm.answer((200, 1, MINUTE))
    crm.call()
    crm.advance(61)
    _, hasty = at_once(crm, CallOptions(), CallOptions(timeout_seconds=2))
    assert (hasty.json(), hasty.attempts) == (1, 0)


def test_a_confirmation_is_for_all(world: Opens) -> None:
    """One conditional request confirms the stale answer for all that wait."""
    crm = world(plugins=[Slow()])
    crm.answer((200, 1, {**MINUTE, "ETag": '"1"'}), 304)
    crm.call()
    crm.advance(61)
    answers = at_once(crm, *[CallOptions()] * 5)
    assert sorted(answer.attempts for answer in answers) == [0, 0, 0, 0, 1]
    assert crm.sends == 2


def test_a_confirmation_that_may_not_be_kept_is_for_one(world: Opens) -> None:
    """A 304 that says no-store is for the call that asked; the others ask for themselves."""
    crm = world(plugins=[Slow()])
    crm.answer((200, 1, {**MINUTE, "ETag": '"1"'}), (304, None, {"Cache-Control": "no-store, max-age=60"}))
    crm.call()
    crm.advance(61)
    answers = at_once(crm, *[CallOptions()] * 3)
    assert [(answer.json(), answer.attempts) for answer in answers] == [(1, 1)] * 3


def test_who_wants_another_variant_asks_for_itself(world: Opens) -> None:
    """What comes is looked at with each call's own header fields and Cache-Control."""
    crm = world(plugins=[Slow()])
    crm.answer(lambda request: (200, request.headers.get("Accept"), {**MINUTE, "Vary": "Accept"}))
    wanted = [{"Accept": "a"}, {"Accept": "b"}, {"Accept": "a"}, {"Accept": "a", "Cache-Control": "no-cache"}]
    answers = at_once(crm, *[CallOptions()] * 4, headers=wanted)
    assert [answer.json() for answer in answers] == ["a", "b", "a", "a"]
    assert sorted(answer.attempts for answer in answers) == [0, 1, 1, 1]


class ChangesOnce(Stage):
    """Right behind the cache: a change of the same path comes between, and then another call that waits."""

    name = "between"
    slot = 310

    @hookimpl
    def stages(self, config):
        return [self]

    async def __call__(self, call, request, next):
        if request.method == "GET":
            result = await next(call, request)
            await call.io.sleep(10.0)
            return result
        return await next(call, request)


def test_a_call_that_comes_after_a_change_does_not_get_what_was_asked_for_before(world: Opens) -> None:
    """It waits behind a call that began before the change, and asks for itself afterwards: you read what you wrote."""
    crm = world(plugins=[ChangesOnce()])
    state = ["old"]

    def vendor(request: Request) -> object:
        if request.method == "POST":
            state[0] = "new"
            return 204
        return 200, state[0], MINUTE

    crm.answer(vendor)
    runtime = crm.connector.runtime
    io = runtime.blocking_io

    def operation(method: str) -> Operation[Any]:
        return Operation(name=f"{method} /x", request=Request(method=method, path="/x"), parse=lambda each: each)

    async def read() -> Any:
        return await execute(runtime, io, "crm", lambda target, options: operation("GET"))

    async def write_then_read() -> Any:
        await io.sleep(1.0)
        await execute(runtime, io, "crm", lambda target, options: operation("POST"))
        return await read()

    async def both() -> list[Any]:
        return await io.gather([read, write_then_read], 2)

    coroutine = both()
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    before, after = stopped.value.value
    assert (before.json(), after.json()) == ("old", "new")


def test_a_flight_is_forgotten_with_its_last_call() -> None:
    """However calls end, nothing is left of them."""
    flights = Flights()
    with flights.of("a") as first, flights.of("a") as second, flights.of("b") as other:
        assert first is second
        assert first is not other
        assert len(flights) == 2
    assert len(flights) == 0

    def fails() -> None:
        with flights.of("a"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert len(flights) == 0
    assert attrs.asdict(first) == {"landings": 0, "kept": None}
