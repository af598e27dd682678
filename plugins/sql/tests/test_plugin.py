"""The plugin: which URLs are its own, and what it says about those that it cannot open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url

from nexus_connector.errors import ConfigurationError
from nexus_connector.plugins import checked
from nexus_connector.state import LaterStore, Store
from nexus_connector_sql import SqlOptions, plugin
from nexus_connector_sql._plugin import SqlStores
from nexus_connector_sql._store import SqlStore


def made(store: Store | None) -> SqlStore:
    """The store that a URL stands for, whether it is made at once or later."""
    found = store.store if isinstance(store, LaterStore) else store
    assert isinstance(found, SqlStore)
    return found


def test_it_is_a_plugin() -> None:
    """The entry point names it, and its options have their defaults."""
    assert checked(plugin, "sql") is plugin
    assert plugin.config() == SqlOptions(timeout_seconds=None, max_connections=8)


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///nexus.db", "sqlite+pysqlite"),
        ("sqlite+pysqlite:////var/lib/nexus.db", "sqlite+pysqlite"),
        ("postgresql://u:p@db.example/nexus", "postgresql+psycopg"),
        ("postgresql+psycopg://u:p@db.example:5433/nexus?sslmode=require", "postgresql+psycopg"),
    ],
)
def test_hook_store_opens_its_urls(url: str, driver: str) -> None:
    """SQLAlchemy's forms; nothing connects yet."""
    store = made(SqlStores(SqlOptions()).store(url, "durable"))
    assert store._database.url.drivername == driver
    assert store._timeout_seconds == 2.0
    assert store._database.max_connections == (1 if "sqlite" in url else 8)


@pytest.mark.parametrize("url", ["redis://localhost", "mysql://u@h/d", "memory://", "postgresql+asyncpg://h/d"])
def test_other_urls_are_left_to_others(url: str) -> None:
    """``None``: not mine."""
    assert SqlStores(SqlOptions()).store(url, "durable") is None


@pytest.mark.parametrize(
    "url",
    [
        *("sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"),
        *("sqlite://host/x.db", "sqlite://u:p@host:1/x.db", "sqlite:///x.db?mode=ro"),
    ],
)
def test_a_database_that_keeps_nothing_is_refused(url: str) -> None:
    """A durable store that ends with the process would be a trap."""
    with pytest.raises(ConfigurationError, match=r"^stores\.durable: a sqlite:// store is a file"):
        SqlStores(SqlOptions()).store(url, "durable")


@pytest.mark.parametrize("url", ["postgresql://u:the-password@h:notaport/d", "sqlite", "postgresql:the-password"])
def test_an_invalid_url_is_refused_without_its_password(url: str) -> None:
    """The error shows how to write it, not what was written."""
    with pytest.raises(
        ConfigurationError, match=r"^stores\.durable: the \S+ URL cannot be read\. Write sqlite:///"
    ) as caught:
        SqlStores(SqlOptions()).store(url, "durable")
    assert "the-password" not in f"{caught.value!r}{caught.value}{caught.value.__context__}"


@pytest.mark.parametrize(
    ("url", "role", "options", "seconds"),
    [
        ("postgresql://h/d", "shared", SqlOptions(), 0.1),
        ("postgresql://h/d", "durable", SqlOptions(), 2.0),
        ("sqlite:///x.db", "shared", SqlOptions(), 2.0),
        ("sqlite:///x.db", "durable", SqlOptions(), 2.0),
        ("postgresql://h/d", "shared", SqlOptions(timeout_seconds=0.5), 0.5),
        ("postgresql://h/d", "durable", SqlOptions(timeout_seconds=0.5), 0.5),
        ("postgresql://h/d?timeout_seconds=0.3", "shared", SqlOptions(timeout_seconds=0.5), 0.3),
        ("sqlite:///x.db?timeout_seconds=0.3", "durable", SqlOptions(), 0.3),
    ],
)
def test_what_stands_before_every_call_has_little_time(
    url: str, role: str, options: SqlOptions, seconds: float
) -> None:
    """A shared store on a server has 0.1 s, any other 2 s; the options count before that, the URL before both."""
    store = made(SqlStores(options).store(url, role))
    assert store._timeout_seconds == seconds


def test_a_url_may_bring_its_own_timeout() -> None:
    """A shared store has less time than a durable one; the driver does not see it."""
    store = made(SqlStores(SqlOptions()).store("postgresql://h/d?timeout_seconds=0.1&sslmode=require", "durable"))
    assert store._timeout_seconds == 0.1
    assert dict(store._database.url.query) == {"sslmode": "require"}


@pytest.mark.parametrize("place", ["postgresql://h/d", "sqlite:///x.db"])
@pytest.mark.parametrize("seconds", ["0", "-1", "61", "soon", "1&timeout_seconds=2"])
def test_a_wrong_timeout_is_refused(place: str, seconds: str) -> None:
    """In a URL as in the options."""
    with pytest.raises(ConfigurationError, match="timeout_seconds"):
        SqlStores(SqlOptions()).store(f"{place}?timeout_seconds={seconds}", "durable")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///nexus.db", "nexus.db"),
        ("sqlite:////var/lib/nexus.db?timeout_seconds=1", "/var/lib/nexus.db"),
        ("sqlite+pysqlite:///data/a%20b%3F.db", "data/a b?.db"),
        ("sqlite:///C:/data/nexus.db", "C:/data/nexus.db"),
    ],
)
def test_the_path_of_a_file_is_what_sqlalchemy_reads(url: str, path: str) -> None:
    """The URL is taken apart before SQLAlchemy is there, and means the same."""
    assert make_url(url).database == path
    store = made(SqlStores(SqlOptions()).store(url, "durable"))
    assert store._database.url.database == str(Path(path).absolute())


BUILDS = """
import sys
from nexus_connector_sql import SqlOptions
from nexus_connector_sql._plugin import SqlStores

store = SqlStores(SqlOptions()).store(sys.argv[1], "durable")
print("sqlalchemy" in sys.modules)
store.get(("k",))
print("sqlalchemy" in sys.modules)
store.close()
"""


def test_sqlalchemy_is_imported_when_a_file_is_first_asked(tmp_path: Path) -> None:
    """Neither the plugin nor an opened store brings it: that takes longer than building a connector."""
    command = [sys.executable, "-c", BUILDS, f"sqlite:///{tmp_path}/nexus.db"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["False", "True"]


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the line that installs it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "nexus_connector_sql._postgresql", raising=False)
    with pytest.raises(ConfigurationError) as caught:
        SqlStores(SqlOptions()).store("postgresql://h/d", "durable")
    assert 'pip install "nexus-connector-sql[postgresql]"' in str(caught.value.hint)


@pytest.mark.parametrize("wrong", [{"timeout_seconds": 0}, {"timeout_seconds": 61}, {"max_connections": 0}])
def test_options_have_ranges(wrong: dict[str, float]) -> None:
    """A store that is never or for ever waited for is a mistake."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SqlOptions(**wrong)
