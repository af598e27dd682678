from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
import redis

from nexus_connector.state import Store
from nexus_connector.testing import StoreContract


class TestRedisStore(StoreContract):
    """What every store promises, and its twin."""

    has_twin = True

    @pytest.fixture(autouse=True)
    def _place(self, make_store: Callable[..., Store], shared_url: str, prefix: str) -> None:
        self._make, self._url, self._prefix = make_store, shared_url, prefix

    def make_store(self) -> Store:
        return self._make(self._url)

    def make_lost_store(self) -> Store:
        return self._make(f"redis://:{self.password}@127.0.0.1:1/0")

    def advance(self, seconds: float) -> None:
        with contextlib.closing(redis.Redis.from_url(self._url)) as admin:
            for key in admin.scan_iter(match=f"{self._prefix}*", count=1000):
                admin.pexpire(key, admin.pttl(key) - int(seconds * 1000))
