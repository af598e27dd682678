"""The plugin: URLs become stores."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from nexus_connector import Plugin, hookimpl
from nexus_connector.errors import ConfigurationError
from nexus_connector.state import Store

from ._database import Database
from ._options import SqlOptions
from ._sqlite import Sqlite
from ._store import SqlStore

_SQLITE: Final = {"sqlite", "sqlite+pysqlite"}
_POSTGRESQL: Final = {"postgresql", "postgresql+psycopg"}
_TIMEOUT: Final = "timeout_seconds"
_FORMS: Final = "sqlite:///relative/path.db, sqlite:////absolute/path.db, postgresql://user:password@host/database"


class SqlStores:
    """Opens stores in databases.

    Args:
        options: Those of ``[plugins.sql]``.
    """

    def __init__(self, options: SqlOptions) -> None:
        self._options = options

    @hookimpl
    def store(self, url: str) -> Store | None:
        """Open a store.

        Raises:
            ConfigurationError: If the URL says too little, or the driver is not installed.
        """
        scheme = url.partition(":")[0]
        if scheme not in _SQLITE | _POSTGRESQL:
            return None
        where, timeout_seconds = self._read(url, scheme)
        database = _sqlite(where) if scheme in _SQLITE else _postgresql(where, self._options.max_connections)
        return SqlStore(database, timeout_seconds=timeout_seconds)

    def _read(self, url: str, scheme: str) -> tuple[URL, float]:
        """Return the URL for the driver, and the time that it may take."""
        try:
            where = make_url(url)
        except (ArgumentError, ValueError):  # its text repeats the URL
            where = None
        if where is None:
            raise ConfigurationError(f"A {scheme}:// store has no valid URL.", hint=f"Write {_FORMS}.")
        asked = where.query.get(_TIMEOUT)
        if asked is None:
            return where, self._options.timeout_seconds
        try:
            options = SqlOptions(timeout_seconds=float(str(asked)))
        except ValueError:
            hint = "Write seconds above 0, at most 60, as timeout_seconds=0.1."
            raise ConfigurationError(f"The URL of a {scheme}:// store: {_TIMEOUT} is not valid.", hint=hint) from None
        return where.difference_update_query([_TIMEOUT]), options.timeout_seconds


def _sqlite(where: URL) -> Database:
    path = where.database
    if not path or path == ":memory:" or path.startswith("file:") or where.query or where.host:
        hint = (
            "Write sqlite:///relative/path.db or sqlite:////absolute/path.db; memory:// for what ends with the process."
        )
        raise ConfigurationError("A sqlite:// store is a file, named by its path alone.", hint=hint)
    # Absolute from here on: a process that changes its directory later goes on in the same file.
    return Sqlite(where.set(drivername="sqlite+pysqlite", database=str(Path(path).absolute())))


def _postgresql(where: URL, max_connections: int) -> Database:
    try:
        from ._postgresql import Postgresql
    except ImportError as error:
        hint = 'pip install "nexus-connector-sql[postgresql]".'
        raise ConfigurationError("A postgresql:// store needs psycopg, which is not installed.", hint=hint) from error
    return Postgresql(where.set(drivername="postgresql+psycopg"), max_connections)


plugin = Plugin(name="sql", factory=SqlStores, config=SqlOptions)
"""What the entry point names."""
