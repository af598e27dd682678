"""One key, one effect: with many processes at once, with processes that are killed, and with a Redis that forgets."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias

import attrs
import pytest

from nexus_connector import Connector, Outcome, hookimpl
from nexus_connector.adapter import vendor_entries
from nexus_connector.errors import ConnectorError, IdempotencyConflictError, IdempotencyInFlightError
from nexus_connector.testing.emulator import Answer, Arrival, Compute, Keyed, VendorEmulator

from .processes import Processes
from .servers import client

MakeProcesses: TypeAlias = Callable[[int, Callable[[int], Callable[..., object]]], Processes]
Point: TypeAlias = Literal[
    "before_claim", "after_claim", "while_writing", "after_effect", "after_answer", "after_stored", "takeover"
]
POINTS: tuple[Point, ...] = (
    "before_claim",
    "after_claim",
    "while_writing",
    "after_effect",
    "after_answer",
    "after_stored",
    "takeover",
)
CALLERS, KEYS, PROCESSES = 50, 100, 8
HEADER = "Idempotency-Key"
CALL_SECONDS = 3.0
"""Time of a call that dies: what repeats it waits so long, and a second more."""
BODY = b"x" * 300_000
"""Larger than what is written at once."""


def config(vendor: VendorEmulator, folder: Path, *, keyed: bool = False, shared: str | None = None) -> dict[str, Any]:
    """A service whose claims are in SQLite; with `shared`, its circuits are in a Redis."""
    plugins = ["idempotency", "sql", *(["redis", "breaker"] if shared else [])]
    stores = {"durable": f"sqlite:///{folder}/claims.db", **({"shared": shared} if shared else {})}
    service = {"base_url": vendor.url, "timeout_seconds": 60, **({"idempotency_header": HEADER} if keyed else {})}
    return {
        "services": {"crm": service},
        "stores": stores,
        "plugins": {"only": plugins, "sql": {"timeout_seconds": 30}},
    }


class Effects:
    """A vendor's endpoint that knows no keys: whatever arrives is done."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.reached: dict[int, threading.Event] = {}

    def __call__(self, arrival: Arrival) -> Answer:
        """Do it, kill who asks for it, and answer."""
        self.count[arrival.headers["X-Order"]] += 1
        if arrival.headers.get("X-Victim"):
            os.kill(int(arrival.headers["X-Victim"]), signal.SIGKILL)
        for number, event in self.reached.items():
            if sum(self.count.values()) >= number:
                event.set()
        return Answer(201, json={"order": arrival.headers["X-Order"]}, delay_seconds=0.005)


