"""Two ways to look at the stage: inside a connector in virtual time, and beside another process on the same store."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from typing import Any, Literal

import attrs
import pytest

from nexus_connector import Connector, Event, PendingOutcome, hookimpl
from nexus_connector.io.drive import drive
from nexus_connector.state import Item, MemoryStore, Plain, Store, StoreError
from nexus_connector.testing import fake
from nexus_connector_idempotency import IdempotencyOptions
from nexus_connector_idempotency._index import Entry
from nexus_connector_idempotency._ledger import Claim, Ledger, claim_key
from nexus_connector_idempotency._machine import Ending, Reply

HEADER = "Idempotency-Key"


class FailingStore(MemoryStore):
    """A memory store that notes what it ran, and fails before or after it while it is told to."""

    durable = True

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.ran: list[str] = []
        self.fails: Literal["never", "before", "after"] = "never"
        self.before: list[Callable[[], object]] = []

    def run(self, items: Sequence[Item]) -> list[Plain]:
        if self.before:
            self.before.pop(0)()
        if self.fails == "before":
            raise StoreError("the database is away")
        self.ran += [op.name.removeprefix("idempotency.") for op, _, _ in items]
        replies = super().run(items)
        if self.fails == "after":
            raise StoreError("the reply was lost")
        return replies


class Opens:
    """A plugin that opens the durable store of a test."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @hookimpl
    def store(self, url: str, role: str) -> Store | None:
        return self._store if url == "test://" and role == "durable" else None


class Other:
    """Another process: it claims by itself, with the same options, on the same store."""

    def __init__(self, world: World, **options: Any) -> None:
        self._world = world
        self._options = IdempotencyOptions(**options)
        self._ledger = Ledger("crm", world.store, now=world.io.now)

    def claim(
        self, call_id: str, key: str, *, fingerprint: str = "f", seconds: float = 5.0, keyed: bool = False
    ) -> Reply:
        """Claim a key of ``POST /orders`` for so long."""
        found = drive(
            self._ledger.claim(self._world.io, self._of(call_id, key, fingerprint, keyed), int(seconds * 1000))
        )
        assert found is not None
        return found

    def finish(self, call_id: str, key: str, generation: int, ending: Ending, kept: Plain = None) -> None:
        """Say what became of it."""
        claim = self._of(call_id, key, "f", keyed=False)
        drive(
            self._ledger.finish(
                self._world.io, self._world.connector.runtime.process.outbox, claim, generation, ending, kept
            )
        )

    def _of(self, call_id: str, key: str, fingerprint: str, keyed: bool) -> Claim:
        return Claim(
            place=claim_key("crm", None, "POST /orders", key),
            entry=Entry(call_id, 1, None, "POST /orders", key),
            fingerprint=fingerprint,
            resend_ms=round(self._options.vendor_keep_seconds * 1000) if keyed else 0,
            keep_ms=self._options.keep_ms("POST /orders"),
            open_ms=self._options.open_ms("POST /orders"),
        )


@attrs.define
class World:
    """A connector with one service, its vendor, its store and its clock."""

    connector: Connector
    vendors: Any
    store: FailingStore
    events: list[Event] = attrs.field(factory=list)

    @property
    def io(self) -> Any:
        """Virtual time."""
        return self.connector.runtime.blocking_io

    @property
    def sent(self) -> int:
        """How many requests reached the vendor."""
        return sum(each.attempts for each in self.vendors.sent())

    @property
    def states(self) -> dict[Any, Any]:
        """What the store keeps."""
        now = self.io.now() * 1000
        return {key: kept[0] for key, kept in self.store._states.items() if kept[1] > now}

    @property
    def entries(self) -> int:
        """How many entries the index has."""
        return sum(len(state) for key, state in self.states.items() if key[2] == "open")

    def post(self, key: str | None = "k1", json: object = None, **options: Any) -> Any:
        """Make ``POST /orders``."""
        return self.connector.service("crm").post("/orders", idempotency_key=key, json=json or {"sku": "a"}, **options)

    def failed(self, kind: type[Exception], key: str | None = "k1", **options: Any) -> Any:
        """Make ``POST /orders``, which raises."""
        with pytest.raises(kind) as caught:
            self.post(key, **options)
        return caught.value

    def pending(self) -> list[PendingOutcome]:
        """What is open."""
        return self.connector.outcomes.list("crm")

    def told(self, kind: type[Event]) -> list[Any]:
        """The events of one class."""
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[..., World]]:
    """Makes a `World`: ``world({options of the plugin}, option_of_the_service=...)``; keyed with a header."""
    monkeypatch.setattr("nexus_connector.opening.MemoryStore", FailingStore)  # those of a fake, too
    with ExitStack() as stack:

        def make(options: dict[str, Any] | None = None, *, hooks: Sequence[object] = (), **service: Any) -> World:
            config: dict[str, Any] = {
                "services": {"crm": {"base_url": "https://crm.example", "timeout_seconds": 5, **service}},
                "stores": {"durable": "test://"},
                "plugins": {"only": ["idempotency"], "idempotency": options or {}},
            }
            unused = FailingStore(lambda: 0.0)
            connector = stack.enter_context(Connector.from_config(config, plugins=[Opens(unused), *hooks]))
            vendors = stack.enter_context(fake(connector, seed=3))
            vendors.answer("", {"id": "7"})
            store = connector.runtime.process.stores.durable
            assert isinstance(store, FailingStore)
            found = World(connector, vendors, store)
            connector.on(Event)(found.events.append)
            return found

        yield make


@pytest.fixture
def other() -> type[Other]:
    """Makes another process on the store of a world."""
    return Other
