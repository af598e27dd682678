"""Redis dies, comes back empty, hangs or is slow while calls are made: they are decided at once, and nothing breaks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nexus_connector import Connector, Gate, PluginFailed, StoreDegraded, StoreRecovered, hookimpl
from nexus_connector.errors import CircuitOpenError, ConnectorError
from nexus_connector.setup import ServiceSetup
from nexus_connector.state import AtomicOp
from nexus_connector.testing.emulator import Answer, VendorEmulator

from .proxy import Proxy
from .servers import RedisServer, wait_until

pytestmark = pytest.mark.realtime

THREADS = 4
QUICK_SECONDS = 0.05
"""How long a decision may take once the store is known to be gone."""


class Outage:
    """A way in which the store goes away and comes back.

    Args:
        server: The server.
        proxy: What stands before it.
    """

    def __init__(self, server: RedisServer, proxy: Proxy) -> None:
        self.server = server
        self.proxy = proxy

    def begin(self, way: str) -> None:
        """Let it go away."""
        match way:
            case "stopped":
                self.server.pause()
            case "slow":
                self.proxy.delay = lambda: 1.0
            case _:
                self.server.kill()

    def end(self, way: str) -> None:
        """Let it come back."""
        match way:
            case "stopped":
                self.server.resume()
            case "slow":
                self.proxy.delay = float
            case _:
                self.server.start()


class Decisions(Gate):
    """The first of the gates; with the hook right before the send it measures how long they took to decide."""

    name = "decisions"
    order = 1

    def __init__(self) -> None:
        self.took: list[tuple[float, float]] = []
        self.began = threading.local()

    def check(self, attempt: Any) -> None:
        self.began.at = time.monotonic()

    def note(self) -> None:
        """Note a decision that was just made."""
        now = time.monotonic()
        self.took.append((self.began.at, now - self.began.at))


class Watched:
    """Hooks that measure decisions."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions

    @hookimpl
    def gates(self, config: ServiceSetup) -> list[Gate]:
        return [self._decisions]

    @hookimpl
    def before_attempt(self, call: Any, request: Any) -> None:
        self._decisions.note()


class World:
    """An application whose circuits are in Redis, behind a proxy, and what it tells of."""

    def __init__(self, proxy: Proxy, vendor: VendorEmulator, **breaker: object) -> None:
        self.decisions = Decisions()
        self.proxy = proxy
        self.vendor = vendor
        config = {
            "stores": {"shared": proxy.url},
            "services": {"crm": {"base_url": vendor.url}},
            "plugins": {"only": ["redis", "breaker"], "breaker": breaker},
        }
        self.connector = Connector.from_config(config, plugins=[Watched(self.decisions)])
        self.degraded: list[float] = []
        self.recovered: list[float] = []
        self.failed: list[PluginFailed] = []
        self.connector.on(StoreDegraded)(lambda _: self.degraded.append(time.monotonic()))
        self.connector.on(StoreRecovered)(lambda _: self.recovered.append(time.monotonic()))
        self.connector.on(PluginFailed)(self.failed.append)

    def call(self) -> str:
        """Make one call; only what the connector declares may come out of it."""
        try:
            return str(self.connector.service("crm").get("/x").status)
        except CircuitOpenError as error:
            self.decisions.note()
            return type(error).__name__
        except ConnectorError as error:
            return type(error).__name__

    def shared_failures(self) -> int:
        """Failures in a row, as the store has them."""
        region = self.vendor.url.removeprefix("http://")
        look = AtomicOp(name="test.look", version=1, py=lambda state, *_: (state, 60_000, state))
        [state] = self.connector.runtime.process.stores.shared.run([(look, ("crm", "breaker", region, ""), ())])
        return int(state[4]) if isinstance(state, list) else 0


@pytest.fixture
def make_world(
    redis_server: RedisServer, make_proxy: Callable[[int], Proxy]
) -> Generator[Callable[..., tuple[World, Outage]]]:
    """Makes applications with a Redis of their own."""
    made: list[World] = []
    with VendorEmulator(record=False) as vendor:

        def make(**breaker: object) -> tuple[World, Outage]:
            proxy = make_proxy(redis_server.port)
            vendor.on("*", Answer(200))
            made.append(World(proxy, vendor, **breaker))
            wait_until(lambda: made[-1].call() == "200" and made[-1].shared_failures() == 0)
            made[-1].connector.flush()
            made[-1].degraded.clear()
            made[-1].recovered.clear()
            return made[-1], Outage(redis_server, proxy)

        yield make
        for world in made:
            world.connector.close()