@pytest.fixture(autouse=True)
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for installed adapters once, not in each of a hundred processes: there are none to find."""
    monkeypatch.setattr("nexus_connector.adapter.vendor_entries", cache(vendor_entries))


@pytest.fixture
def effects() -> Effects:
    """What the vendor has done."""
    return Effects()


@pytest.fixture
def vendor(effects: Effects) -> Generator[VendorEmulator]:
    """A vendor that knows no keys at ``/orders``, and one that does at ``/keyed``."""
    with VendorEmulator() as emulator:
        emulator.on("/orders", Compute(effects))
        emulator.on("/keyed", Keyed(Compute(effects)))
        yield emulator


def crowd(connector: Connector, processes: int, callers: int, keys: int) -> Callable[[int], Callable[..., object]]:
    """Return what each worker does: its share of the callers, each in a thread, calls every key once."""

    def make(number: int) -> Callable[..., object]:
        def caller(name: int) -> Counter[str]:
            found: Counter[str] = Counter()
            orders = [f"order-{each}" for each in range(keys)]
            Random(name).shuffle(orders)
            for order in orders:
                response = connector.service("crm").post("/orders", idempotency_key=order, headers={"X-Order": order})
                assert response.json() == {"order": order}
                found["replayed" if response.call.replayed else "sent"] += 1
            return found

        def work() -> Counter[str]:
            mine = range(number, callers, processes)
            with ThreadPoolExecutor(len(mine)) as pool:
                return sum(pool.map(caller, mine), Counter[str]())

        return work

    return make


@pytest.mark.realtime
def test_a_crowd_has_one_effect_per_key(
    vendor: VendorEmulator, effects: Effects, tmp_path: Path, make_processes: MakeProcesses
) -> None:
    """50 callers call each of 100 keys, from 8 processes at once: each thing is done once, and all get its answer."""
    with Connector.from_config(config(vendor, tmp_path)) as connector:
        workers = make_processes(PROCESSES, crowd(connector, PROCESSES, CALLERS, KEYS))
        started = time.monotonic()
        total = sum(workers.all(), Counter[str]())
        seconds = time.monotonic() - started
        print(
            f"\n{CALLERS} callers x {KEYS} keys over {PROCESSES} processes: {sum(effects.count.values())} effects for"
        )
        print(f"{KEYS} keys, {total['sent']} calls sent, {total['replayed']} replayed, {seconds:.1f} s")
        assert effects.count == {f"order-{each}": 1 for each in range(KEYS)}
        assert total == {"sent": KEYS, "replayed": (CALLERS - 1) * KEYS}
        assert connector.outcomes.list() == []


@attrs.define
class Death:
    """Hooks that end their own process at one point of a call."""

    at: Point | None = None

    def reach(self, point: Point) -> None:
        """Die here, if it is here."""
        if self.at == point:
            os.kill(os.getpid(), signal.SIGKILL)

    @hookimpl
    def resolve_tenant(self, call: Any) -> None:
        self.reach("before_claim")

    @hookimpl
    def before_request(self, call: Any, request: Any) -> None:
        self.reach("after_claim")

    @hookimpl
    def classify(self, call: Any, verdict: Any, response: Any) -> None:
        self.reach("after_answer")

    @hookimpl
    def transform_response(self, call: Any, response: Any) -> None:
        self.reach("after_stored")


class Torn(io.BytesIO):
    """A body whose reader dies when a part of it is on its way."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > len(BODY) // 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(size)


def call(connector: Connector, path: str, key: str, *, body: Any = None, seconds: float = 60.0, **headers: str) -> Any:
    """Make the call of a key."""
    options = {"content": io.BytesIO(BODY) if body is None else body, "headers": {"X-Order": key, **headers}}
    return connector.service("crm").post(path, idempotency_key=key, timeout_seconds=seconds, **options)


