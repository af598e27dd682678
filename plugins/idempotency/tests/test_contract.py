"""The stage keeps what the core asks of every stage."""

from __future__ import annotations

from nexus_connector import Stage
from nexus_connector.state import MemoryStore
from nexus_connector.testing.suites import StageContract
from nexus_connector_idempotency import IdempotencyOptions
from nexus_connector_idempotency._ledger import Ledger
from nexus_connector_idempotency._stage import IdempotencyStage


class TestIdempotencyStage(StageContract):
    def make_stage(self) -> Stage:
        ledger = Ledger("vendor", MemoryStore(lambda: 0.0), now=lambda: 0.0)
        return IdempotencyStage(IdempotencyOptions(), ledger)