@pytest.mark.parametrize("snapshot_seconds", [0, 0.05])
@pytest.mark.parametrize("way", ["killed", "stopped", "slow"])
def test_decisions_are_quick_while_the_store_is_gone(
    make_world: Callable[..., tuple[World, Outage]], way: str, snapshot_seconds: float, long: bool
) -> None:
    """Four threads call without a pause. The outage costs one timeout; from then on 99 of 100 decisions take less than
    50 ms, every call is answered, and it is told once that the store is gone and once that it is back, in two seconds.
    """
    world, outage = make_world(snapshot_seconds=snapshot_seconds)
    done = threading.Event()
    words: set[str] = set()

    def calling() -> None:
        while not done.is_set():
            words.add(world.call())
            done.wait(0.002)

    with ThreadPoolExecutor(THREADS) as threads:
        running = [threads.submit(calling) for _ in range(THREADS)]
        try:
            wait_until(lambda: len(world.decisions.took) > 50)
            outage.begin(way)
            began = time.monotonic()
            wait_until(lambda: world.degraded)
            threading.Event().wait(10.0 if long else 2.0 if way == "stopped" else 1.0)
            ended = time.monotonic()
            outage.end(way)
            wait_until(lambda: world.recovered)
            asked = world.proxy.commands["EVALSHA"]
            back = len(world.decisions.took)
            wait_until(lambda: len(world.decisions.took) > back + 50 and world.proxy.commands["EVALSHA"] > asked)
        finally:
            done.set()
        for each in running:
            each.result()
    world.connector.flush()
    known = world.degraded[0]
    took = sorted(took for at, took in world.decisions.took if known <= at <= ended)
    p99 = took[int(len(took) * 0.99)]
    first = max(took for at, took in world.decisions.took if at < known)
    print(
        f"\n{way}, snapshot {snapshot_seconds} s: known after {known - began:.3f} s, longest decision until then "
        f"{first * 1000:.0f} ms; {len(took)} decisions without it, p99 {p99 * 1000:.1f} ms, max {took[-1] * 1000:.1f} "
        f"ms; back {world.recovered[0] - ended:.2f} s after its return"
    )
    assert words == {"200"}
    assert world.failed == []
    assert (len(world.degraded), len(world.recovered)) == (1, 1)
    assert len(took) > 100
    assert p99 < QUICK_SECONDS
    assert world.recovered[0] - ended < 2.0


@pytest.mark.parametrize("snapshot_seconds", [0, 0.05])
def test_the_process_goes_on_alone_and_comes_back(
    make_world: Callable[..., tuple[World, Outage]], snapshot_seconds: float
) -> None:
    """The vendor breaks while Redis is dead: the process opens a circuit of its own. Redis is back, empty, and within
    two seconds the shared circuit counts, although the own one would be open for a minute.
    """
    world, outage = make_world(snapshot_seconds=snapshot_seconds)
    outage.begin("killed")
    wait_until(lambda: world.call() == "200" and world.degraded)
    world.vendor.on("*", Answer(500))
    words = [world.call() for _ in range(20)]
    assert words == ["VendorError"] * words.count("VendorError") + ["CircuitOpenError"] * words.count(
        "CircuitOpenError"
    )
    assert words.count("VendorError") <= 5 + (snapshot_seconds > 0)
    ended = time.monotonic()
    outage.end("killed")
    wait_until(lambda: world.call() != "CircuitOpenError" and world.recovered)
    back = time.monotonic() - ended
    world.connector.flush()
    assert world.shared_failures() >= 1
    print(
        f"\nalone: {words.count('VendorError')} sends, then refused; "
        f"the shared circuit decides {back:.2f} s after its return"
    )
    assert back < 2.0
    assert (len(world.degraded), len(world.recovered), world.failed) == (1, 1, [])


def test_what_could_not_be_told_counts_here(make_world: Callable[..., tuple[World, Outage]]) -> None:
    """Redis dies between two sends and their answers: those failures are the first two of the process's own row."""
    world, outage = make_world(snapshot_seconds=0)
    world.vendor.on("*", Answer(500, delay_seconds=0.3))
    with ThreadPoolExecutor(2) as threads:
        sent, decided = world.proxy.commands["EVALSHA"], len(world.decisions.took)
        held = [threads.submit(world.call) for _ in range(2)]
        wait_until(lambda: len(world.decisions.took) == decided + 2)
        assert world.proxy.commands["EVALSHA"] == sent + 2
        outage.begin("killed")
        assert [each.result() for each in held] == ["VendorError"] * 2
    world.connector.flush()
    world.vendor.on("*", Answer(500))
    assert [world.call() for _ in range(5)] == ["VendorError"] * 3 + ["CircuitOpenError"] * 2