def killed(work: Callable[[], object]) -> int:
    """Fork a child that does it and must not survive it; return its pid."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the vendor's thread is about
        pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            work()
        os._exit(0)
    return pid


def buried(pid: int) -> None:
    """Wait for a child that was killed."""
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "it reached no such point"
    assert os.WTERMSIG(status) == signal.SIGKILL


def die(connector: Connector, death: Death, path: str, key: str, point: Point) -> None:
    """Make a call and die at a point of it; its lease ends a second after its time."""
    headers: dict[str, str] = {}
    body: Any = None
    if point in {"after_effect", "takeover"}:
        headers["X-Victim"] = str(os.getpid())
    elif point == "while_writing":
        body = Torn(BODY)
    else:
        death.at = point
    call(connector, path, key, body=body, seconds=CALL_SECONDS, **headers)


def die_again(connector: Connector, death: Death, path: str, key: str) -> None:
    """Repeat a call whose process was killed and die too: when it has taken over, or where nobody may, as it waits."""
    if path == "/keyed":
        death.at = "after_claim"
    else:
        connector.runtime.blocking_io.sleep = lambda seconds: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign, assignment, return-value]
    call(connector, path, key, seconds=2 * CALL_SECONDS)


def repeats(connector: Connector, path: str) -> Callable[[int], Callable[..., object]]:
    """Return what the second process does: it repeats calls, all at once, and says what came of each."""

    def repeat(key: str) -> str:
        try:
            return "replayed" if call(connector, path, key).call.replayed else "sent"
        except ConnectorError as error:
            return type(error).__name__ if error.outcome is Outcome.UNKNOWN else repr(error)

    def make(number: int) -> Callable[..., object]:
        def work(keys: list[str]) -> dict[str, str]:
            with ThreadPoolExecutor(25) as pool:
                return dict(zip(keys, pool.map(repeat, keys), strict=True))

        return work

    return make


@pytest.mark.parametrize("path", ["/keyed", "/orders"])
def test_kill_9_at_any_point(
    vendor: VendorEmulator, effects: Effects, tmp_path: Path, make_processes: MakeProcesses, long: bool, path: str
) -> None:
    """A process is killed at 7 points of a call, and a second one repeats it.

    A vendor that honours keys sees exactly one effect each. One that does not sees none twice, and whatever is unknown
    is listed and not sent.
    """
    death, rounds = Death(), 100 if long else 10
    keys = {point: [f"{point}-{number}" for number in range(rounds)] for point in POINTS}
    everything = [key for point in POINTS for key in keys[point]]
    with Connector.from_config(config(vendor, tmp_path, keyed=path == "/keyed"), plugins=[death]) as connector:
        connector.outcomes.list()  # warm: the tables are there, everything is imported
        second = make_processes(1, repeats(connector, path))
        for point in POINTS:
            for key in keys[point]:
                buried(killed(lambda key=key, point=point: die(connector, death, path, key, point)))
        for start in range(0, rounds, 25):
            dying = [
                killed(lambda key=key: die_again(connector, death, path, key))
                for key in keys["takeover"][start : start + 25]
            ]
            for pid in dying:
                buried(pid)
        [came] = second.all(everything)
        listed = {each.idempotency_key for each in connector.outcomes.list() if each.state == "unknown"}
    for point in POINTS:
        results = dict(Counter(came[key] for key in keys[point]))
        did = dict(Counter(effects.count[key] for key in keys[point]))
        print(f"\n{path} killed {point}: {results}, effects {did}, listed {len(listed & set(keys[point]))}", end="")
    print()
    assert max(effects.count.values()) == 1
    if path == "/keyed":
        assert effects.count == dict.fromkeys(everything, 1)
        assert set(came.values()) == {"sent", "replayed"}
        assert listed == set()
        return
    for key in everything:
        done = came[key] in {"sent", "replayed"}
        assert done or came[key] == IdempotencyInFlightError.__name__, came[key]
        assert (key in listed) is not done
        assert effects.count[key] == 1 or not done
    assert {key.rpartition("-")[0] for key in listed} == set(POINTS) - {"before_claim", "after_stored"}


def test_another_payload_of_another_process(
    vendor: VendorEmulator, effects: Effects, tmp_path: Path, make_processes: MakeProcesses
) -> None:
    """A conflict, and nothing is sent: eight processes call each key with eight payloads at once, and one is sent."""
    with Connector.from_config(config(vendor, tmp_path)) as connector:

        def make(number: int) -> Callable[..., object]:
            def work(key: str) -> str:
                try:
                    connector.service("crm").post("/orders", idempotency_key=key, json=number, headers={"X-Order": key})
                except IdempotencyConflictError as error:
                    return f"conflict, {error.outcome}"
                return "sent"

            return work

        workers = make_processes(PROCESSES, make)
        for number in range(20):
            assert sorted(workers.all(f"k{number}")) == ["conflict, not_sent"] * (PROCESSES - 1) + ["sent"]
        print(f"\n20 keys, {PROCESSES} payloads each at once: {sum(effects.count.values())} effects")
    assert effects.count == {f"k{number}": 1 for number in range(20)}


def test_a_redis_that_forgets_everything(
    vendor: VendorEmulator, effects: Effects, tmp_path: Path, make_processes: MakeProcesses, redis_url: str
) -> None:
    """``stores.shared`` is a Redis, FLUSHALL in the middle: claims are in the durable store, so that none is lost."""
    keys, callers, processes = 40, 16, 4
    effects.reached = {keys // 2: threading.Event()}
    with Connector.from_config(config(vendor, tmp_path, shared=redis_url)) as connector:
        workers = make_processes(processes, crowd(connector, processes, callers, keys))
        workers.order()
        assert effects.reached[keys // 2].wait(60)
        with client(redis_url) as admin:
            admin.flushall()
        total = sum(workers.results(), Counter[str]())
    print(f"\nFLUSHALL after {keys // 2} effects: {sum(effects.count.values())} effects for {keys} keys")
    assert effects.count == {f"order-{each}": 1 for each in range(keys)}
    assert total == {"sent": keys, "replayed": (callers - 1) * keys}
