"""A service with two regions whose first one goes down: what is safe is answered, and nothing is done twice.

The vendor is real, on loopback: two servers, each of which knows only its own idempotency keys. The ways of going down:

- ``flaky``: answers, failures and lost answers in any order, and no region is ever left, so that calls go on to fail.
- ``refused``: nothing listens.
- ``reset``: the effect is done, then the connection is reset instead of an answer.
- ``reset_in_body``: the effect is done, and the answer breaks off.
- ``error``: the effect is done, and the answer is a bare 500.
- ``hang``: the effect is done, and no answer comes.
- ``unavailable``: 503; nothing says that the effect is not done.
- ``put_off``: 503 with Retry-After, and 429: no effect is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from random import Random
from typing import Any

import attrs
import pytest

from nexus_connector import AttemptFinished, Connector, FailedOver, Outcome
from nexus_connector.errors import CircuitOpenError, ConnectorError, OutcomeUnknownError
from nexus_connector.message import Request
from nexus_connector.testing import fake
from nexus_connector.testing.emulator import Answer, Behaviour, Hang, Reset, VendorEmulator

CALLS = 1000
THREADS = 8
RETRIES = 3
PLUGINS = {"only": ["retry", "failover", "breaker"]}
SOON = 30_000
"""Calls within which the first region must be in use again; it takes some dozens."""

NOW = {"Retry-After": "0"}
DONE = Answer(json={})
REFUSALS = LATER, PUT_OFF = Answer(429, headers=NOW), Answer(503, headers=NOW)
MIXED: tuple[Behaviour, ...] = (DONE, DONE, DONE, Answer(500), Answer(503), Reset("request"), Reset("body"), PUT_OFF)
WAYS: dict[str, Sequence[Behaviour]] = {
    "flaky": (LATER, *Random(3).choices(MIXED, k=20), LATER, *Random(4).choices(MIXED, k=1000)),
    "refused": (),
    "reset": (Reset("request"),),
    "reset_in_body": (Reset("body"),),
    "error": (Answer(500),),
    "hang": (Hang(),),
    "unavailable": (Answer(503),),
    "put_off": (PUT_OFF, LATER, PUT_OFF, LATER, PUT_OFF),
}
"""Two 429 at most: such a call asks the same region again, and must have an attempt left for the other one."""


@attrs.frozen
class Op:
    """One call to be made: a read, a write that may be repeated, one that may not, and one under a key."""

    id: str
    kind: str

    @property
    def service(self) -> str:
        """The service that makes it: keys are honoured by one of the two."""
        return "pay" if self.kind == "keyed" else "crm"

    @property
    def method(self) -> str:
        """Its HTTP method."""
        return {"read": "GET", "put": "PUT"}.get(self.kind, "POST")

    def options(self, way: str) -> dict[str, Any]:
        """Arguments of the call. Every second keyed call brings its own key. What is not cut short must not hang."""
        own_key = self.kind == "keyed" and int(self.id) % 2
        return {
            "path_values": {"id": self.id},
            **({"idempotency_key": f"key-{self.id}"} if own_key else {}),
            **({"timeout_seconds": 1.2} if way == "hang" and self.method == "POST" else {}),
        }


@attrs.frozen
class Ended:
    """How a call ended; ``None`` as outcome: it was answered."""

    op: Op
    call_id: str | None
    outcome: Outcome | None
    attempts: int


class Vendor:
    """Two regions; the first can go down and come back."""

    def __init__(self) -> None:
        self.eu, self.us = VendorEmulator(name="eu"), VendorEmulator(name="us")
        self.eu.start()
        self.us.start()
        self.urls = (self.eu.url, self.us.url)
        self.us.on("*", DONE)

    @contextlib.contextmanager
    def down(self, way: str) -> Iterator[None]:
        """Let the first region be down in one way."""
        if way != "refused":
            self.eu.on("*", *WAYS[way])
            yield
            self.eu.on("*", DONE)
            return
        port = int(self.eu.url.rpartition(":")[2])
        self.eu.close()
        with socket.socket() as held:  # nobody else may take the port meanwhile
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", port))
            yield
        self.eu = VendorEmulator(name="eu", port=port)
        self.eu.start()
        self.eu.on("*", DONE)

    def effects(self, way: str) -> tuple[Counter[str], Counter[str]]:
        """How often each operation may have been done, in each region: every request but those that were put off."""
        behaviours = WAYS[way]
        done = [
            arrival.path.rpartition("/")[2]
            for arrival in self.eu.arrivals
            if behaviours[min(arrival.number, len(behaviours)) - 1] not in REFUSALS
        ]
        return Counter(done), Counter(arrival.path.rpartition("/")[2] for arrival in self.us.arrivals)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A vendor with two regions."""
    vendor = Vendor()
    yield vendor
    vendor.eu.close()
    vendor.us.close()


