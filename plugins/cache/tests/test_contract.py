"""The stage keeps what the core asks of every stage."""

from __future__ import annotations

from nexus_connector import Stage
from nexus_connector.state import MemoryStore
from nexus_connector.testing import StageContract
from nexus_connector_cache import CacheOptions
from nexus_connector_cache._stage import CacheStage


class TestCacheStage(StageContract):
    options = CacheOptions(enabled=True)

    def make_stage(self) -> Stage:
        return CacheStage(self.options, store=MemoryStore(lambda: 0.0))


class TestWithFreshnessOfItsOwn(TestCacheStage):
    options = CacheOptions(enabled=True, default_seconds=60, endpoints={"GET /things": 3600})


class _BlockingStore(MemoryStore):
    blocking = True


class TestOnABlockingStore(TestCacheStage):
    def make_stage(self) -> Stage:
        return CacheStage(self.options, store=_BlockingStore(lambda: 0.0))
