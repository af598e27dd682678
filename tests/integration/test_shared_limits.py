"""Limits that processes share, on a real Redis: what they cost, whom they let pass, and what an outage lets by."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Final

import pytest

from nexus_connector import Connector, StoreDegraded, StoreRecovered
from nexus_connector.errors import ConnectorError, RateLimitExceededError

from .counting_vendor import CountingVendor, most_in
from .processes import Processes, Work
from .proxy import Proxy
from .servers import RedisServer, wait_until

pytestmark = pytest.mark.realtime

MakeProcesses = Callable[[int, Callable[[int], Work]], Processes]

BOTH: Final = ["redis", "breaker", "limiter"]


@pytest.fixture
def vendor() -> Generator[CountingVendor]:
    """A vendor in a process of its own."""
    made = CountingVendor()
    yield made
    made.close()


def connect(vendor: CountingVendor, redis_url: str, *, only: list[str] = BOTH, **service: Any) -> Connector:
    """A connector to the vendor as ``crm``."""
    config = {
        "services": {"crm": {"base_url": vendor.url, **service}},
        "stores": {"shared": redis_url},
        "plugins": {"only": only},
    }
    return Connector.from_config(config)


# What it costs


def trips_of(connector: Connector, proxy: Proxy, count: int) -> list[int]:
    """Make calls, each with what it leaves to be posted; returns the round trips of each."""
    crm = connector.service("crm")

    def call() -> None:
        crm.get("/x")
        connector.flush()

    for _ in range(3):  # connections, scripts
        call()
    return [proxy.count(call) for _ in range(count)]


def test_an_exact_limit_costs_one_round_trip(
    redis_server: RedisServer, make_proxy: Callable[[int], Proxy], vendor: CountingVendor
) -> None:
    """Ten calls, ten round trips; the circuit was seen a moment ago and costs none."""
    proxy = make_proxy(redis_server.port)
    with connect(vendor, proxy.url, limiter={"limits": ["500/s"]}, breaker={"snapshot_seconds": 1}) as connector:
        trips = trips_of(connector, proxy, 10)
    print(f"\nround trips of each of ten calls: {trips}")
    assert trips == [1] * 10


def test_exact_limits_and_circuits_are_asked_in_one_round_trip(
    redis_server: RedisServer, make_proxy: Callable[[int], Proxy], vendor: CountingVendor
) -> None:
    """Whatever the concerns: one trip before the send asks them all, one after it tells the exact circuit."""
    proxy = make_proxy(redis_server.port)
    with connect(vendor, proxy.url, limiter={"limits": ["500/s"]}, breaker={"snapshot_seconds": 0}) as connector:
        trips = trips_of(connector, proxy, 10)
        asked = proxy.commands["EVALSHA"]
        trips_of(connector, proxy, 7)
        asked = proxy.commands["EVALSHA"] - asked
    print(f"\nround trips of each of ten calls: {trips}, commands of ten more: {asked}")
    assert trips == [2] * 10
    assert asked == 30


def test_a_leased_limit_and_a_closed_circuit_cost_none(
    redis_server: RedisServer, make_proxy: Callable[[int], Proxy], vendor: CountingVendor
) -> None:
    """Tokens taken in a block, a circuit seen a moment ago: most calls ask nobody."""
    proxy = make_proxy(redis_server.port)
    limits = {"limits": ["60000/min"]}
    with connect(vendor, proxy.url, limiter=limits, breaker={"snapshot_seconds": 1}) as connector:
        trips_of(connector, proxy, 200)  # blocks grow with use
        trips = trips_of(connector, proxy, 100)
    print(f"\nround trips of a hundred calls: {sum(trips)}")
    assert sum(trips) <= 10
    assert trips.count(0) >= 90


# Whom they let pass


class Crowd:
    """The callers of one process: one tenant that floods, nine that want a tenth more than their share.

    Args:
        connector: Whom they call.
        until: When they end.
        pause: Seconds between two calls of a modest tenant here.
    """

    def __init__(self, connector: Connector, until: float, pause: float) -> None:
        self.asked = 0
        self._crm = connector.service("crm")
        self._until = until
        self._pause = pause

    def run(self) -> None:
        """Call until the end."""
        threads = [threading.Thread(target=self._flood, args=(patience,)) for patience in (0.03, 0.03, 0.03, 2.0) * 2]
        threads += [threading.Thread(target=self._modest, args=(f"t{number}",)) for number in range(1, 10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _flood(self, patience: float) -> None:
        while time.monotonic() < self._until:
            self.asked += 1
            self._call("flood", patience)

    def _modest(self, tenant: str) -> None:
        while (begun := time.monotonic()) < self._until:
            self._call(tenant, 30.0)
            threading.Event().wait(max(0.0, min(self._until, begun + self._pause) - time.monotonic()))

    def _call(self, tenant: str, patience: float) -> None:
        left = min(patience, max(0.05, self._until - time.monotonic()))
        with suppress(ConnectorError):
            self._crm.get(f"/{tenant}", tenant_id=tenant, timeout_seconds=left)


def test_a_tenant_that_floods_leaves_the_others_their_share(
    redis_url: str, vendor: CountingVendor, make_processes: MakeProcesses, long: bool
) -> None:
    """One tenant asks a hundred times as often as its share; each of nine others gets at least 90 % of its own."""
    quota, seconds, processes = 100, 12.0 if long else 5.0, 4
    share = quota / 10

    def make(number: int) -> Work:
        def work() -> int:
            crowd = Crowd(connector, time.monotonic() + seconds, processes / (share * 1.1))
            crowd.run()
            return crowd.asked

        return work

    with connect(vendor, redis_url, only=["redis", "limiter"], limiter={"limits": [f"{quota}/s"]}) as connector:
        asks = sum(make_processes(processes, make).all())
    arrivals = {tenant: vendor.arrivals(f"/{tenant}") for tenant in ("flood", *(f"t{each}" for each in range(1, 10)))}
    everything = sorted(moment for moments in arrivals.values() for moment in moments)
    begun = everything[0] + 1.0  # by then everybody has connected
    spent = everything[-1] - begun
    rates = {tenant: sum(moment >= begun for moment in moments) / spent for tenant, moments in arrivals.items()}
    most = most_in([moment for moment in everything if moment >= begun], 1.0)
    print(f"\nthe flood asks {asks / seconds:.0f}/s; at most {most} in 1 s; sent per second:")
    print({tenant: round(rate, 1) for tenant, rate in rates.items()})
    # What a limit leaves below its quota, for delays on the way, is taken from everybody's share.
    fair = sum(rates.values()) / 10
    assert min(rate for tenant, rate in rates.items() if tenant != "flood") >= 0.9 * min(fair, share)
    assert most <= quota


def test_a_429_holds_every_process(redis_url: str, vendor: CountingVendor, make_processes: MakeProcesses) -> None:
    """What the vendor told one process the others keep, too: no send until the Retry-After is over."""
    vendor.answer("/x", 429, {"Retry-After": "1"})

    def make(number: int) -> Work:
        def call(path: str) -> float | None:
            try:
                connector.service("crm").get(path, timeout_seconds=0.5)
            except ConnectorError as error:
                return error.retry_after
            return 0.0

        return call

    with connect(
        vendor, redis_url, only=["redis", "limiter"], limiter={"limits": ["1000/s"], "lease": "off"}
    ) as connector:
        workers = make_processes(4, make)
        workers.all("/y")
        workers.order("/x", only=[0])
        [told] = workers.results(only=[0])
        connector.flush()
        wait_until(lambda: (workers.all("/y")[1] or 0.0) > 0)
        paused = workers.all("/y")
    sent = vendor.arrivals("/y")
    print(f"\nthe vendor said {told} s; the others are told {paused}")
    assert told == 1.0
    assert all(wait is not None and 0.5 < wait <= 1.0 for wait in paused)
    assert len([moment for moment in sent if moment > vendor.arrivals("/x")[0]]) <= 4


# What an outage lets by


@pytest.mark.parametrize("way", ["killed", "stopped", "slow"])
def test_an_outage_lets_no_more_by_than_the_burst(
    way: str,
    redis_server: RedisServer,
    make_proxy: Callable[[int], Proxy],
    vendor: CountingVendor,
    make_processes: MakeProcesses,
    long: bool,
) -> None:
    """Four processes at the limit while Redis goes away and comes back empty: each event lets the burst by, no more."""
    quota, burst, events = 50, 1, 2
    proxy = make_proxy(redis_server.port)
    gone = 10.0 if long and way == "stopped" else 2.0
    seconds = 2.0 + gone + 2.0

    def make(number: int) -> Work:
        degraded: list[float] = []
        recovered: list[float] = []
        connector.on(StoreDegraded)(lambda _: degraded.append(time.monotonic()))
        connector.on(StoreRecovered)(lambda _: recovered.append(time.monotonic()))

        def work() -> tuple[list[float], list[float], set[str]]:
            until, words = time.monotonic() + seconds, set[str]()
            while time.monotonic() < until:
                try:
                    connector.service("crm").get("/x", timeout_seconds=until + 0.5 - time.monotonic())
                except RateLimitExceededError as error:
                    threading.Event().wait(min(error.retry_after or 0.01, max(0.0, until - time.monotonic())))
                except Exception as error:
                    words.add(type(error).__name__)
            connector.flush()
            return degraded, recovered, words

        return work

    with connect(vendor, proxy.url, only=["redis", "limiter"], limiter={"limits": [f"{quota}/s"]}) as connector:
        workers = make_processes(4, make)
        workers.order()
        threading.Event().wait(2.0)
        began = time.monotonic()
        if way == "killed":
            redis_server.kill()
        elif way == "stopped":
            redis_server.pause()
        else:
            proxy.delay = lambda: 1.0
        threading.Event().wait(gone)
        ended = time.monotonic()
        if way == "killed":
            redis_server.start()
        elif way == "stopped":
            redis_server.resume()
        else:
            proxy.delay = float
        results = workers.results()
    moments = vendor.arrivals("/x")
    most = most_in(moments, 1.0)
    without = sum(began + 0.5 <= moment < ended for moment in moments) / max(0.1, ended - began - 0.5)
    back = [recovered[0] - ended for _, recovered, _ in results if recovered]
    print(f"\n{way}: at most {most} in 1 s, {without:.0f}/s without the store, back after {max(back):.2f} s")
    assert [(len(degraded), len(recovered)) for degraded, recovered, _ in results] == [(1, 1)] * 4
    assert set().union(*(words for _, _, words in results)) == set()
    assert most <= quota + burst * events
    assert max(back) < 2.0
