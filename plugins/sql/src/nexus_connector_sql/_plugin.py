"""The plugin: URLs become stores."""

from __future__ import annotations

from contextlib import suppress
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
_SHARED_SECONDS: Final = 0.1
"""A shared store stands before every call. SQLite has more: its writers wait for each other, not for a network."""
_SECONDS: Final = 2.0
_FORMS: Final = "sqlite:///relative/path.db, sqlite:////absolute/path.db, postgresql://user:password@host/database"


class SqlStores:
    """Opens stores in databases.

    Args:
        options: Those of ``[plugins.sql]``.
    """

    def __init__(self, options: SqlOptions) -> None:
        self._options = options

    @hookimpl
    def store(self, url: str, role: str) -> Store | None:
        """Open a store.

        Raises:
            ConfigurationError: If the URL says too little, or the driver is not installed.
        """
        scheme = url.partition(":")[0]
        if scheme not in _SQLITE | _POSTGRESQL:
            return None
        where = _read(url, scheme, role)
        asked = where.query.get(_TIMEOUT)
        where = where.difference_update_query([_TIMEOUT])
        seconds = self._options.timeout_seconds if asked is None else _seconds(asked, scheme, role)
        if scheme in _SQLITE:
            return SqlStore(_sqlite(where, role), timeout_seconds=seconds or _SECONDS)
        database = _postgresql(where, role, self._options.max_connections)
        return SqlStore(database, timeout_seconds=seconds or (_SHARED_SECONDS if role == "shared" else _SECONDS))


def _read(url: str, scheme: str, role: str) -> URL:
    with suppress(ArgumentError, ValueError):  # whose texts repeat the URL
        return make_url(url)
    raise ConfigurationError(f"stores.{role}: the {scheme}:// URL cannot be read.", hint=f"Write {_FORMS}.")


def _seconds(asked: object, scheme: str, role: str) -> float | None:
    with suppress(ValueError):
        return SqlOptions(timeout_seconds=float(str(asked))).timeout_seconds
    hint = "Write seconds above 0, at most 60, as timeout_seconds=0.1."
    raise ConfigurationError(f"stores.{role}: {_TIMEOUT} of the {scheme}:// URL is not valid.", hint=hint)


def _sqlite(where: URL, role: str) -> Database:
    path = where.database
    if not path or path == ":memory:" or path.startswith("file:") or where.query or where.host:
        hint = (
            "Write sqlite:///relative/path.db or sqlite:////absolute/path.db; memory:// for what ends with the process."
        )
        raise ConfigurationError(f"stores.{role}: a sqlite:// store is a file, named by its path alone.", hint=hint)
    # Absolute from here on: a process that changes its directory later goes on in the same file.
    url = where.set(drivername="sqlite+pysqlite", database=str(Path(path).absolute()))
    return Sqlite(url, survives_power_failure=role == "durable")


def _postgresql(where: URL, role: str, max_connections: int) -> Database:
    try:
        from ._postgresql import Postgresql
    except ImportError as error:
        hint = 'pip install "nexus-connector-sql[postgresql]".'
        message = f"stores.{role}: a postgresql:// store needs psycopg, which is not installed."
        raise ConfigurationError(message, hint=hint) from error
    return Postgresql(where.set(drivername="postgresql+psycopg"), max_connections)


plugin = Plugin(name="sql", factory=SqlStores, config=SqlOptions)
"""What the entry point names."""
