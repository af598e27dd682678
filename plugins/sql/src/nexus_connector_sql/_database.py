"""The database: what differs between SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine, Table
    from sqlalchemy.dialects import postgresql, sqlite
    from sqlalchemy.sql.elements import ColumnElement

Insert: TypeAlias = "postgresql.Insert | sqlite.Insert"
State: TypeAlias = tuple[bytes, str, int]
"""A row: the key, the state as JSON, and the moment in milliseconds at which it expires."""


class _Asked(threading.local):
    deadline = float("inf")


asked: Final = _Asked()
"""What each thread has asked for: the moment of the monotonic clock by which it wants the answer."""


class Database(Protocol):
    """Opens connections to one database and knows its ways.

    Attributes:
        url: Where it is.
        max_connections: How many one process holds.
        reading: Execution options of a transaction that only reads.
        single: Execution options of a transaction of one statement, and of one that `read` begins and `write` ends.
    """

    url: URL
    max_connections: int
    reading: Mapping[str, object]
    single: Mapping[str, object]

    def engine(self, timeout_seconds: float) -> Engine:
        """Return an engine whose statements take no longer; nothing connects yet."""
        ...

    def answer_by(self, deadline: float) -> None:
        """Have what this thread asks from now on fail at a moment of the monotonic clock."""
        ...

    def read(self, connection: Connection, keys: Collection[bytes]) -> tuple[int, Sequence[State]]:
        """Keep everybody else from the states of these keys until the transaction ends, and read them.

        Returns:
            The store's time in milliseconds, when the turn has come, and the states that are there.
        """
        ...

    def write(self, connection: Connection, rows: Sequence[State], gone: Collection[bytes]) -> None:
        """Write states and delete those of other keys, as the last thing in a transaction; this may end it."""
        ...

    def lock(self, connection: Connection, keys: Collection[bytes]) -> None:
        """Keep everybody else from the states of these keys until the transaction ends."""
        ...

    def lock_schema(self, connection: Connection) -> None:
        """Keep everybody else from migrating until the transaction ends."""
        ...

    def now_ms(self) -> ColumnElement[int]:
        """Return the store's time in milliseconds, for one statement."""
        ...

    def insert(self, table: Table, rows: Sequence[dict[str, object]]) -> Insert:
        """Return a statement that inserts rows, which can say what to do on a conflict."""
        ...

    def describe(self, connection: Connection) -> str:
        """Return product and version, as ``PostgreSQL 16.2``."""
        ...
