"""Three ways to look at the limiter: its steps alone, its gates on a store that is elsewhere, and a connector."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from nexus_connector import Connector, RateLimited
from nexus_connector.call import Attempt, Call
from nexus_connector.errors import ConnectorError
from nexus_connector.execution import execute
from nexus_connector.gates import Again
from nexus_connector.io.drive import drive
from nexus_connector.io.virtual import VirtualIo
from nexus_connector.message import Request, Response
from nexus_connector.operation import CallOptions, Operation
from nexus_connector.state import Item, MemoryStore, Plain, StoreError
from nexus_connector.testing import fake
from nexus_connector.testing.fake import Fake
from nexus_connector.verdict import Outcome, Verdict
from nexus_connector_limiter import LimiterOptions
from nexus_connector_limiter._gate import LimiterGate
from nexus_connector_limiter._machine import GRANTED, Give, Reply, Take, give, take
from nexus_connector_limiter._plugin import rules_of
from nexus_connector_limiter._rules import Rules

EPOCH_MS = 1_790_000_000_000
"""A time as a store of today tells it: numbers are as large as they will be."""


def fullest(sends: Sequence[tuple[int, int]], window_us: int) -> int:
    """The most cost that any window of this length holds, both ends included: looked up from every send, plainly."""
    ordered = sorted(sends)
    times = [at for at, _ in ordered]
    sums = [0]
    for _, cost in ordered:
        sums.append(sums[-1] + cost)
    return max((sums[bisect_right(times, at + window_us)] - sums[place] for place, at in enumerate(times)), default=0)


@attrs.define
class Bench:
    """The steps alone. Real time is in microseconds; the store sees whole milliseconds of it."""

    rules: Rules
    now_us: int = EPOCH_MS * 1000
    state: Plain = None
    step: Callable[[Plain, int, Sequence[Plain]], tuple[Plain, int, Plain]] = take

    def take(self, operation: str = "GET /x", *, cost: int = 1, **more: Any) -> Reply:
        """Ask, as a gate does."""
        fields = {
            "max_wait": 5_000_000,
            "pause": 0,
            "tenant": "",
            "permits": self.rules.permits,
            "permit": 10_000_000,
            "queued": 0,
            "block": 0,
            "cost": cost,
            "paces": self.rules.paces(operation, cost),
            **more,
        }
        asked = Take(**fields)
        self.state, ttl_ms, reply = self.step(self.state, self.now_us // 1000, asked)
        assert ttl_ms > 0
        self.state = json.loads(json.dumps(self.state))
        return Reply(*reply)  # type: ignore[misc]  # a list

    def granted(self, *args: Any, **more: Any) -> Reply:
        """Ask for what must be granted."""
        reply = self.take(*args, **more)
        assert reply.kind == GRANTED, reply
        return reply

    def give(self, number: int = 0, **more: Any) -> None:
        """Tell how it ended."""
        self.state, _, _ = give(self.state, self.now_us // 1000, Give(number, **more))

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_us += round(seconds * 1_000_000)


def rules(*limits: str, jitter: float = 0.05, leases: bool = False, permits: int = 0, **own: Sequence[str]) -> Rules:
    """Limits, as options say them; those of an operation as a keyword."""
    return Rules.of(limits, own, jitter_seconds=jitter, leases=leases, share=0.25, permits=permits)


@pytest.fixture(name="fullest")
def _fullest() -> Callable[..., int]:
    """Looks up the fullest window."""
    return fullest


@pytest.fixture
def bench() -> Callable[..., Bench]:
    """Makes benches: limits, and options of the rules."""

    def make(*limits: str, step: Any = take, **more: Any) -> Bench:
        return Bench(rules(*limits, **more), step=step)

    return make


class Blocking(MemoryStore):
    """A memory store that counts what it runs, waits on something as shared ones do, and fails while it is told to."""

    blocking = True
    gone: StoreError | None = None

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.ran: list[str] = []

    def run(self, items: Sequence[Item]) -> list[Plain]:
        if self.gone is not None:
            raise self.gone
        self.ran += [op.name for op, _, _ in items]
        return super().run(items)


@attrs.frozen
class World:
    """A connector with the limiter in virtual time; its service is ``crm``."""

    connector: Connector
    vendors: Fake
    events: list[RateLimited]

    def call(self, path: str = "/x", *, service: str = "crm", method: str = "get", **options: Any) -> Any:
        """Make a call; what it raises comes back."""
        try:
            return getattr(self.connector.service(service), method)(path, **options)
        except ConnectorError as error:
            return error

    def do(self, *, cost: float = 1.0, name: str = "op") -> Any:
        """Do an operation of an adapter; what it raises comes back."""
        operation = Operation(name=name, request=Request(path="/x"), parse=lambda response: response, cost=cost)
        runtime = self.connector.runtime
        try:
            return drive(execute(runtime, runtime.blocking_io, "crm", lambda target, options: operation))
        except ConnectorError as error:
            return error

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return self.vendors.clock.elapsed_seconds

    @property
    def sends(self) -> int:
        """Calls that reached the vendor."""
        return len(self.vendors.sent())


@attrs.define
class Desk:
    """Gates of several processes on one store that waits on something, in virtual time."""

    processes: int
    options: LimiterOptions
    io: VirtualIo = attrs.field(factory=VirtualIo)
    store: Blocking = attrs.field(init=False)
    gates: list[LimiterGate] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.store = Blocking(self.io.now)
        rules = rules_of(self.options, None, blocking=True)
        self.gates = [
            LimiterGate("crm", self.options, rules=rules, headers=None, store=self.store, now=self.io.now)
            for _ in range(self.processes)
        ]

    def attempt(self, *, operation: str = "GET /x", tenant: str | None = None, max_wait: float = 5.0) -> Attempt:
        """An attempt of a call with 30 s."""
        target = SimpleNamespace(name="crm", redactor=None, signals=SimpleNamespace(hears=lambda kind: False))
        call = Call(
            id="01J",
            target=cast("Any", target),
            operation=Operation(name=operation, request=Request(), parse=Response.json),
            options=CallOptions(tenant_id=tenant),
            io=self.io,
            deadline=self.io.now() + 30,
        )
        return Attempt(call=call, number=1, region=None, request=Request(), max_wait_seconds=max_wait)

    def begin(self, process: int = 0, **more: Any) -> tuple[Attempt, Any]:
        """Ask as the core does; returns what the gate says."""
        gate, attempt = self.gates[process], self.attempt(**more)
        item = gate.ask(attempt)
        if item is None:
            return attempt, None
        try:
            [reply] = self.store.run([item])
        except StoreError as error:
            return attempt, gate.without_store(attempt, error)
        return attempt, gate.judge(attempt, reply)

    def again(self, attempt: Attempt, answer: Any, process: int = 0) -> Any:
        """Come again as often as the gate wants, as the core does; returns what it says in the end."""
        gate = self.gates[process]
        while isinstance(answer, Again):
            self.io.advance(answer.seconds)
            item = gate.ask(attempt)
            if item is None:
                return None
            try:
                [reply] = self.store.run([item])
            except StoreError as error:
                answer = gate.without_store(attempt, error)
            else:
                answer = gate.judge(attempt, reply)
        return answer

    def end(self, attempt: Attempt, process: int = 0, *, sent: bool = True, status: int = 200) -> Any:
        """Settle, and let the store hear of it; what it must hear comes back."""
        attempt.response = Response(status=status) if sent else None
        items = self.gates[process].settle(attempt, Verdict(outcome=Outcome.DONE, health="ok"), sent=sent)
        if items and self.store.gone is None:
            self.store.run(items)
        return items


@pytest.fixture
def desk() -> Callable[..., Desk]:
    """Makes desks: number of processes, options of the limiter."""
    return lambda processes=1, **options: Desk(processes, LimiterOptions(**options))


@pytest.fixture
def world() -> Generator[Callable[..., World]]:
    """Opens connectors: options of the limiter, of the service, and plugins beside it."""
    with ExitStack() as stack:

        def opens(
            limiter: object = None, *, plugins: Sequence[object] = (), only: Sequence[str] = (), **crm: Any
        ) -> World:
            own = {} if limiter is None else {"limiter": limiter}
            config: dict[str, object] = {
                "services": {"crm": {"base_url": "https://crm.example", **own, **crm}},
                "plugins": {"only": ["limiter", *only]},
            }
            connector = stack.enter_context(Connector.from_config(config, plugins=plugins))
            vendors = stack.enter_context(fake(connector))
            vendors.answer("", 200)
            events: list[RateLimited] = []
            connector.on(RateLimited)(events.append)
            return World(connector, vendors, events)

        yield opens
