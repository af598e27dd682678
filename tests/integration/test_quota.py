"""Quotas, as the vendor sees them: several processes on one Redis never exceed a limit, and use what it allows."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from typing import Any, Final

import attrs
import pytest

from nexus_connector import Connector
from nexus_connector.errors import RateLimitExceededError

from .counting_vendor import CountingVendor, most_in
from .processes import Processes, Work
from .servers import RedisServer

pytestmark = pytest.mark.realtime

MakeProcesses = Callable[[int, Callable[[int], Work]], Processes]

RUN_SECONDS: Final = 4.0
SETTLED_SECONDS: Final = 0.5
"""Use is not measured so near to the edges of a run: there, processes begin and end."""
QUOTAS: Final = {"ten": (10, 1.0), "fifty": (50, 1.0), "hundred": (100, 1.0)}
"""Calls and seconds of each service's limit."""


@attrs.frozen
class Arrivals:
    """How callers come.

    Attributes:
        name: Its name.
        pauses: Seconds before each call of a thread; made from a random sequence and the number of the call.
    """

    name: str
    pause: Callable[[random.Random, int], float]


SATURATED: Final = Arrivals("saturated", lambda chance, number: 0.0)
EDGE: Final = Arrivals("edge-burst", lambda chance, number: 1.0 - time.time() % 1.0 if number % 8 == 0 else 0.0)
"""All threads come together as the clock's second changes, as quotas in fixed windows invite them to."""
RANDOM: Final = Arrivals("random", lambda chance, number: chance.expovariate(20.0))


def test_the_fullest_window_is_found() -> None:
    """The measure itself: windows begin anywhere, and end before their length is over."""
    assert most_in([0.0, 0.5, 0.999, 1.0, 1.4], 1.0) == 4
    assert most_in([0.0, 1.0, 2.0], 1.0) == 1
    assert most_in([], 1.0) == 0


@pytest.fixture
def vendor() -> Generator[CountingVendor]:
    """A vendor in a process of its own."""
    with ExitStack() as stack:
        made = CountingVendor()
        stack.callback(made.close)
        yield made


def connect(vendor: CountingVendor, redis_url: str, jitter_seconds: float) -> Connector:
    """A connector to one vendor under several names, each with its own limit."""
    services = {
        name: {"base_url": f"{vendor.url}/{name}", "limiter": {"limits": [f"{count}/s"]}}
        for name, (count, _) in QUOTAS.items()
    }
    plugins = {"only": ["limiter", "redis"], "limiter": {"jitter_seconds": jitter_seconds}}
    return Connector.from_config({"services": services, "stores": {"shared": redis_url}, "plugins": plugins})


def call_for(connector: Connector, service: str, seconds: float, arrivals: Arrivals, seed: int) -> dict[str, int]:
    """Call a service for so long; returns how many calls were answered and how many refused."""
    chance, until, number = random.Random(seed), time.monotonic() + seconds, 0
    counts = {"answered": 0, "refused": 0}
    while (now := time.monotonic()) < until:
        pause = arrivals.pause(chance, number)
        number += 1
        if pause:
            threading.Event().wait(min(pause, until - now))
        try:
            connector.service(service).get("/x", timeout_seconds=5.0)
            counts["answered"] += 1
        except RateLimitExceededError as error:
            counts["refused"] += 1
            threading.Event().wait(min(error.retry_after or 0.05, max(0.0, until - time.monotonic())))
    return counts


def worker(connector: Connector, threads: int) -> Callable[[int], Work]:
    """Make a worker that calls all services at once, each from several threads."""

    def make(number: int) -> Work:
        def work(seconds: float, name: str) -> dict[str, int]:
            arrivals = next(each for each in (SATURATED, EDGE, RANDOM) if each.name == name)
            total: dict[str, int] = {"answered": 0, "refused": 0}

            def one(service: str, index: int) -> None:
                counts = call_for(connector, service, seconds, arrivals, number * 100 + index)
                for kind, count in counts.items():
                    total[kind] += count

            callers = [
                threading.Thread(target=one, args=(service, index)) for service in QUOTAS for index in range(threads)
            ]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
            return total

        for service in QUOTAS:  # connections are made before anything is counted
            connector.service(service).get("/warm")
        return work

    return make


