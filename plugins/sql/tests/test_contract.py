"""Both databases pass the suite of stores."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from nexus_connector.state import LaterStore, Store
from nexus_connector.testing import StoreContract
from nexus_connector_sql import SqlOptions
from nexus_connector_sql._plugin import SqlStores
from nexus_connector_sql._sqlite import Sqlite
from nexus_connector_sql._store import SqlStore


def opened(url: str) -> Store:
    """A store as the core gets it."""
    store = SqlStores(SqlOptions(timeout_seconds=10)).store(url, "durable")
    assert store is not None
    return store


class TestSqlite(StoreContract):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.file = tmp_path / "nexus.db"
        self.later = 0.0

    def make_store(self) -> Store:
        url = make_url(f"sqlite:///{self.file}")
        database = Sqlite(url, clock=lambda: time.time() + self.later)
        return LaterStore(lambda: SqlStore(database, timeout_seconds=10), durable=True)

    def make_lost_store(self) -> Store:
        return opened(f"sqlite:///{self.file.parent}/nowhere/nexus.db")

    def advance(self, seconds: float) -> None:
        self.later += seconds


class TestPostgresql(StoreContract):
    @pytest.fixture(autouse=True)
    def place(self, postgresql_url: str) -> None:
        self.url = postgresql_url

    def make_store(self) -> Store:
        return opened(self.url)

    def make_lost_store(self) -> Store:
        return opened(f"postgresql://nexus:{self.password}@127.0.0.1:1/postgres")

    def advance(self, seconds: float) -> None:
        engine = create_engine(make_url(self.url).set(drivername="postgresql+psycopg"))
        with engine.begin() as connection:
            for table in ("nexus_connector_states", "nexus_connector_values"):
                connection.execute(text(f"UPDATE {table} SET expires_ms = expires_ms - :ms"), {"ms": seconds * 1000})
        engine.dispose()
