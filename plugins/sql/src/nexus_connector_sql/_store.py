"""The store: states and values in two tables, one transaction for each batch."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Final

import attrs
from sqlalchemy import Connection, Engine, Table, delete, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from nexus_connector.state import Item, Key, Plain, StoreError

from ._database import Database
from ._schema import MIGRATIONS, migrate, states, stored, values, version

_MIGRATION_SECONDS: Final = 30.0
_SWEEP_EVERY: Final = 128
_SWEEP_AT_MOST: Final = 256
_SECRET: Final = ("password", "sslpassword")
_WRITES: Final[Mapping[str, object]] = MappingProxyType({})
_abandoned: Final[list[Engine]] = []
"""Engines of a parent process: never closed here, for the other ends of their connections are the parent's."""


@attrs.define
class _Open:
    """What one process holds open."""

    database: Database
    engine: Engine
    places: threading.BoundedSemaphore
    pid: int = attrs.field(factory=os.getpid)
    is_ready: bool = False

    @contextmanager
    def place(self, deadline: float) -> Generator[None]:
        """Wait for one of the connections, and have all that is asked of it answered by the deadline."""
        if not self.places.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise PoolTimeoutError("all connections are taken")
        try:
            self.database.answer_by(deadline)
            yield
        finally:
            self.places.release()


