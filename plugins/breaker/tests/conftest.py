"""Two ways to look at the breaker: its gates alone on one store, asked as the core asks them, or inside a connector."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from nexus_connector import CircuitChanged, Connector
from nexus_connector.call import Attempt, Call
from nexus_connector.errors import ConnectorError, NotSentError
from nexus_connector.gates import Gate, Refusal
from nexus_connector.io.virtual import VirtualIo
from nexus_connector.message import Request, Response
from nexus_connector.operation import CallOptions, Operation
from nexus_connector.redaction import Redactor
from nexus_connector.state import Item, MemoryStore, Plain, StoreError
from nexus_connector.testing import fake
from nexus_connector.testing.fake import Fake
from nexus_connector.verdict import Health, Outcome, Verdict
from nexus_connector_breaker import BreakerOptions
from nexus_connector_breaker._gate import BreakerGate


class CountingStore(MemoryStore):
    """A memory store that notes the names of the operations it ran, and fails while it is told to."""

    ran: list[str]
    gone: StoreError | None = None

    def run(self, items: Sequence[Item]) -> list[Plain]:
        if self.gone is not None:
            raise self.gone
        self.ran += [op.name for op, _, _ in items]
        return super().run(items)


@attrs.define
class Held:
    """An attempt that was admitted and has not ended."""

    gate: Gate
    attempt: Attempt


class Desk:
    """Gates of several processes on one store in virtual time, asked as the core asks them.

    `late` collects what a blocking store will hear of later; `post` lets it.
    """

    def __init__(self, *, processes: int = 1, groups: dict[str, str] | None = None, **options: Any) -> None:
        self.io = VirtualIo()
        self.store = CountingStore(self.io.now)
        self.store.ran = []
        self.late: list[Callable[[], None]] = []
        self.events: list[CircuitChanged] = []
        self.options = BreakerOptions(**options)
        self.gates = [
            BreakerGate("crm", self.options, groups=groups or {}, store=self.store, now=self.io.now)
            for _ in range(processes)
        ]

    def attempt(
        self, *, seconds: float = 30.0, operation: str = "GET /x", region: str | None = "eu.crm.example", **more: Any
    ) -> Attempt:
        """An attempt of a call that has so many seconds left."""
        target = SimpleNamespace(
            name="crm",
            redactor=Redactor(sensitive_keys=frozenset(), secrets=()),
            signals=SimpleNamespace(hears=lambda kind: True),
            outbox=lambda: SimpleNamespace(event=lambda make: self.events.append(make())),
        )
        request = Request()
        call = Call(
            id="01J",
            target=cast("Any", target),
            operation=Operation(name=operation, request=request, parse=Response.json, **more),
            options=CallOptions(),
            io=self.io,
            deadline=self.io.now() + seconds,
        )
        return Attempt(call=call, number=1, region=region, request=request)

    def begin(self, process: int = 0, attempt: Attempt | None = None) -> Held | ConnectorError:
        """Ask for admission; a refusal comes back as its error."""
        gate, attempt = self.gates[process], attempt or self.attempt()
        refusal = gate.check(attempt)
        if refusal is not None:
            return refusal.error
        item = gate.ask(attempt)
        held = Held(gate, attempt)
        if item is not None:
            try:
                [reply] = self.store.run([item])
            except StoreError as error:
                judged = gate.without_store(attempt, error)
            else:
                judged = gate.judge(attempt, reply)
            if isinstance(judged, Refusal):
                self.end(held, "ignore", sent=False)
                return judged.error
        return held

    def admitted(self, process: int = 0, attempt: Attempt | None = None) -> Held:
        """Ask for admission that must be granted."""
        held = self.begin(process, attempt)
        assert isinstance(held, Held), str(held)
        return held

    def refused(self, process: int = 0, attempt: Attempt | None = None) -> NotSentError:
        """Ask for admission that must be refused."""
        error = self.begin(process, attempt)
        assert isinstance(error, NotSentError), error
        return error

    def end(self, held: Held, health: Health, *, sent: bool = True) -> None:
        """Let an attempt end."""
        verdict = Verdict(outcome=Outcome.DONE, health=health)
        items = held.gate.settle(held.attempt, verdict, sent=sent)
        if not items:
            return
        if self.store.blocking:
            self.late.append(lambda: self._post(held, items))
        else:
            held.gate.settled(held.attempt, self.store.run(items))

    def _post(self, held: Held, items: Sequence[Item]) -> None:
        told = tuple(items)
        try:
            replies = self.store.run(told) if told else []
        except StoreError as error:
            held.gate.lost(held.attempt, told, error)
        else:
            held.gate.settled(held.attempt, replies)

    def post(self) -> None:
        """Let a blocking store hear of what has ended so far."""
        for post in self.late:
            post()
        self.late.clear()

    def go(self, *healths: Health, process: int = 0) -> None:
        """Make attempts one after the other."""
        for health in healths:
            self.end(self.admitted(process), health)

    def operations(self) -> list[str]:
        """What the store has run since it was last asked."""
        ran = [name.removeprefix("breaker.") for name in self.store.ran]
        self.store.ran.clear()
        return ran

    @property
    def changes(self) -> list[tuple[str, str]]:
        """Every transition that was told."""
        return [(event.old, event.new) for event in self.events]


@attrs.frozen
class World:
    """A connector with the breaker in virtual time; its service is ``crm`` unless the test says otherwise."""

    connector: Connector
    vendors: Fake
    events: list[CircuitChanged]

    def call(self, path: str = "/x", *, service: str = "crm", method: str = "get", **options: Any) -> Any:
        """Make a call; what it raises comes back."""
        try:
            return getattr(self.connector.service(service), method)(path, **options)
        except ConnectorError as error:
            return error

    def calls(self, *answers: object, **options: Any) -> list[Any]:
        """Make one call for each answer."""
        results: list[Any] = []
        for answer in answers:
            self.vendors.answer("", answer)
            results.append(self.call(**options))
        return results

    @property
    def sends(self) -> int:
        """Calls that reached a vendor."""
        return len(self.vendors.sent())

    @property
    def changes(self) -> list[tuple[str, str]]:
        """Every transition that was told."""
        return [(event.old, event.new) for event in self.events]


Opens = Callable[..., World]


@pytest.fixture
def desk() -> Callable[..., Desk]:
    """Makes gates on one store."""
    return Desk


@pytest.fixture
def world() -> Generator[Opens]:
    """Opens connectors: options of the breaker, of the service, and plugins beside it."""
    with ExitStack() as stack:

        def opens(
            breaker: object = None,
            *,
            services: dict[str, Any] | None = None,
            plugins: Sequence[object] = (),
            **crm: Any,
        ) -> World:
            config: dict[str, object] = {
                "services": services or {"crm": {"base_url": "https://crm.example", **crm}},
                "plugins": {"only": ["breaker"], "breaker": {} if breaker is None else breaker},
            }
            connector = stack.enter_context(Connector.from_config(config, plugins=plugins))
            vendors = stack.enter_context(fake(connector))
            vendors.answer("", 200)
            events: list[CircuitChanged] = []
            connector.on(CircuitChanged)(events.append)
            return World(connector, vendors, events)

        yield opens
