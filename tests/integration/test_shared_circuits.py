"""One circuit for several processes, on a real Redis: one probe, one row of failures, and what that costs."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs
import pytest

from nexus_connector import Connector, Gate, hookimpl
from nexus_connector.errors import CircuitOpenError, ConnectorError
from nexus_connector.setup import ServiceSetup
from nexus_connector.state import AtomicOp, Item, Plain, Store

from .processes import Processes, Work
from .proxy import Proxy
from .servers import RedisServer, wait_until

pytestmark = pytest.mark.realtime

MakeProcesses = Callable[[int, Callable[[int], Work]], Processes]
Step = tuple[Plain, int, Plain]

PROCESSES, ROUNDS = 16, 100
NEXUS = """
from importlib.metadata import entry_points
[command] = entry_points(group="console_scripts", name="nexus")
command.load()()
"""


class Vendor:
    """A vendor on loopback that notes when what arrives, and answers when it may.

    Attributes:
        arrivals: When each request arrived, by the clock of this machine, and what it said of its start.
        paths: How many went where.
        status: What it answers.
        healthy: Paths that it answers with 200 all the same.
        may_answer: Whether it does; until then it holds everybody.
    """

    def __init__(self) -> None:
        self.arrivals: list[tuple[float, float]] = []
        self.paths: Counter[str] = Counter()
        self.status = 200
        self.healthy: set[str] = set()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.heard: Callable[[], object] = lambda: None
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                vendor.arrivals.append((time.time(), float(self.headers.get("X-Asked-At", "0"))))
                vendor.paths[self.path] += 1
                vendor.heard()
                vendor.may_answer.wait(5)
                self.send_response(200 if self.path in vendor.healthy else vendor.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Nothing is logged."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        """Let everybody go."""
        self.may_answer.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def vendor() -> Generator[Vendor]:
    """A vendor of the test's own."""
    made = Vendor()
    yield made
    made.close()


class AsksFirst(Gate):
    """Stands right before the breaker and notes when an attempt comes to the gates."""

    name = "first"
    order = 49

    def ask(self, attempt: Any) -> None:
        attempt.call.state["asked_at"] = time.time()


