"""SQLite: a file of this machine, with one writer at a time."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import (
    URL,
    BigInteger,
    Connection,
    Engine,
    QueuePool,
    Table,
    create_engine,
    delete,
    event,
    literal,
    select,
)
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql.elements import ColumnElement

from ._database import State, asked
from ._schema import states

_READS: Final = "nexus_connector_reads"
"""Execution option of a transaction that does not wait for the writer."""

_COLUMNS: Final = ("key", "state", "expires_ms")
_PAUSE_SECONDS: Final = (0.0005, 0.002)
"""How long somebody who waits for another writer looks away, at least and at most."""


class Sqlite:
    """A file.

    Args:
        url: Its path is absolute.
        survives_power_failure: Whether every commit is forced to the disk. Without it the last ones may be gone when
            the machine dies, never when the process does.
        clock: The time of day in seconds.
    """

    max_connections = 1
    reading: Mapping[str, object] = MappingProxyType({_READS: True})
    single: Mapping[str, object] = MappingProxyType({})

    def __init__(
        self, url: URL, *, survives_power_failure: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self.url = url
        self._synchronous = "FULL" if survives_power_failure else "NORMAL"
        self._clock = clock

    def engine(self, timeout_seconds: float) -> Engine:
        """Return an engine whose statements wait no longer for other writers."""
        engine = create_engine(
            self.url,
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=-1,
            connect_args={"timeout": timeout_seconds, "isolation_level": None},
            hide_parameters=True,
        )
        event.listen(engine, "do_connect", self._before_connecting)
        event.listen(engine, "connect", self._prepare)
        event.listen(engine, "begin", _begin)
        return engine

    def answer_by(self, deadline: float) -> None:
        """Set the deadline of this thread, up to which it waits for other writers; nothing bounds the disk."""
        asked.deadline = deadline

    def read(self, connection: Connection, keys: Collection[bytes]) -> tuple[int, Sequence[State]]:
        """Read states: a transaction that writes is the only one, and it has begun."""
        wanted = select(states.c.key, states.c.state, states.c.expires_ms).where(states.c.key.in_(keys))
        return self._now_ms(), [(row.key, row.state, row.expires_ms) for row in connection.execute(wanted)]

    def write(self, connection: Connection, rows: Sequence[State], gone: Collection[bytes]) -> None:
        """Write and delete states."""
        if rows:
            insertion = self.insert(states, [dict(zip(_COLUMNS, row, strict=True)) for row in rows])
            renewed = {name: insertion.excluded[name] for name in ("state", "expires_ms")}
            connection.execute(insertion.on_conflict_do_update(index_elements=[states.c.key], set_=renewed))
        if gone:
            connection.execute(delete(states).where(states.c.key.in_(gone)))

    def lock(self, connection: Connection, keys: Collection[bytes]) -> None:
        """Do nothing: a transaction that writes is the only one."""

    def lock_schema(self, connection: Connection) -> None:
        """Do nothing: a transaction that writes is the only one."""

    def now_ms(self) -> ColumnElement[int]:
        """Return the time of this machine."""
        return literal(self._now_ms(), BigInteger)

    def insert(self, table: Table, rows: Sequence[dict[str, object]]) -> Insert:
        """Return an insertion."""
        return insert(table).values(rows)

    def describe(self, connection: Connection) -> str:
        """Return product and version."""
        return f"SQLite {connection.exec_driver_sql('SELECT sqlite_version()').scalar_one()}"

    def _now_ms(self) -> int:
        return int(self._clock() * 1000 + 1e-6)

    def _before_connecting(self, *_: object) -> None:
        """Make the file, for its owner only; SQLite gives its companions the same rights."""
        path = self.url.database or ""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            message = f"{error.strerror or error} ({path})"
            raise sqlite3.OperationalError(message) from None

    def _prepare(self, connection: Any, _: object) -> None:
        raw: sqlite3.Connection = connection
        with closing(raw.cursor()) as cursor:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                # SQLite waits for nobody here, whatever its busy timeout: several may meet a new file at once.
                _once_free(lambda: cursor.execute("PRAGMA journal_mode=WAL"))
            cursor.execute(f"PRAGMA synchronous={self._synchronous}")


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get(_READS, False):
        connection.exec_driver_sql("BEGIN")
        return
    # SQLite's own waiting grows to 100 ms a time: under load the one who has waited longest looks least often.
    busy_ms = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    connection.exec_driver_sql("PRAGMA busy_timeout=0")
    try:
        _once_free(lambda: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={busy_ms}")


def _once_free(work: Callable[[], object]) -> None:
    """Do it as soon as nobody else holds the file, or raise what SQLite says when the deadline has passed."""
    while True:
        try:
            work()
            return
        except (OperationalError, sqlite3.OperationalError) as error:
            if not _is_busy(error) or time.monotonic() >= asked.deadline:
                raise
        time.sleep(random.uniform(*_PAUSE_SECONDS))  # noqa: S311  # spreads those who wait, guards nothing


def _is_busy(error: Exception) -> bool:
    cause = error.orig if isinstance(error, OperationalError) else error
    # The lowest byte is the kind; the others say more about it, as SQLITE_BUSY_RECOVERY.
    return isinstance(cause, sqlite3.Error) and cause.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
