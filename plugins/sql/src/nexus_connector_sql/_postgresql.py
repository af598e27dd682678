"""PostgreSQL: a server that many machines share, and that may hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

import psycopg
import sqlalchemy
from sqlalchemy import URL, BigInteger, Connection, Engine, QueuePool, Table, create_engine, event, extract, func
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ColumnElement

from ._database import State, asked
from ._schema import states

T = TypeVar("T")

_LOOK_SECONDS: Final = 0.02
"""How often a connection that waits looks at its deadline."""
_SCHEMA_LOCK: Final = int.from_bytes(sha256(b"nexus_connector_schema").digest()[:8], signed=True)
_LOCK: Final = "SELECT pg_advisory_xact_lock(lock) FROM unnest(%s::bigint[]) AS lock"
_READ: Final = f"""
    SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, key, state, expires_ms
    FROM (SELECT 1) AS one LEFT JOIN {states.name} ON key = ANY(%s::bytea[])
""".encode()  # noqa: S608  # the name of a table of ours
_WRITE: Final = f"""
    INSERT INTO {states.name} (key, state, expires_ms)
    SELECT * FROM unnest(%s::bytea[], %s::text[], %s::bigint[])
    ON CONFLICT (key) DO UPDATE SET state = excluded.state, expires_ms = excluded.expires_ms
""".encode()  # noqa: S608
_DELETE: Final = f"DELETE FROM {states.name} WHERE key = ANY(%s::bytea[])".encode()  # noqa: S608
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

    def read(self, connection: Connection, keys: Collection[bytes]) -> tuple[int, Sequence[State]]:
        """Begin, take the locks and read what is there then, in one round trip."""
        with _together(connection) as raw:
            raw.execute("BEGIN")  # psycopg's own would be waited for
            raw.execute(_LOCK, [_locks(keys)])
            cursor = raw.execute(_READ, [list(keys)])
        found: list[tuple[int, bytes | None, str, int]] = cursor.fetchall()
        return found[0][0], [(key, state, expires_ms) for _, key, state, expires_ms in found if key is not None]

    def write(self, connection: Connection, rows: Sequence[State], gone: Collection[bytes]) -> None:
        """Write, delete and commit, in one round trip; a commit after this one finds nothing to do."""
        with _together(connection) as raw:
            if rows:
                raw.execute(_WRITE, [list(column) for column in zip(*rows, strict=True)])
            if gone:
                raw.execute(_DELETE, [list(gone)])
            raw.execute("COMMIT")

    def lock(self, connection: Connection, keys: Collection[bytes]) -> None:
        """Take a lock of each key, in an order that all processes share, so that none waits in a circle."""
        connection.exec_driver_sql(_LOCK, (_locks(keys),))

    def lock_schema(self, connection: Connection) -> None:
        """Take the lock of the schema."""
        connection.exec_driver_sql(_LOCK, ([_SCHEMA_LOCK],))

    def now_ms(self) -> ColumnElement[int]:
        """Return the time of the server, not that at which the transaction began."""
        return sqlalchemy.cast(func.floor(extract("epoch", func.clock_timestamp()) * 1000), BigInteger)

    def insert(self, table: Table, rows: Sequence[dict[str, object]]) -> Insert:
        """Return an insertion."""
        return insert(table).values(rows)

    def describe(self, connection: Connection) -> str:
        """Return product and version: the first two words of what the server says about itself."""
        said: str = connection.exec_driver_sql("SELECT version()").scalar_one()
        return " ".join(said.split()[:2])


def _locks(keys: Collection[bytes]) -> list[int]:
    return sorted({int.from_bytes(sha256(key).digest()[:8], signed=True) for key in keys})


@contextmanager
def _together(connection: Connection) -> Generator[psycopg.Connection[Any]]:
    """Send all statements at once and wait for their results at the end; SQLAlchemy would wait for each of them."""
    raw: psycopg.Connection[Any] = cast("Any", connection.connection.driver_connection)
    try:
        with raw.pipeline():
            yield raw
    except psycopg.Error as error:
        if raw.closed:  # its place in the pool is for another one
            connection.invalidate(error)
        raise DBAPIError(None, None, error, hide_parameters=True) from error


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