def _count(state: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    total = (state if isinstance(state, int) else 0) + 1
    return total, 60_000, total


COUNT = AtomicOp(name="test.count", version=1, py=_count, lua="local n = (state or 0) + 1 return n, 60000, n")


class Counts(Gate):
    """Another gate on the same store."""

    name = "counts"
    order = 90

    def __init__(self, store: Store) -> None:
        self.store = store

    def ask(self, attempt: Any) -> Item:
        return COUNT, ("crm", "count"), ()


class Watched:
    """Hooks: says in a header when the attempt came to its gates; may add a second gate."""

    def __init__(self, *, counts: bool = False) -> None:
        self._counts = counts

    @hookimpl
    def gates(self, config: ServiceSetup) -> list[Gate]:
        return [AsksFirst(), *([Counts(config.shared)] if self._counts else [])]

    @hookimpl
    def before_attempt(self, call: Any, request: Any) -> Any:
        return request.with_headers({"X-Asked-At": repr(call.state["asked_at"])})


@pytest.fixture
def connect(vendor: Vendor) -> Generator[Callable[..., Connector]]:
    """Makes connectors to the vendor; their circuits are in Redis, which may be slow here as the machine is."""
    made: list[Connector] = []

    def make(url: str, *, counts: bool = False, timeout_seconds: float = 30.0, **breaker: object) -> Connector:
        config = {
            "stores": {"shared": url},
            "services": {"crm": {"base_url": vendor.url, "timeout_seconds": timeout_seconds}},
            "plugins": {"only": ["redis", "breaker"], "redis": {"timeout_seconds": 20}, "breaker": breaker},
        }
        made.append(Connector.from_config(config, plugins=[Watched(counts=counts)]))
        return made[-1]

    yield make
    for connector in made:
        connector.close()


def caller(connector: Connector) -> Callable[[int], Work]:
    """A worker that makes a call when it is told to, and says what became of it."""

    def make(number: int) -> Work:
        def call(flush: bool = False) -> str:
            try:
                word = str(connector.service("crm").get("/x").status)
            except ConnectorError as error:
                word = type(error).__name__
            if flush:
                connector.flush()
            return word

        return call

    return make


@attrs.frozen
class Circuit:
    """The circuit in the store, for a test to look at and to change.

    Its state is a list: phase, generation, since when, until when, failures in a row, reason, window.
    """

    connector: Connector
    vendor: Vendor

    def run(self, step: Callable[[Any, int], Step]) -> Any:
        """Take one step of the test's own."""
        region = self.vendor.url.removeprefix("http://")
        op = AtomicOp(name="test.step", version=1, py=lambda state, now_ms, _: step(state, now_ms))
        [reply] = self.connector.runtime.process.stores.shared.run([(op, ("crm", "breaker", region, ""), ())])
        return reply

    @property
    def state(self) -> Any:
        """Its state."""
        return self.run(lambda state, _: (state, 60_000, state))

    def come_to_its_end(self) -> None:
        """Make it an open circuit whose time is over: the half-open moment."""
        self.run(lambda state, now_ms: (_over(state, now_ms), 60_000, None))


def _over(state: Any, now_ms: int) -> Plain:
    return ["open", (state[1] if state else 0) + 1, now_ms - 1000, now_ms, 5, "made so by a test", []]


def test_one_probe_at_each_half_open_moment(
    redis_url: str, vendor: Vendor, connect: Callable[..., Connector], make_processes: MakeProcesses
) -> None:
    """16 processes, 100 times: while one of them probes, the vendor sees nobody else, and 15 are refused."""
    connector = connect(redis_url, snapshot_seconds=0)
    circuit = Circuit(connector, vendor)
    workers = make_processes(PROCESSES, caller(connector))
    started = time.monotonic()
    for number in range(1, ROUNDS + 1):
        circuit.come_to_its_end()
        vendor.may_answer.clear()
        workers.order(True)
        words = [workers.first()[1] for _ in range(PROCESSES - 1)]
        assert words == ["CircuitOpenError"] * (PROCESSES - 1)
        wait_until(lambda number=number: len(vendor.arrivals) >= number)
        assert len(vendor.arrivals) == number, "more than one probe"
        vendor.may_answer.set()
        assert workers.first()[1] == "200"
        assert circuit.state[0] == "closed"
    took = time.monotonic() - started
    print(f"\n{ROUNDS} rounds of {PROCESSES} processes: {len(vendor.arrivals)} probes, {took:.1f} s")


def test_one_probe_each_time_the_open_time_is_over(
    redis_url: str, vendor: Vendor, connect: Callable[..., Connector], make_processes: MakeProcesses, long: bool
) -> None:
    """With the default snapshot and in real time: whoever knows until when it is open comes then; one probes."""
    rounds = ROUNDS if long else 20
    connector = connect(redis_url, open_seconds=0.1, failure_threshold=1)
    circuit = Circuit(connector, vendor)
    workers = make_processes(PROCESSES, caller(connector))
    circuit.come_to_its_end()
    vendor.status = 500
    for number in range(1, rounds + 1):
        vendor.may_answer.clear()
        workers.order()
        words = [workers.first()[1] for _ in range(PROCESSES - 1)]
        assert words == ["CircuitOpenError"] * (PROCESSES - 1)
        wait_until(lambda number=number: len(vendor.arrivals) >= number)
        assert len(vendor.arrivals) == number, "more than one probe"
        vendor.may_answer.set()
        assert workers.first()[1] == "VendorError"
        wait_until(lambda: circuit.run(_is_over))
    print(f"\n{rounds} rounds in real time: {len(vendor.arrivals)} probes")


def _is_over(state: Any, now_ms: int) -> Step:
    return state, 60_000, state[0] == "open" and now_ms > state[3]


def test_a_killed_prober_is_replaced_after_its_lease(
    redis_url: str, vendor: Vendor, connect: Callable[..., Connector], make_processes: MakeProcesses
) -> None:
    """Kill -9 in the middle of a probe: nobody else is sent before its time and one second are over; then one is."""
    connector = connect(redis_url, timeout_seconds=0.5)
    circuit = Circuit(connector, vendor)
    workers = make_processes(4, caller(connector))
    circuit.come_to_its_end()
    vendor.may_answer.clear()
    workers.order()
    refused = {workers.first()[0] for _ in range(3)}
    [prober] = {0, 1, 2, 3} - refused
    state, at = circuit.state, time.time()
    left = circuit.run(lambda state, now_ms: (state, 60_000, state[3] - now_ms)) / 1000
    workers.kill(prober)
    assert state[0] == "half_open"
    vendor.may_answer.set()
    rounds = 0
    while len(vendor.arrivals) < 2:
        assert set(workers.all()) <= {"CircuitOpenError", "200"}
        threading.Event().wait(0.02)
        rounds += 1
    replaced = vendor.arrivals[1][0] - at
    print(f"\nlease of {left:.2f} s left at the kill, replaced after {replaced:.2f} s and {rounds} rounds of refusals")
    assert 1.0 < left <= 1.5
    assert replaced >= left - 0.001
    wait_until(lambda: circuit.state[0] == "closed")


@pytest.mark.parametrize("snapshot_seconds", [0, 0.05])
def test_the_fifth_failure_in_a_row_opens_it_whoever_has_it(
    redis_url: str,
    vendor: Vendor,
    connect: Callable[..., Connector],
    make_processes: MakeProcesses,
    snapshot_seconds: float,
) -> None:
    """Failures are counted across processes. A success ends the row if it starts 50 ms after the last of them."""
    connector = connect(redis_url, snapshot_seconds=snapshot_seconds)
    circuit = Circuit(connector, vendor)
    workers = make_processes(8, caller(connector))

    def one(number: int, status: int) -> str:
        vendor.status = status
        workers.order(True, only=[number])
        [word] = workers.results(only=[number])
        return str(word)

    assert workers.all(True) == ["200"] * 8, "all have seen it closed"
    assert [one(number, 500) for number in range(4)] == ["VendorError"] * 4
    threading.Event().wait(snapshot_seconds)
    assert one(5, 200) == "200"
    assert circuit.state is None or circuit.state[4] == 0
    for count, number in enumerate((6, 7, 0, 1), start=1):
        assert one(number, 500) == "VendorError"
        assert circuit.state[0] == "closed"
        assert circuit.state[4] == count
    assert one(2, 500) == "VendorError"
    assert circuit.state[0] == "open"
    assert circuit.state[5] == "5 consecutive failures"
    threading.Event().wait(snapshot_seconds)
    sent = len(vendor.arrivals)
    assert workers.all() == ["CircuitOpenError"] * 8
    assert len(vendor.arrivals) == sent


@pytest.mark.parametrize("snapshot_seconds", [0.05, 0])
def test_nothing_is_sent_50_ms_after_it_has_opened(
    redis_url: str,
    vendor: Vendor,
    connect: Callable[..., Connector],
    make_processes: MakeProcesses,
    long: bool,
    snapshot_seconds: float,
) -> None:
    """Eight processes call without a pause, one of them fails and opens the circuit: the last attempt of the others
    that comes to the gates and is sent does so within the snapshot after that commit. One clock measures both.
    """
    connector = connect(redis_url, snapshot_seconds=snapshot_seconds, open_seconds=0.3, failure_threshold=1)
    circuit = Circuit(connector, vendor)

    def make(number: int) -> Work:
        def until_it_trips() -> None:
            answers = failures = 0
            while True:
                try:
                    connector.service("crm").get(f"/{number}")
                    answers += 1
                except CircuitOpenError:
                    if failures or (number and answers > 10):  # earlier it is the trip before this one
                        return
                except ConnectorError:
                    failures += 1

        return until_it_trips

    workers = make_processes(8, make)
    vendor.healthy = {f"/{number}" for number in range(1, 8)}
    late: list[float] = []
    arrived: list[float] = []
    sends = 0
    for _ in range(30 if long else 6):
        vendor.arrivals.clear()
        vendor.paths.clear()
        vendor.status = 200
        workers.order()
        wait_until(lambda: len(vendor.paths) == 8 and min(vendor.paths.values()) > 15)
        vendor.status = 500
        workers.results()
        committed = circuit.state[2] / 1000  # Redis runs on this machine
        late.append(max(asked for _, asked in vendor.arrivals) - committed)
        arrived.append(max(at for at, _ in vendor.arrivals) - committed)
        sends += sum(at > committed for at, _ in vendor.arrivals)
        wait_until(lambda: circuit.run(_is_over))
    print(
        f"\nsnapshot {snapshot_seconds} s, {len(late)} trips: the last admission {max(late) * 1000:.1f} ms after the "
        f"commit, the last arrival {max(arrived) * 1000:.1f} ms, {sends} sends in between"
    )
    assert max(late) <= snapshot_seconds + 0.002


def test_a_command_reaches_every_process(
    redis_url: str,
    vendor: Vendor,
    connect: Callable[..., Connector],
    make_processes: MakeProcesses,
    tmp_path: Path,
) -> None:
    """``nexus circuits crm --open`` refuses the calls of four running processes; after ``--close`` they are sent."""
    text = f'[stores]\nshared = "{redis_url}"\n[services.crm]\nbase_url = "{vendor.url}"\n'
    tmp_path.joinpath("connector.toml").write_text(text, encoding="utf-8")
    workers = make_processes(4, caller(connect(redis_url)))
    assert workers.all() == ["200"] * 4

    def nexus(*arguments: str) -> str:
        command = [sys.executable, "-P", "-c", NEXUS, "circuits", "crm", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    assert "open" in nexus("--open")
    wait_until(lambda: workers.all() == ["CircuitOpenError"] * 4)
    sent = len(vendor.arrivals)
    assert workers.all() == ["CircuitOpenError"] * 4
    assert len(vendor.arrivals) == sent
    assert "closed" in nexus("--close")
    wait_until(lambda: workers.all() == ["200"] * 4)


def test_a_closed_circuit_costs_no_round_trip(
    redis_server: RedisServer, make_proxy: Callable[[int], Proxy], connect: Callable[..., Connector]
) -> None:
    """Seen a moment ago, it is not asked for: twenty calls, not one round trip, nor a write afterwards."""
    proxy = make_proxy(redis_server.port)
    connector = connect(proxy.url, snapshot_seconds=1)
    crm = connector.service("crm")

    def twenty_calls() -> None:
        for _ in range(20):
            assert crm.get("/x").status == 200
        connector.flush()

    for _ in range(20):  # a busy machine may need more than a second for them; then the circuit is asked for again
        crm.get("/x")
        started = time.monotonic()
        trips = proxy.count(twenty_calls)
        if time.monotonic() - started < 0.9 and trips == 0:
            break
    print(f"\n20 calls within the snapshot: {trips} round trips; all in all {dict(proxy.commands)}")
    assert trips == 0


def test_exact_mode_costs_one_round_trip_for_all_gates(
    redis_server: RedisServer, make_proxy: Callable[[int], Proxy], connect: Callable[..., Connector], vendor: Vendor
) -> None:
    """Without snapshot the breaker and another gate are asked in one round trip; one more, afterwards and off the
    call's path, tells the result.
    """
    proxy = make_proxy(redis_server.port)
    connector = connect(proxy.url, snapshot_seconds=0, counts=True)
    crm = connector.service("crm")
    crm.get("/x")
    connector.flush()
    before: list[int] = []
    vendor.heard = lambda: before.append(proxy.trips)
    for _ in range(20):
        trips, scripts = proxy.trips, proxy.commands["EVALSHA"]
        crm.get("/x")
        assert before.pop() == trips + 1, "on the way to the vendor"
        connector.flush()
        assert (proxy.trips, proxy.commands["EVALSHA"]) == (trips + 2, scripts + 3)
    print("\n20 exact calls: 1 round trip each before the send, 1 after the answer")
