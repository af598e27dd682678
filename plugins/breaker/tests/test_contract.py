"""The gate keeps what the core asks of every gate, whatever its options and its store."""

from __future__ import annotations

from collections.abc import Callable

from nexus_connector import Gate
from nexus_connector.state import MemoryStore, Store
from nexus_connector.testing import GateContract
from nexus_connector_breaker import BreakerOptions
from nexus_connector_breaker._gate import BreakerGate


class TestBreakerGate(GateContract):
    options = BreakerOptions()

    def make_gate(self, store: Store) -> Gate:
        return BreakerGate("vendor", self.options, groups={}, store=store, now=lambda: 0.0)


class TestWithEveryRule(TestBreakerGate):
    options = BreakerOptions(
        failure_rate=0.5, slow_call_rate=0.5, slow_call_seconds=5, minimum_calls=5, window_seconds=30
    )


class TestWithoutSnapshot(TestBreakerGate):
    options = BreakerOptions(snapshot_seconds=0)


class TestShadow(TestBreakerGate):
    options = BreakerOptions(mode="shadow")
    refuses_within = 0


class TestForcedClosed(TestBreakerGate):
    options = BreakerOptions(mode="force_closed")
    refuses_within = 0


class _BlockingStore(MemoryStore):
    blocking = True


class TestOnABlockingStore(TestBreakerGate):
    def make_store(self, clock: Callable[[], float]) -> Store:
        return _BlockingStore(clock)
