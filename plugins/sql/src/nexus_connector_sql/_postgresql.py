"""PostgreSQL: a server that many machines share, and that may hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, TypeVar

import psycopg
from sqlalchemy import (
    ARRAY,
    URL,
    BigInteger,
    Connection,
    Engine,
    QueuePool,
    Table,
    bindparam,
    cast,
    create_engine,
    event,
    extract,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.sql.elements import ColumnElement

from ._database import asked

T = TypeVar("T")

_LOOK_SECONDS: Final = 0.02
"""How often a connection that waits looks at its deadline."""
_SCHEMA_LOCK: Final = int.from_bytes(sha256(b"nexus_connector_schema").digest()[:8], signed=True)
_LOCK: Final = text("SELECT pg_advisory_xact_lock(lock) FROM unnest(:locks) AS lock").bindparams(
    bindparam("locks", type_=ARRAY(BigInteger))
)
_RECYCLE_SECONDS: Final = 300
_SLOWEST_CONNECT_SECONDS: Final = 2
"""What libpq takes for the shortest time of connecting; nobody waits for it."""


class TimedConnection(psycopg.Connection[Any]):
    """A connection that closes itself when an answer comes too late, also if the server is silent."""

    def wait(self, gen: Generator[Any, Any, T], *_: object, **__: object) -> T:
        """Run what waits for the server, until the deadline."""
        return super().wait(self._timed(gen), interval=_LOOK_SECONDS)

    def _timed(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() >= asked.deadline:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server did not answer in time")
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


class Postgresql:
    """A database on a server.

    Args:
        url: Where it is; its driver is psycopg.
        max_connections: How many one process holds.
    """

    reading: Mapping[str, object] = MappingProxyType({"isolation_level": "AUTOCOMMIT"})
    single: Mapping[str, object] = reading

    def __init__(self, url: URL, max_connections: int) -> None:
        self.url = url
        self.max_connections = max_connections

    def engine(self, timeout_seconds: float) -> Engine:
        """Return an engine that gives up on a silent server."""
        engine = create_engine(
            self.url,
            poolclass=QueuePool,
            pool_size=self.max_connections,
            max_overflow=-1,
            pool_recycle=_RECYCLE_SECONDS,
            pool_use_lifo=True,
            hide_parameters=True,
            use_native_hstore=False,  # would be looked up at every first connection
        )
        milliseconds = max(1, int(timeout_seconds * 1000))

        def connect(_: object, __: object, arguments: Sequence[Any], named: dict[str, Any]) -> TimedConnection:
            seconds = min(timeout_seconds, max(0.0, asked.deadline - time.monotonic()))
            named = {"connect_timeout": _SLOWEST_CONNECT_SECONDS, "autocommit": True, **named}
            made = _within(seconds, lambda: TimedConnection.connect(*arguments, **named))
            # The server ends what it was asked to do as well, and lets go of the locks of a machine that is gone.
            made.execute(
                f"SET statement_timeout = {milliseconds}; "
                f"SET idle_in_transaction_session_timeout = {10 * milliseconds}".encode()
            )
            made.autocommit = False
            return made

        event.listen(engine, "do_connect", connect)
        return engine

    def answer_by(self, deadline: float) -> None:
        """Set the deadline of this thread."""
        asked.deadline = deadline

    def lock(self, connection: Connection, keys: Collection[bytes]) -> None:
        """Take a lock of each key, in an order that all processes share, so that none waits in a circle."""
        locks = sorted({int.from_bytes(sha256(key).digest()[:8], signed=True) for key in keys})
        connection.execute(_LOCK, {"locks": locks})

    def lock_schema(self, connection: Connection) -> None:
        """Take the lock of the schema."""
        connection.execute(_LOCK, {"locks": [_SCHEMA_LOCK]})

    def now_ms(self) -> ColumnElement[int]:
        """Return the time of the server, not that at which the transaction began."""
        return cast(func.floor(extract("epoch", func.clock_timestamp()) * 1000), BigInteger)

    def insert(self, table: Table, rows: Sequence[dict[str, object]]) -> Insert:
        """Return an insertion."""
        return insert(table).values(rows)


def _within(seconds: float, connect: Callable[[], TimedConnection]) -> TimedConnection:
    """Connect, or go on without it: names are looked up and servers greeted in a thread that nobody waits for."""
    lock = threading.Lock()
    made: list[TimedConnection] = []
    errors: list[Exception] = []
    given_up = False

    def work() -> None:
        try:
            connection = connect()
        except Exception as error:
            errors.append(error)
            return
        with lock:
            made.append(connection)
            if given_up:
                connection.close()

    thread = threading.Thread(target=work, name="nexus-connector-sql-connect", daemon=True)
    thread.start()
    thread.join(seconds)
    with lock:
        given_up = not made and not errors
    if given_up:
        raise psycopg.OperationalError("the server did not answer in time")
    if errors:
        raise errors[0]
    return made[0]
