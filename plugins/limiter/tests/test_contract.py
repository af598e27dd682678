"""The gates keep what the core asks of every gate, whatever their options and their store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from nexus_connector import Gate
from nexus_connector.adapter import LimitHeaders
from nexus_connector.state import MemoryStore, Store
from nexus_connector.testing import GateContract
from nexus_connector_limiter import LimiterOptions
from nexus_connector_limiter._budget_gate import BudgetGate
from nexus_connector_limiter._budgets import budgets
from nexus_connector_limiter._gate import LimiterGate
from nexus_connector_limiter._plugin import rules_of


class TestLimiterGate(GateContract):
    options: ClassVar[dict[str, Any]] = {"limits": ("10/s",)}

    def make_gate(self, store: Store) -> Gate:
        options = LimiterOptions(**self.options)
        rules = rules_of(options, None, blocking=store.blocking)
        return LimiterGate("vendor", options, rules=rules, headers=LimitHeaders(), store=store, now=lambda: 0.0)


class TestSeveralLimits(TestLimiterGate):
    options: ClassVar[dict[str, Any]] = {
        "limits": ("10/s", "100/min"),
        "endpoints": {"POST /things": ("3/s", "7/10s")},
        "jitter_seconds": 0.0,
        "max_wait_seconds": 0.5,
    }


class TestPermits(TestLimiterGate):
    options: ClassVar[dict[str, Any]] = {"max_concurrency": 3, "fairness": False}


class _BlockingStore(MemoryStore):
    blocking = True


class TestLeases(TestLimiterGate):
    options: ClassVar[dict[str, Any]] = {"limits": ("600/min",)}

    def make_store(self, clock: Callable[[], float]) -> Store:
        return _BlockingStore(clock)


class TestBudgetGate(GateContract):
    prefix = "limiter"

    def make_gate(self, store: Store) -> Gate:
        found = budgets(("20/day", "5000/month"))
        return BudgetGate("vendor", found, options=LimiterOptions(), store=store, now=lambda: 0.0)