def connect(urls: Sequence[str], way: str) -> Connector:
    """Build a connector with one service that honours keys and one that does not; regions and circuits rest 0.1 s."""
    threshold = 100_000 if way == "flaky" else 5
    service = {
        "base_url": list(urls),
        "attempt_timeout_seconds": 0.7 if way == "hang" else 20.0,
        "retry": {"max_retries": RETRIES, "base_delay_seconds": 0.001, "budget_floor_per_second": 10_000.0},
        "failover": {"failure_threshold": threshold, "return_seconds": 0.1},
        "breaker": {"failure_threshold": threshold, "open_seconds": 0.1},
    }
    services = {"crm": service, "pay": {**service, "idempotency_header": "Idempotency-Key"}}
    return Connector.from_config({"services": services, "plugins": PLUGINS})


Make = Callable[[Connector, Sequence[Op], str], list[Ended]]


def from_threads(connector: Connector, ops: Sequence[Op], way: str) -> list[Ended]:
    """Make the calls from eight threads."""

    def one(op: Op) -> Ended:
        try:
            response = getattr(connector.service(op.service), op.method.lower())("/ops/{id}", **op.options(way))
        except ConnectorError as error:
            return Ended(op, error.call_id, error.outcome, error.attempts)
        return Ended(op, response.call.id, None, response.attempts)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, ops))


def from_tasks(connector: Connector, ops: Sequence[Op], way: str) -> list[Ended]:
    """Make them from tasks on a loop, as many at a time."""

    async def one(op: Op, free: asyncio.Semaphore) -> Ended:
        async with free:
            send = getattr(connector.as_async().service(op.service), op.method.lower())
            try:
                response = await send("/ops/{id}", **op.options(way))
            except ConnectorError as error:
                return Ended(op, error.call_id, error.outcome, error.attempts)
            return Ended(op, response.call.id, None, response.attempts)

    async def every() -> list[Ended]:
        free = asyncio.Semaphore(THREADS)
        return list(await asyncio.gather(*[one(op, free) for op in ops]))

    return asyncio.run(every())


@attrs.define
class Heard:
    """What receivers were told."""

    attempts: list[AttemptFinished] = attrs.field(factory=list[AttemptFinished])
    moves: list[FailedOver] = attrs.field(factory=list[FailedOver])


def listen(connector: Connector) -> Heard:
    """Collect the events of a connector."""
    heard = Heard()
    connector.on(AttemptFinished)(heard.attempts.append)
    connector.on(FailedOver)(heard.moves.append)
    return heard


def check_sends(ended: Sequence[Ended], heard: Heard, vendor: Vendor) -> None:
    """No call makes more attempts than it may; each attempt that was written arrived exactly once."""
    told = Counter(event.call_id for event in heard.attempts)
    written = Counter(event.call_id for event in heard.attempts if event.outcome is not Outcome.NOT_SENT)
    regions = Counter(event.region for event in heard.attempts if event.outcome is not Outcome.NOT_SENT)
    for region in (vendor.eu, vendor.us):
        assert len(region.wait_for(regions[region.host])) == regions[region.host]
    arrived = Counter(each.path.rpartition("/")[2] for each in (*vendor.eu.arrivals, *vendor.us.arrivals))
    for each in ended:
        assert told[each.call_id] == each.attempts <= RETRIES + 1
        assert arrived[each.op.id] == written[each.call_id]


def check_effects(ended: Sequence[Ended], vendor: Vendor, way: str) -> int:
    """Unsafe calls are done at most once, keyed ones in at most one region; what callers were told is true.

    Returns:
        Duplicates of both.
    """
    eu, us = vendor.effects(way)
    duplicates = 0
    for each in ended:
        op = each.op
        if op.kind in {"read", "put"}:
            assert each.outcome is None, f"{op} was not answered"
            continue
        done = eu[op.id] + us[op.id] if op.kind == "unsafe" else (eu[op.id] > 0) + (us[op.id] > 0)
        duplicates += done > 1
        if each.outcome is None:
            assert done >= 1
        elif each.outcome is not Outcome.UNKNOWN:
            assert done == 0, f"{op} was told as {each.outcome}"
    return duplicates


def check_return(connector: Connector, vendor: Vendor) -> None:
    """The first region is in use again: it is tried within some dozens of calls, and then serves all."""
    for service in ("crm", "pay"):
        vendor.eu.clear()
        vendor.eu.on("*", DONE)
        get = connector.service(service).get
        for _ in range(SOON):
            get("/again")
            if vendor.eu.arrivals:
                break
        served = len(vendor.us.arrivals)
        for _ in range(10):
            get("/again")
        assert len(vendor.us.arrivals) == served
        assert len(vendor.eu.arrivals) >= 10


