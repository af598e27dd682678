"""The plugin: URLs become stores."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote

from nexus_connector.errors import ConfigurationError
from nexus_connector.hooks import hookimpl
from nexus_connector.plugins import Plugin
from nexus_connector.state import LaterStore, Store

from ._options import SqlOptions

if TYPE_CHECKING:
    from sqlalchemy import URL

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
        if scheme in _SQLITE:
            return self._file(url, scheme, role)
        return self._server(url, scheme, role) if scheme in _POSTGRESQL else None

    def _file(self, url: str, scheme: str, role: str) -> Store:
        """Open a file; its URL is read without SQLAlchemy, which is imported when the store is needed."""
        if "://" not in url:
            raise _unreadable(scheme, role)
        address, _, rest = url.removeprefix(f"{scheme}://").partition("?")
        query = parse_qs(rest)
        given = query.pop(_TIMEOUT, None)
        asked = given[0] if given is not None and len(given) == 1 else given
        seconds = (self._options.timeout_seconds if asked is None else _seconds(asked, scheme, role)) or _SECONDS
        host, _, path = address.partition("/")
        path = unquote(path)
        if not path or path == ":memory:" or path.startswith("file:") or query or host:
            hint = (
                "Write sqlite:///relative/path.db or sqlite:////absolute/path.db; memory:// for what ends with the "
                "process."
            )
            raise ConfigurationError(f"stores.{role}: a sqlite:// store is a file, named by its path alone.", hint=hint)
        # Absolute from here on: a process that changes its directory later goes on in the same file.
        absolute = str(Path(path).absolute())
        return LaterStore(lambda: _sqlite(absolute, seconds, role), durable=True)

    def _server(self, url: str, scheme: str, role: str) -> Store:
        where = _read(url, scheme, role)
        asked = where.query.get(_TIMEOUT)
        where = where.difference_update_query([_TIMEOUT])
        seconds = self._options.timeout_seconds if asked is None else _seconds(asked, scheme, role)
        default = _SHARED_SECONDS if role == "shared" else _SECONDS
        return _postgresql(where, role, self._options.max_connections, seconds or default)


def _read(url: str, scheme: str, role: str) -> URL:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    with suppress(ArgumentError, ValueError):  # whose texts repeat the URL
        return make_url(url)
    raise _unreadable(scheme, role)


def _unreadable(scheme: str, role: str) -> ConfigurationError:
    return ConfigurationError(f"stores.{role}: the {scheme}:// URL cannot be read.", hint=f"Write {_FORMS}.")


def _seconds(asked: object, scheme: str, role: str) -> float | None:
    with suppress(ValueError):
        return SqlOptions(timeout_seconds=float(str(asked))).timeout_seconds
    hint = "Write seconds above 0, at most 60, as timeout_seconds=0.1."
    raise ConfigurationError(f"stores.{role}: {_TIMEOUT} of the {scheme}:// URL is not valid.", hint=hint)


def _sqlite(path: str, seconds: float, role: str) -> SqlStore:
    from sqlalchemy import URL

    from ._sqlite import Sqlite
    from ._store import SqlStore

    url = URL.create("sqlite+pysqlite", database=path)
    return SqlStore(Sqlite(url, survives_power_failure=role == "durable"), timeout_seconds=seconds)


def _postgresql(where: URL, role: str, max_connections: int, seconds: float) -> SqlStore:
    try:
        from ._postgresql import Postgresql
    except ImportError as error:
        hint = 'pip install "nexus-connector-sql[postgresql]".'
        message = f"stores.{role}: a postgresql:// store needs psycopg, which is not installed."
        raise ConfigurationError(message, hint=hint) from error
    from ._store import SqlStore

    database = Postgresql(where.set(drivername="postgresql+psycopg"), max_connections)
    return SqlStore(database, timeout_seconds=seconds)


plugin = Plugin(name="sql", factory=SqlStores, config=SqlOptions)
"""What the entry point names."""
