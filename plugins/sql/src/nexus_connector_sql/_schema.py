"""The schema: two tables, their version, and the way there from the versions before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, MetaData, Table, Text, inspect, select

from nexus_connector.state import Key, StoreError, encode_key

_log = logging.getLogger("nexus_connector.plugins.sql")

metadata: Final = MetaData()

states: Final = Table(
    "nexus_connector_states",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("state", Text, nullable=False),
    Column("expires_ms", BigInteger, nullable=False, index=True),
)
values: Final = Table(
    "nexus_connector_values",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("expires_ms", BigInteger, nullable=False, index=True),
)
schema: Final = Table("nexus_connector_schema", metadata, Column("version", Integer, nullable=False))

LONGEST_KEY: Final = 512
"""Bytes up to which a key is written out. An index of PostgreSQL takes some 2,700."""


def stored(key: Key) -> bytes:
    """Return a key as it stands in the tables: written out, or its beginning and its digest.

    >>> stored(("limits", "crm"))
    b'6:limits3:crm'
    >>> len(stored(("x" * 100_000,)))
    513
    """
    whole = encode_key(key).encode("utf-8", "surrogatepass")
    # One byte longer than any key that is written out: the two kinds never meet.
    return whole if len(whole) <= LONGEST_KEY else whole[: LONGEST_KEY - 31] + sha256(whole).digest()


def _first(connection: Connection) -> None:
    metadata.create_all(connection)


MIGRATIONS: Final[Sequence[Callable[[Connection], None]]] = (_first,)
"""What makes version 1 out of nothing, version 2 out of version 1, and so on."""


def version(connection: Connection) -> int:
    """Return the version of the schema; 0: there is none.

    Raises:
        StoreError: If it is newer than what is known here.
    """
    if not inspect(connection).has_table(schema.name):
        return 0
    found = connection.scalar(select(schema.c.version)) or 0
    if found > len(MIGRATIONS):
        message = f"schema version {found} is newer than this nexus-connector-sql, which knows {len(MIGRATIONS)}"
        raise StoreError(f"{message}: upgrade it")
    return found


def migrate(connection: Connection, name: str) -> None:
    """Bring the schema to the newest version and say so.

    Args:
        connection: In a transaction in which nobody else migrates.
        name: What the database is called in the log.
    """
    before = version(connection)
    for step in MIGRATIONS[before:]:
        step(connection)
    if before < len(MIGRATIONS):
        connection.execute(schema.delete())
        connection.execute(schema.insert().values(version=len(MIGRATIONS)))
        _log.info("%s: schema migrated from version %d to %d.", name, before, len(MIGRATIONS))
