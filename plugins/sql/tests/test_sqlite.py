"""SQLite: a file that survives power failures, and an error when somebody else does not let go."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import stat
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url

from nexus_connector.state import AtomicOp, LaterStore, StoreError
from nexus_connector_sql import SqlOptions
from nexus_connector_sql._database import asked
from nexus_connector_sql._plugin import SqlStores
from nexus_connector_sql._schema import LONGEST_KEY, stored
from nexus_connector_sql._sqlite import Sqlite, _is_busy
from nexus_connector_sql._store import SqlStore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the database will be."""
    return tmp_path / "nexus.db"


def opened(file: Path, timeout_seconds: float = 10, role: str = "durable") -> SqlStore:
    """A store as the core gets it."""
    store = SqlStores(SqlOptions(timeout_seconds=timeout_seconds)).store(f"sqlite:///{file}", role)
    assert isinstance(store, LaterStore)
    return store.store


def test_it_is_durable(file: Path) -> None:
    """It says so, and every commit is forced to the disk: WAL with synchronous=FULL (2)."""
    store = opened(file)
    assert store.durable
    assert store.blocking
    store.put(("k",), b"1", ttl_ms=1000)
    with store._opened().engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    store.close()


def test_what_is_only_shared_need_not_wait_for_the_disk(file: Path) -> None:
    """Limits and circuits may lose their last commits with the machine: NORMAL (1), beside a durable store's FULL."""
    durable, shared = opened(file), opened(file, role="shared")
    for store, level in ((durable, 2), (shared, 1)):
        store.put(("k",), b"1", ttl_ms=1000)
        with store._opened().engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level
        assert store.durable
        store.close()


def test_it_says_what_it_is(file: Path) -> None:
    """Product and version, asked of the database itself."""
    store = opened(file)
    assert store.describe() == f"SQLite {sqlite3.sqlite_version}"
    store.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")
def test_its_file_is_its_owners(file: Path) -> None:
    """States hold what vendors answered: nobody else may read the file or its log."""
    before = os.umask(0)
    try:
        store = opened(file)
        store.put(("k",), b"1", ttl_ms=1000)
        for path in file.parent.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        store.close()
    finally:
        os.umask(before)


def test_making_it_makes_no_file(file: Path) -> None:
    """It connects when it is first used."""
    for store in (opened(file), SqlStores(SqlOptions()).store(f"sqlite:///{file}", "durable")):
        assert store is not None
        assert not file.exists()
        store.close()
        assert not file.exists()