class SqlStore:
    """Keeps states and values in a database.

    Args:
        database: Which, and its ways.
        timeout_seconds: Time after which it has failed to answer.
    """

    durable = True
    blocking = True

    def __init__(self, database: Database, *, timeout_seconds: float) -> None:
        self._database = database
        self._timeout_seconds = timeout_seconds
        url = database.url
        self._name = url.set(query={}).render_as_string(hide_password=True)
        found = [url.password, *(url.query.get(name) for name in _SECRET)]
        self._secrets = [secret for secret in found if isinstance(secret, str) and secret]
        self._locks: dict[int, threading.Lock] = {}
        self._open: _Open | None = None
        self._written = 0

    def run(self, items: Sequence[Item]) -> list[Plain]:
        """Run operations in one transaction."""
        if not items:
            return []
        keys = [stored(key) for _, key, _ in items]
        with self._asking(self._database.single) as connection:
            now, found = self._database.read(connection, set(keys))
            kept: dict[bytes, Plain] = {key: json.loads(state) for key, state, expires_ms in found if expires_ms > now}
            replies: list[Plain] = []
            changed: dict[bytes, tuple[Plain, int]] = {}
            for (op, _, args), key in zip(items, keys, strict=True):
                state, ttl_ms, reply = op.py(kept.get(key), now, args)
                # As it will be read: an operation later in the batch sees what another process would.
                kept[key] = state if ttl_ms > 0 else None
                changed[key] = (state, now + ttl_ms)
                replies.append(reply)
            rows = [
                (key, json.dumps(state, allow_nan=False), expires_ms)
                for key, (state, expires_ms) in sorted(changed.items())
                if state is not None
            ]
            self._database.write(connection, rows, [key for key, (state, _) in changed.items() if state is None])
        self._sweep_when_due(len(changed))
        return replies

    def get(self, key: Key) -> bytes | None:
        """Return the value under `key`."""
        now = self._database.now_ms()
        wanted = select(values.c.value).where(values.c.key == stored(key), values.c.expires_ms > now)
        with self._asking(self._database.reading) as connection:
            found: bytes | None = connection.scalar(wanted)
        return found

    def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        """Keep `value` for `ttl_ms` milliseconds."""
        with self._asking(self._database.single) as connection:
            now = self._database.now_ms()
            row: dict[str, object] = {"key": stored(key), "value": value, "expires_ms": now + ttl_ms}
            insertion = self._database.insert(values, [row])
            statement = insertion.on_conflict_do_update(
                index_elements=[values.c.key],
                set_={name: insertion.excluded[name] for name in ("value", "expires_ms")},
                where=(values.c.expires_ms <= now) if if_absent else None,
            )
            written = connection.execute(statement.returning(values.c.key)).first() is not None
        self._sweep_when_due(1)
        return written

    def delete(self, key: Key) -> None:
        """Forget `key`, its state and its value."""
        name = stored(key)
        with self._asking() as connection:
            self._database.lock(connection, [name])
            for table in (states, values):
                connection.execute(delete(table).where(table.c.key == name))

    def describe(self) -> str:
        """Return product and version, as ``PostgreSQL 16.2``."""
        with self._asking(self._database.reading) as connection:
            return self._database.describe(connection)

    def close(self) -> None:
        """Close the connections of this process."""
        with self._lock_of_this_process():
            self._abandon()
            held, self._open = self._open, None
        if held is not None:
            held.engine.dispose()

    def _sweep_when_due(self, written: int) -> None:
        """Drop some of what has expired, more than was written since the last time."""
        self._written += written
        if self._written < _SWEEP_EVERY:
            return
        self._written = 0
        with suppress(StoreError):  # what was asked for has been done; who asks next hears of it
            for table in (states, values):
                self._sweep(table)

    def _sweep(self, table: Table) -> None:
        with self._asking() as connection:
            now = self._database.now_ms()
            some = select(table.c.key).where(table.c.expires_ms <= now).limit(_SWEEP_AT_MOST)
            some = some.with_for_update(skip_locked=True)  # waits for nobody who waits for it; SQLite leaves it out
            connection.execute(delete(table).where(table.c.key.in_(some.scalar_subquery()), table.c.expires_ms <= now))

    @contextmanager
    def _asking(self, options: Mapping[str, object] = _WRITES) -> Generator[Connection]:
        """Begin a transaction and end it; whatever the database raises becomes a `StoreError`."""
        deadline = time.monotonic() + self._timeout_seconds
        try:
            opened = self._opened()
            with opened.place(deadline), self._ready(opened).connect() as connection:
                chosen = connection.execution_options(**options)
                with chosen.begin():
                    yield chosen
            return
        except SQLAlchemyError as error:
            message = self._said(error)
        raise StoreError(message)  # outside of the clause: the exception of a driver holds statements and addresses

    def _ready(self, opened: _Open) -> Engine:
        """Return the engine, once the schema is there."""
        if not opened.is_ready:
            with opened.engine.connect().execution_options(**self._database.reading) as connection:
                is_behind = version(connection) < len(MIGRATIONS)
            if is_behind:
                self._migrate()
                self._database.answer_by(time.monotonic() + self._timeout_seconds)
            opened.is_ready = True
        return opened.engine

    def _migrate(self) -> None:
        """Make the tables. It is done once in their life, so that it may take longer than anything else."""
        engine = self._database.engine(_MIGRATION_SECONDS)
        self._database.answer_by(time.monotonic() + _MIGRATION_SECONDS)
        try:
            with engine.begin() as connection:
                self._database.lock_schema(connection)
                migrate(connection, self._name)
        finally:
            engine.dispose()

    def _opened(self) -> _Open:
        held = self._open
        if held is not None and held.pid == os.getpid():
            return held
        with self._lock_of_this_process():
            self._abandon()
            if self._open is None:
                engine = self._database.engine(self._timeout_seconds)
                self._open = _Open(self._database, engine, threading.BoundedSemaphore(self._database.max_connections))
            return self._open

    def _abandon(self) -> None:
        """Leave alone what a parent process opened."""
        if self._open is not None and self._open.pid != os.getpid():
            _abandoned.append(self._open.engine)
            self._open = None

    def _lock_of_this_process(self) -> threading.Lock:
        # A lock that a thread of the parent held when it forked is never given back in the child.
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def _said(self, error: SQLAlchemyError) -> str:
        """Return what went wrong in one line, without the statement, its arguments or a password."""
        cause = error.orig if isinstance(error, DBAPIError) else None
        text = f"{self._name}: {type(cause or error).__name__}: {cause or error}".partition("\n")[0]
        for secret in self._secrets:
            text = text.replace(secret, "****")
        return text