@pytest.mark.parametrize("make", [from_threads, from_tasks], ids=["sync", "async"])
def test_the_first_region_goes_down(make: Make, vendor: Vendor) -> None:
    """1,000 mixed calls while the first region is down in eight ways, and after each of them it is back: all reads and
    repeatable writes are answered, no other call is done twice in either region or in both together, attempts never
    multiply, and the first region serves again.
    """
    print(f"\n{'way':14} calls answered unknown   eu   us most twice moves")
    made = duplicates = 0
    for way in WAYS:
        ops = [Op(str(made + n), ("read", "put", "unsafe", "keyed")[n % 4]) for n in range(CALLS // len(WAYS))]
        vendor.eu.clear()
        vendor.us.clear()
        vendor.us.on("*", DONE)
        with connect(vendor.urls, way) as connector:
            heard = listen(connector)
            with vendor.down(way):
                ended = make(connector, ops, way)
                connector.flush()
                check_sends(ended, heard, vendor)
                eu, us, moves = len(vendor.eu.arrivals), len(vendor.us.arrivals), len(heard.moves)
            twice = check_effects(ended, vendor, way)
            check_return(connector, vendor)
            connector.flush()
            assert moves > 0
            for service in ("crm", "pay") if way != "flaky" else ():
                assert [move.new for move in heard.moves if move.service == service][-1] == vendor.eu.host
        made, duplicates = made + len(ops), duplicates + twice
        outcomes, most = Counter(each.outcome for each in ended), max(each.attempts for each in ended)
        answered, unknown = outcomes[None], outcomes[Outcome.UNKNOWN]
        print(f"{way:14} {len(ops):5} {answered:8} {unknown:7} {eu:4} {us:4} {most:4} {twice:5} {moves:5}")
    print(f"{made} calls, {duplicates} duplicates")
    assert made == CALLS
    assert duplicates == 0


# In virtual time


SECONDS = 600
FIRST, SECOND = "https://eu.example", "https://us.example"


def error_of(send: Callable[[str], object]) -> ConnectorError | None:
    """Make a call; return what it raised."""
    try:
        send("/x")
    except ConnectorError as error:
        return error
    return None


def test_an_outage_of_ten_minutes() -> None:
    """Ten calls a second while the first region is down: it sees the calls that found it down and one trial a minute,
    all reads are answered, and it serves again within a minute of its return.
    """
    services = {"crm": {"base_url": [FIRST, SECOND]}}
    with Connector.from_config({"services": services, "plugins": PLUGINS}) as connector, fake(connector) as vendors:
        sent, moves, down = list[str](), list[FailedOver](), True
        connector.on(FailedOver)(moves.append)

        def answer(request: Request) -> object:
            sent.append(request.base_url or "")
            return 500 if down and request.base_url == FIRST else 200

        vendors.answer("crm", answer)
        crm = connector.service("crm")
        for tenth in range(SECONDS * 10):
            if tenth % 4:
                assert crm.get("/x").status == 200
            else:
                error_of(crm.post)
            vendors.clock.advance(0.1)
        trials = sent.count(FIRST) - 5
        print(f"\n{len(sent)} sends, {trials} trials, {len(moves)} moves told")
        assert 9 <= trials <= 10
        down = False
        returned = vendors.clock.elapsed_seconds
        while sent[-1] != FIRST:
            crm.get("/x")
            vendors.clock.advance(0.1)
        assert vendors.clock.elapsed_seconds - returned <= 61
        before = len(sent)
        for _ in range(20):
            crm.post("/x")
        assert sent[before:] == [FIRST] * 20
        assert moves[-1].new == "eu.example"


def test_both_regions_go_down() -> None:
    """With both circuits open nothing is sent and no move is told: the caller hears when the first of them may be
    tried. Ten minutes of that cost a probe per minute and region; then the one that answers serves.
    """
    services = {"crm": {"base_url": [FIRST, SECOND]}}
    with Connector.from_config({"services": services, "plugins": PLUGINS}) as connector, fake(connector) as vendors:
        sent, moves, refused, down = list[str](), list[FailedOver](), 0, {FIRST, SECOND}
        connector.on(FailedOver)(moves.append)

        def answer(request: Request) -> object:
            sent.append(request.base_url or "")
            return 500 if request.base_url in down else 200

        vendors.answer("crm", answer)
        crm = connector.service("crm")
        for _ in range(SECONDS * 10):
            before = len(sent), len(moves)
            error = error_of(crm.post)
            if isinstance(error, CircuitOpenError):
                assert (len(sent), len(moves)) == before
                assert error.attempts == 0
                assert 0 < (error.retry_after or 0.0) <= 60
                refused += 1
            else:
                assert isinstance(error, OutcomeUnknownError)
                assert len(sent) == before[0] + 1
            vendors.clock.advance(0.1)
        print(f"\n{len(sent)} sends, {refused} refused, {len(moves)} moves told")
        assert refused == SECONDS * 10 - len(sent)
        assert len(sent) <= 10 + 2 * 10
        walked = [f"https://{move.new}" for move in moves]
        assert walked == [new for old, new in pairwise([FIRST, *sent]) if old != new]
        down.clear()
        returned = vendors.clock.elapsed_seconds
        while not (sent and sent[-1] == FIRST):
            error_of(crm.get)
            vendors.clock.advance(0.1)
        assert vendors.clock.elapsed_seconds - returned <= 61