@pytest.mark.parametrize("processes", [4, 8])
@pytest.mark.parametrize("arrivals", [SATURATED, EDGE, RANDOM], ids=lambda arrivals: arrivals.name)
def test_the_vendor_never_sees_more_than_its_quota(
    processes: int,
    arrivals: Arrivals,
    redis_url: str,
    vendor: CountingVendor,
    make_processes: MakeProcesses,
    long: bool,
) -> None:
    """In no window more than N, with up to 50 ms of delay on the way; where callers wait, at least 90 % of N >= 50."""
    seconds = 20.0 if long else RUN_SECONDS
    with connect(vendor, redis_url, 0.05) as connector:
        workers = make_processes(processes, worker(connector, threads=2))
        vendor.delay(0.05)

        def run() -> float:
            vendor.clear()
            print(workers.all(seconds, arrivals.name))
            for service, (quota, window) in QUOTAS.items():
                assert most_in(vendor.arrivals(f"/{service}/x"), window) <= quota
            return least_used(vendor, seconds, f"{arrivals.name}, {processes} processes")

        runs = 3 if arrivals is SATURATED else 1
        assert any(run() >= 0.9 for _ in range(runs)) or arrivals is not SATURATED


@pytest.mark.parametrize("processes", [4, 8])
def test_without_a_margin_nearly_all_of_the_quota_is_used(
    processes: int, redis_url: str, vendor: CountingVendor, make_processes: MakeProcesses, long: bool
) -> None:
    """``jitter_seconds = 0``, nothing on the way: at least 95 % of N >= 50."""
    seconds = 20.0 if long else RUN_SECONDS
    with connect(vendor, redis_url, 0.0) as connector:
        workers = make_processes(processes, worker(connector, threads=2))

        def run() -> float:
            vendor.clear()
            workers.all(seconds, SATURATED.name)
            return least_used(vendor, seconds, f"jitter 0, {processes} processes", of_ten=0.8)

        assert any(run() >= 0.95 for _ in range(3))


def least_used(vendor: CountingVendor, seconds: float, what: str, *, of_ten: float = 0.0) -> float:
    """Return the smallest share that was used of a quota of 50 or more, or of ten if that is too small; print all.

    A machine that had something else to do for a moment leaves slots unused: who misses a share may run twice more.
    """
    shares: list[float] = []
    for service, (quota, window) in QUOTAS.items():
        moments = vendor.arrivals(f"/{service}/x")
        share = used(moments, quota, seconds)
        print(f"{what}, {quota}/s: at most {most_in(moments, window)} in 1 s, used {share:.1%}")
        # Of ten one goes to the burst, and three seconds are too short to tell the rest: four fifths will do.
        shares.append(share if quota >= 50 or share < of_ten else 1.0)
    return min(shares)


def used(moments: Sequence[float], quota: int, seconds: float) -> float:
    """Return the share of a quota per second that was used while everybody was under way, not at the edges of a run."""
    begun, ended = min(moments) + SETTLED_SECONDS, min(moments) + seconds - SETTLED_SECONDS
    return sum(begun <= moment < ended for moment in moments) / (ended - begun) / quota


@attrs.frozen
class Leased:
    """A run that takes a minute, under way while the other tests of this module run.

    Attributes:
        vendor: Sees it.
        workers: Are at it.
        seconds: How long it takes.
    """

    vendor: CountingVendor
    workers: Processes
    seconds: float


@pytest.fixture(scope="module", autouse=True)
def leased(tmp_path_factory: pytest.TempPathFactory, long: bool) -> Generator[Leased]:
    """Eight processes at a quota of 600/min, in blocks, on a Redis of their own."""
    with ExitStack() as stack:
        server = RedisServer(tmp_path_factory.mktemp("redis"))
        stack.callback(server.kill)
        vendor = CountingVendor()
        stack.callback(vendor.close)
        services: dict[str, Any] = {"minute": {"base_url": vendor.url, "limiter": {"limits": ["600/min"]}}}
        config = {"services": services, "stores": {"shared": server.url}, "plugins": {"only": ["limiter", "redis"]}}
        connector = stack.enter_context(Connector.from_config(config))

        def make(number: int) -> Work:
            return lambda seconds: call_for(connector, "minute", seconds, SATURATED, number)

        workers = Processes(8, make)
        stack.callback(workers.close)
        seconds = 190.0 if long else 64.0
        vendor.delay(0.05)
        workers.order(seconds)
        yield Leased(vendor, workers, seconds)


def test_a_leased_quota(leased: Leased) -> None:
    """600/min in blocks: never more than 600 in any minute, and at least 85 % of them."""
    counts = leased.workers.results(patience_seconds=leased.seconds + 60.0)
    moments = leased.vendor.arrivals("/x")
    most = most_in(moments, 60.0)
    share = len([moment for moment in moments if moment < min(moments) + 60.0]) / 600
    print(f"leased, 8 processes, 600/min: at most {most} in a minute, used {share:.1%}; {counts}")
    assert most <= 600
    assert share >= 0.85