def test_a_relative_path_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that changes its directory goes on in the same file."""
    monkeypatch.chdir(tmp_path)
    store = SqlStores(SqlOptions()).store("sqlite:///state.db", "durable")
    assert store is not None
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.put(("k",), b"1", ttl_ms=1000)
    store.close()
    assert (tmp_path / "state.db").exists()


def test_a_writer_that_does_not_let_go_is_an_error(file: Path) -> None:
    """Another process that writes for longer than the timeout: a StoreError, and reading goes on."""
    store = opened(file, timeout_seconds=0.05)
    store.put(("k",), b"1", ttl_ms=60_000)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            store.put(("k",), b"2", ttl_ms=60_000)
        assert store.get(("k",)) == b"1"
        other.execute("ROLLBACK")
    assert store.put(("k",), b"3", ttl_ms=60_000)
    store.close()


def test_an_error_names_the_file(tmp_path: Path) -> None:
    """Whoever reads it finds the folder that is missing; nothing of the statement is in it."""
    store = opened(tmp_path / "nowhere" / "nexus.db")
    with pytest.raises(StoreError, match="No such file or directory") as caught:
        store.put(("secret-tenant",), b"secret-value", ttl_ms=1000)
    assert "nowhere" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None
    store.close()


def test_a_folder_that_may_not_be_written_is_an_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says why and where, before SQLite would say only that it cannot."""

    def refuse(path: str, *_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    store = opened(file)
    with monkeypatch.context() as patch:
        patch.setattr("nexus_connector_sql._sqlite.os.open", refuse)
        for ask in (lambda: store.get(("k",)), lambda: store.put(("k",), b"1", ttl_ms=1000), store.describe):
            with pytest.raises(StoreError, match=f"Permission denied .{file}"):
                ask()
    assert store.get(("k",)) is None
    store.close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_an_error(file: Path) -> None:
    """The same with a real folder."""
    file.parent.chmod(0o500)
    store = opened(file)
    with pytest.raises(StoreError, match="Permission denied"):
        store.get(("k",))
    store.close()
    file.parent.chmod(0o700)


def test_a_path_that_is_a_folder_is_an_error(file: Path) -> None:
    """It names it."""
    file.mkdir()
    store = opened(file)
    with pytest.raises(StoreError, match=f"directory .{file}"):
        store.get(("k",))
    store.close()


def test_a_file_that_is_no_database_is_an_error(file: Path) -> None:
    """It is left as it is."""
    file.write_bytes(b"something else entirely" * 100)
    store = opened(file)
    with pytest.raises(StoreError, match="not a database"):
        store.get(("k",))
    store.close()
    assert file.read_bytes().startswith(b"something else")


def test_migrations_say_so_once(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line when the tables are made, none when they are there."""
    with caplog.at_level(logging.INFO, "nexus_connector.plugins.sql"):
        for _ in range(2):
            store = opened(file)
            store.get(("k",))
            store.get(("k",))
            store.close()
    assert [record.getMessage() for record in caplog.records] == [
        f"sqlite+pysqlite:///{file}: schema migrated from version 0 to 1."
    ]


def test_a_newer_schema_is_refused(file: Path) -> None:
    """An older process keeps its hands off what a newer one made."""
    first = opened(file)
    first.put(("k",), b"1", ttl_ms=60_000)
    first.close()
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("UPDATE nexus_connector_schema SET version = 7")
    store = opened(file)
    with pytest.raises(StoreError, match=r"schema version 7 is newer .* knows 1: upgrade it"):
        store.get(("k",))
    store.close()


def test_what_has_expired_does_not_pile_up(file: Path, count: AtomicOp) -> None:
    """Some of it goes with every 128 writes, states and values alike, and nothing that lives."""
    now = [time.time()]
    store = SqlStore(Sqlite(make_url(f"sqlite:///{file}"), clock=lambda: now[0]), timeout_seconds=10)
    store.put(("alive",), b"1", ttl_ms=10**9)
    for number in range(300):
        store.run([(count, ("tenant", str(number)), ())])
        store.put(("value", str(number)), b"1", ttl_ms=1000)
        now[0] += 10
    with store._opened().engine.connect() as connection:
        for table in ("states", "values"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM nexus_connector_{table}").scalar() < 150
    assert store.get(("alive",)) == b"1"
    store.close()


def test_keys_are_written_out_up_to_a_length() -> None:
    """A key of the longest length is itself; a longer one has its digest, and is longer than any other."""
    longest = "x" * (LONGEST_KEY - len("508:"))
    assert stored((longest,)) == b"508:" + longest.encode()
    assert len(stored((longest + "y",))) == LONGEST_KEY + 1
    assert stored((longest + "y",)) != stored((longest + "z",))


def test_starters_wait_for_each_other(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who meets a new file while another one sets it up waits for it, though SQLite itself would fail at once."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        pauses: list[float] = []

        def release(*_: float) -> float:
            pauses.append(0.0)
            if len(pauses) == 2:
                other.execute("ROLLBACK")
            return 0.0

        monkeypatch.setattr("nexus_connector_sql._sqlite.random.uniform", release)
        store = opened(file)
        assert store.put(("k",), b"1", ttl_ms=60_000)
        assert len(pauses) == 2
        store.close()


def test_a_schema_that_is_there_is_only_looked_at(file: Path) -> None:
    """A process that starts while another one writes need not wait: it has nothing to migrate."""
    first = opened(file)
    first.put(("k",), b"1", ttl_ms=60_000)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        second = opened(file)
        second._migrate = lambda: pytest.fail("it migrated")  # type: ignore[method-assign]
        assert second.get(("k",)) == b"1"
        second.close()
    first.close()


@pytest.mark.parametrize(
    ("code", "waits"), [("SQLITE_BUSY", True), ("SQLITE_BUSY_RECOVERY", True), ("SQLITE_FULL", False)]
)
def test_every_kind_of_busy_is_waited_for(code: str, waits: bool) -> None:
    """Also that somebody recovers the log of a killed process; a full disk is told at once."""
    error = sqlite3.OperationalError("no.")
    error.sqlite_errorcode = getattr(sqlite3, code)
    assert _is_busy(error) is waits


def test_after_migrating_time_is_short_again(file: Path) -> None:
    """The half minute that making the tables may take is not that of the call which made them."""
    store = opened(file, timeout_seconds=5)
    store.put(("k",), b"1", ttl_ms=60_000)
    assert asked.deadline <= time.monotonic() + 5
    store.close()
