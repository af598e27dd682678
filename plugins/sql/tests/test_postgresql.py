"""PostgreSQL: errors in time, whatever the server does, and no connection that stays."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from random import Random
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Connection, make_url

from nexus_connector.state import AtomicOp, Plain, StoreError
from nexus_connector_sql import SqlOptions
from nexus_connector_sql._plugin import SqlStores
from nexus_connector_sql._postgresql import _within
from nexus_connector_sql._store import SqlStore


def opened(url: str, timeout_seconds: float = 10, max_connections: int = 8) -> SqlStore:
    """A store as the core gets it."""
    options = SqlOptions(timeout_seconds=timeout_seconds, max_connections=max_connections)
    store = SqlStores(options).store(url, "durable")
    assert isinstance(store, SqlStore)
    return store


def backend(store: SqlStore) -> int:
    """The process id of the server's half of the only connection."""
    with store._opened().engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def holding(inside: threading.Event, leave: threading.Event) -> AtomicOp:
    """An operation that stays inside until it is told to leave."""

    def py(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
        inside.set()
        leave.wait(60)
        return state, 60_000, None

    return AtomicOp(name="test.hold", version=1, py=py)


def until_blocked(connection: Connection, thread: threading.Thread) -> None:
    """Go on when somebody waits for a key, or the thread has ended without waiting."""
    blocked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while not connection.exec_driver_sql(blocked).scalar_one() and thread.is_alive():
        thread.join(0.01)


def test_a_server_that_never_greets_is_an_error() -> None:
    """It accepts and says nothing: a StoreError when the time is over, though libpq would wait for two seconds."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = opened(f"postgresql://u:the-password@127.0.0.1:{silent.getsockname()[1]}/d", timeout_seconds=0.05)
        with pytest.raises(StoreError, match="did not answer in time") as caught:
            store.get(("k",))
        assert "the-password" not in str(caught.value)
        store.close()


def _keep(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
    return 1, 60_000, state


ASKS: Sequence[Callable[[SqlStore], object]] = [
    lambda store: store.get(("hangs",)),
    lambda store: store.run([(AtomicOp(name="test.keep", version=1, py=_keep), ("hangs",), ())]),
]
each_ask = pytest.mark.parametrize("ask", ASKS, ids=["get", "run"])


@each_ask
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing can be stopped here")
def test_a_server_that_hangs_is_an_error(
    postgresql_url: str, ask: Callable[[SqlStore], object], caplog: pytest.LogCaptureFixture
) -> None:
    """Its half of a connection is stopped: a StoreError when the time is over; the next call has a new connection."""
    store = opened(postgresql_url + "?timeout_seconds=0.2", max_connections=1)
    store.put(("hangs",), b"1", ttl_ms=60_000)
    stopped = backend(store)
    try:
        os.kill(stopped, signal.SIGSTOP)
    except PermissionError:
        pytest.skip("the server belongs to somebody else")
    except ProcessLookupError:
        pytest.skip("the server runs on another machine")
    try:
        with pytest.raises(StoreError, match="did not answer in time"):
            ask(store)
        assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []
        assert store.get(("hangs",)) == b"1"
        assert backend(store) != stopped
    finally:
        os.kill(stopped, signal.SIGCONT)
        store.close()


@each_ask
def test_a_lost_connection_is_an_error_once(postgresql_url: str, ask: Callable[[SqlStore], object]) -> None:
    """The server ended it, as it does when it starts anew: one StoreError, then a new connection."""
    store, other = opened(postgresql_url, max_connections=1), opened(postgresql_url)
    store.put(("lost",), b"1", ttl_ms=60_000)
    with other._opened().engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({backend(store)}, 5000)")
    with pytest.raises(StoreError):
        ask(store)
    assert store.get(("lost",)) == b"1"
    store.close()
    other.close()


def test_a_key_that_is_held_too_long_is_an_error(postgresql_url: str, count: AtomicOp) -> None:
    """Others wait for their turn on a key until their time is over; other keys are free all the time."""
    inside, leave = threading.Event(), threading.Event()
    tag = uuid4().hex
    slow, fast = opened(postgresql_url), opened(postgresql_url, timeout_seconds=0.2)
    fast.run([(count, (tag, "free"), ())])
    thread = threading.Thread(target=slow.run, args=([(holding(inside, leave), (tag, "held"), ())],))
    thread.start()
    try:
        assert inside.wait(60)
        with pytest.raises(StoreError):
            fast.run([(count, (tag, "held"), ())])
        assert fast.run([(count, (tag, "free"), ())]) == [2]
    finally:
        leave.set()
        thread.join(60)
    assert fast.run([(count, (tag, "held"), ())]) == [1]
    slow.close()
    fast.close()


def test_it_takes_no_more_connections_than_it_may(postgresql_url: str) -> None:
    """Who finds them all taken waits for one, and no longer than the timeout."""
    inside, leave = threading.Event(), threading.Event()
    store = opened(postgresql_url, max_connections=1)
    thread = threading.Thread(target=store.run, args=([(holding(inside, leave), (uuid4().hex,), ())],))
    store.get(("k",))
    thread.start()
    try:
        assert inside.wait(60)
        store._timeout_seconds = 0.05
        with pytest.raises(StoreError, match="all connections are taken"):
            store.get(("k",))
    finally:
        leave.set()
        thread.join(60)
    assert store.get(("k",)) is None
    store.close()


def test_time_is_the_servers(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a wrong clock does not count."""

    def now(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
        return None, 0, now_ms

    store = opened(postgresql_url)
    monkeypatch.setattr("time.time", lambda: 0.0)
    [told] = store.run([(AtomicOp(name="test.now", version=1, py=now), ("now",), ())])
    assert isinstance(told, int)
    assert told > 1_700_000_000_000
    store.close()


def test_time_is_told_when_the_turn_has_come(postgresql_url: str) -> None:
    """Who waited for a key is told the time after its wait: else it would be older than what it finds."""
    inside, leave, key = threading.Event(), threading.Event(), (uuid4().hex,)
    slow, waiting, told = opened(postgresql_url), opened(postgresql_url), list[Plain]()

    def now(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
        return None, 0, now_ms

    op = AtomicOp(name="test.now", version=1, py=now)
    waiting.get(key)
    threads = [
        threading.Thread(target=slow.run, args=([(holding(inside, leave), key, ())],)),
        threading.Thread(target=lambda: told.extend(waiting.run([(op, key, ())]))),
    ]
    threads[0].start()
    try:
        assert inside.wait(60)
        threads[1].start()
        with slow._opened().engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            until_blocked(connection, threads[1])
            begun = connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp()) * 1000").scalar_one()
    finally:
        leave.set()
        for thread in threads:
            thread.join(60)
    [moment] = told
    assert isinstance(moment, int)
    assert moment >= int(begun)
    slow.close()
    waiting.close()


def test_deleting_waits_for_its_turn(postgresql_url: str, count: AtomicOp) -> None:
    """It comes before an operation or after it, never in between, where the operation would bring the state back."""
    inside, leave, key = threading.Event(), threading.Event(), (uuid4().hex,)
    slow, other = opened(postgresql_url), opened(postgresql_url)
    other.run([(count, key, ())])
    threads = [
        threading.Thread(target=slow.run, args=([(holding(inside, leave), key, ())],)),
        threading.Thread(target=other.delete, args=(key,)),
    ]
    threads[0].start()
    try:
        assert inside.wait(60)
        threads[1].start()
        with slow._opened().engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            until_blocked(connection, threads[1])
    finally:
        leave.set()
        for thread in threads:
            thread.join(60)
    assert other.run([(count, key, ())]) == [1]
    slow.close()
    other.close()


def test_batches_do_not_wait_in_a_circle(postgresql_url: str, count: AtomicOp) -> None:
    """Each names the keys in another order; a circle would cost a second and an error (deadlock_timeout)."""
    tag, errors = uuid4().hex, list[Exception]()
    store = opened(postgresql_url)
    keys = [(tag, str(number)) for number in range(12)]

    def work(seed: int) -> None:
        chance = Random(seed)
        for _ in range(30):
            try:
                store.run([(count, key, ()) for key in chance.sample(keys, len(keys))])
            except StoreError as error:
                errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert store.run([(count, key, ()) for key in keys]) == [181] * len(keys)
    store.close()


def test_what_has_expired_does_not_pile_up(postgresql_url: str) -> None:
    """Sweeping deletes what has expired and passes by what others hold, be it the oldest of all."""
    store, other, tag = opened(postgresql_url), opened(postgresql_url), uuid4().hex
    store.put((tag, "held"), b"1", ttl_ms=60_000)
    ours = "FROM nexus_connector_values WHERE position(%s::bytea in key) > 0"
    name = (tag.encode(),)
    with other._opened().engine.connect() as connection:
        aged = "UPDATE nexus_connector_values SET expires_ms = 1 WHERE position(%s::bytea in key) > 0"
        connection.exec_driver_sql(aged, name)
        connection.commit()
        assert len(connection.exec_driver_sql(f"SELECT 1 {ours} FOR UPDATE", name).all()) == 1
        for number in range(300):
            store.put((tag, str(number)), b"1", ttl_ms=1)
        assert connection.exec_driver_sql(f"SELECT count(*) {ours}", name).scalar_one() < 150
        assert connection.exec_driver_sql(f"SELECT count(*) {ours} AND expires_ms = 1", name).scalar_one() == 1
    store.close()
    other.close()


def test_it_asks_no_more_than_it_must(
    postgresql_url: str, count: AtomicOp, wiretap: Callable[[str], AbstractContextManager[Any]]
) -> None:
    """``get`` and ``put`` are one round trip, a batch is two: lock and read, then write and commit."""
    key = (uuid4().hex,)
    gone = AtomicOp(name="test.gone", version=1, py=lambda *_: (None, 0, None))
    with wiretap(postgresql_url) as wire:
        store = opened(wire.url)
        store.get(key)
        assert wire.count(lambda: store.get(key)) == 1
        assert wire.count(lambda: store.put(key, b"1", ttl_ms=60_000)) == 1
        assert wire.count(lambda: store.run([(count, (*key, str(number)), ()) for number in range(20)])) == 2
        assert wire.count(lambda: store.run([(count, (*key, "0"), ()), (gone, (*key, "1"), ())])) == 2
        assert wire.count(lambda: store.run([(gone, (*key, "2"), ())])) == 2
        store.close()


def test_a_batch_that_cannot_be_written_is_not_kept(postgresql_url: str, count: AtomicOp) -> None:
    """What the database refuses at the end is a `StoreError`, nothing of the batch is there, and the store goes on."""
    store, key = opened(postgresql_url, max_connections=1), (uuid4().hex,)
    far = AtomicOp(name="test.far", version=1, py=lambda *_: (1, 2**63, None))  # later than a bigint can say
    store.run([(count, key, ())])
    with pytest.raises(StoreError, match="out of range"):
        store.run([(count, key, ()), (far, (*key, "far"), ())])
    assert store.run([(count, key, ())]) == [2]
    store.close()


def test_it_says_what_it_is(postgresql_url: str) -> None:
    """Product and version, asked of the server itself."""
    store = opened(postgresql_url)
    with store._opened().engine.connect() as connection:
        version = str(connection.exec_driver_sql("SHOW server_version").scalar_one()).split()[0]
    assert store.describe() == f"PostgreSQL {version}"
    store.close()


def test_migrations_say_so_once(postgresql_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """One line at INFO when the tables are made, by whoever makes them, and none afterwards; no password is in it."""
    name = f"nexus_{uuid4().hex}"
    url = make_url(postgresql_url)
    stores = [opened(url.set(database=name).render_as_string(hide_password=False)) for _ in range(3)]
    admin = opened(postgresql_url)
    with admin._opened().engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        try:
            with caplog.at_level(logging.INFO, "nexus_connector.plugins.sql"):
                for store in stores:
                    store.get(("k",))
                    store.close()
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    admin.close()
    [line] = [record.getMessage() for record in caplog.records if record.name == "nexus_connector.plugins.sql"]
    assert line.endswith(f"/{name}: schema migrated from version 0 to 1.")


def test_a_database_that_does_not_exist_is_an_error(postgresql_url: str) -> None:
    """It is named."""
    url = make_url(postgresql_url).set(database="nexus_nowhere")
    store = opened(url.render_as_string(hide_password=False))
    with pytest.raises(StoreError, match='database "nexus_nowhere" does not exist'):
        store.get(("k",))
    store.close()


def test_an_error_hides_the_password_wherever_it_is(postgresql_url: str) -> None:
    """The server repeats the name of a database, which somebody made the same."""
    url = make_url(postgresql_url).set(password="the-password", database="the-password")
    store = opened(url.render_as_string(hide_password=False))
    with pytest.raises(StoreError, match="does not exist") as caught:
        store.get(("k",))
    assert "the-password" not in str(caught.value)
    store.close()


def test_a_connection_that_comes_too_late_is_closed() -> None:
    """Nobody waits for it any more, and it must not hold a place on the server."""
    closed, greeted = threading.Event(), threading.Event()

    class Late:
        def close(self) -> None:
            closed.set()

    def connect() -> Any:
        greeted.wait(60)
        return Late()

    with pytest.raises(psycopg.OperationalError, match="in time"):
        _within(0.01, connect)
    greeted.set()
    assert closed.wait(60)


def test_the_server_has_the_same_patience(postgresql_url: str) -> None:
    """It ends what nobody waits for any more, and frees the keys of a machine that is gone."""
    store = opened(postgresql_url, timeout_seconds=7)
    store.get(("k",))
    with store._opened().engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "7s"
        assert connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one() == "70s"
    store.close()
