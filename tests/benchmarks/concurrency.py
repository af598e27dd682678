"""Concurrency: a thousand calls at once on the awaited face, and eight threads on one connector."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

import attrs
import urllib3

from nexus_connector import Connector

from . import bounds
from .candidates_ours import CORE, SERVICE, Stack, closing
from .load import Awaited, Blocking, Candidate, Machine, measure
from .rows import Measured
from .server import BODY, serving

CONCURRENT: Final = 1000
"""Calls at once."""
DELAY_SECONDS: Final = 0.1
"""How long the server holds each answer back."""
THREADS: Final = 8
"""Threads on one connector."""

_WARM_UP: Final = 2
"""Bursts before the first round: all threads and connections are there then."""
_BURSTS: Final = 5
"""Bursts of a round."""
_FILES: Final = 8192
"""Open files that a thousand connections of each candidate need."""


def measure_concurrent(machine: Machine) -> Measured:
    """Measure a thousand calls at once, each answered after 100 ms."""
    allow_files(_FILES)
    with ExitStack() as ends:
        url = ends.enter_context(serving(machine.core, delay_seconds=DELAY_SECONDS))
        loop = asyncio.new_event_loop()
        ends.callback(loop.close)
        core, full = _for_all(CORE), _for_all(Stack(records=machine.folder / "records"))
        candidates: list[Candidate] = [
            _bare_burst(url, bounds.BURST),
            _bare_burst(url, bounds.BURST_AGAIN),
            _our_burst(core.open(url), loop, bounds.CORE_BURST),
            _our_burst(full.open(url), loop, bounds.FULL_BURST),
        ]
        for candidate in candidates:
            ends.callback(candidate.close)
        plan = attrs.evolve(machine.plan, calls=_BURSTS)
        readings = measure(candidates, plan, expected=BODY, warm_up=_WARM_UP)
    return Measured(readings=readings, notes=["the figures of this group are those of a thousand calls"])


def _for_all(stack: Stack) -> Stack:
    """Return a stack in which a thousand calls at once neither wait for each other nor come too late."""
    return attrs.evolve(stack, max_concurrency=CONCURRENT, attempt_timeout_seconds=30.0, jitter_seconds=5.0)


def _bare_burst(url: str, name: str) -> Blocking:
    """Return a thousand GETs at once through a `urllib3.PoolManager`, each in a thread that is there already."""
    pool = urllib3.PoolManager(maxsize=CONCURRENT)
    threads = ThreadPoolExecutor(CONCURRENT)

    def get(_: int) -> bytes:
        return pool.request("GET", f"{url}/x").data

    def close() -> None:
        threads.shutdown()
        pool.clear()

    return Blocking(name=name, call=lambda: _same(list(threads.map(get, range(CONCURRENT)))), close=close)


def _our_burst(connector: Connector, loop: asyncio.AbstractEventLoop, name: str) -> Awaited:
    """Return a thousand awaited GETs at once."""
    service = connector.as_async().service(SERVICE)

    async def call() -> bytes:
        answers = await asyncio.gather(*[service.get("/x") for _ in range(CONCURRENT)])
        return _same([answer.body for answer in answers])

    return Awaited(name=name, call=call, loop=loop, drain=connector.flush, close=closing(connector, loop))


def _same(bodies: list[bytes]) -> bytes:
    """Return the one body that all calls brought."""
    [body] = set(bodies)
    return body


def measure_threads(machine: Machine) -> Measured:
    """Measure eight threads, each making one call after the other."""
    with ExitStack() as ends:
        url = ends.enter_context(serving(machine.core))
        candidates: list[Candidate] = [
            _bare_threads(url, bounds.THREADED),
            _bare_threads(url, bounds.THREADED_AGAIN),
            _our_threads(CORE.open(url), bounds.CORE_THREADED),
            _our_threads(Stack(records=machine.folder / "records").open(url), bounds.FULL_THREADED),
        ]
        for candidate in candidates:
            ends.callback(candidate.close)
        plan = attrs.evolve(machine.plan, calls=THREADS * machine.plan.calls)
        readings = measure(candidates, plan, expected=BODY, warm_up=THREADS * 20)
    return Measured(readings=readings, notes=[f"the figures of this group: {THREADS} threads together, per call"])


@attrs.frozen(kw_only=True)
class Threaded:
    """A candidate that several threads use at once. Its times are those of all of them, shared out evenly.

    Attributes:
        name: Name of the candidate.
        call: One call; returns the body of its answer.
        drain: Waits until all that its calls have left behind is done.
        close: Ends it.
        threads: The threads.
    """

    name: str
    call: Callable[[], bytes]
    drain: Callable[[], None]
    close: Callable[[], None]
    threads: ThreadPoolExecutor

    def once(self) -> bytes:
        """Make one call."""
        return self.call()

    def times(self, count: int) -> list[float]:
        """Make calls, as many in each thread; return the seconds of all, divided by their number."""
        started = time.perf_counter()
        for ended in [self.threads.submit(self._run, count // THREADS) for _ in range(THREADS)]:
            ended.result()
        return [(time.perf_counter() - started) / count] * count

    def _run(self, count: int) -> None:
        for _ in range(count):
            self.call()


def _bare_threads(url: str, name: str) -> Threaded:
    pool, threads = urllib3.PoolManager(maxsize=THREADS), ThreadPoolExecutor(THREADS)

    def close() -> None:
        threads.shutdown()
        pool.clear()

    return Threaded(
        name=name,
        call=lambda: pool.request("GET", f"{url}/x").data,
        drain=lambda: None,
        close=close,
        threads=threads,
    )


def _our_threads(connector: Connector, name: str) -> Threaded:
    service, threads = connector.service(SERVICE), ThreadPoolExecutor(THREADS)

    def close() -> None:
        threads.shutdown()
        connector.close()

    return Threaded(name=name, call=lambda: service.get("/x").body, drain=connector.flush, close=close, threads=threads)


def allow_files(count: int) -> None:
    """Raise the number of files that this process and the servers it starts may have open, where there is one."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
