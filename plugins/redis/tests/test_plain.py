from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import connection as driver

from nexus_connector.errors import ConfigurationError
from nexus_connector.state import AtomicOp, LaterStore, Store
from nexus_connector_redis import RedisOptions, _urls, plugin
from nexus_connector_redis._address import parse
from nexus_connector_redis._store import RedisStore

MakeStore = Callable[..., Store]

ADD = AtomicOp(name="plain.add", version=1, py=lambda state, now, args: (1, 60_000, [state, now > 0, list(args)]))
LOADED = """
import sys
from nexus_connector_redis import RedisOptions, plugin
store = plugin.factory(RedisOptions()).store(sys.argv[1], "shared")
print("redis" in sys.modules)
"""


def opened(url: str) -> Store:
    store = plugin.factory(RedisOptions()).store(url, "shared")  # type: ignore[attr-defined]
    return cast("Store", store)


@given(url=st.from_regex(_urls.PLAIN, fullmatch=True))
def test_redis_py_reads_what_is_plain(url: str) -> None:
    """It says nothing against a plain URL and finds the host, port, database, user and password that stand there."""
    assert is_read_alike(url)


def test_one_character_more_is_read_alike_or_not_plain() -> None:
    """Wherever any one character is put into a plain URL, redis-py reads the new one as it stands, or is asked."""
    url, odd = "rediss://us:pw@crm:63/1", [*map(chr, range(256)), "\u2100", "\uff0f", "\ud800"]
    found = [is_read_alike(url[:at] + each + url[at:]) for at in range(len(url) + 1) for each in odd]
    assert 0 < sum(found) < len(found)


def is_read_alike(url: str) -> bool:
    """Say whether a URL is plain; if it is, redis-py must find in it what stands there."""
    found = _urls.PLAIN.fullmatch(url)
    if found is None:
        return False
    said = {name: unquote(value) for name, value in found.groupdict().items() if value}
    settings = cast("Mapping[str, Any]", cast("Any", driver).parse_url(url))
    assert settings["host"] == said["host"].lower()
    assert settings.get("port") == (int(said["port"]) if "port" in said else None)
    assert settings.get("db") == (int(said["db"]) if "db" in said else None)
    assert settings.get("username") == said.get("user")
    assert settings.get("password") == said.get("password")
    assert settings.keys() <= {"host", "port", "db", "username", "password", "connection_class"}
    assert settings.get("connection_class", driver.Connection) is (
        driver.SSLConnection if url.startswith("rediss:") else driver.Connection
    )
    return True


@given(url=st.from_regex(_urls.PLAIN, fullmatch=True))
def test_a_plain_url_is_no_mistake(url: str) -> None:
    """What is not looked at when the application starts fails later neither: it can be read, for both faces."""
    store = opened(url)
    assert isinstance(store, LaterStore)
    assert (store.durable, store.blocking) == (store.store.durable, store.store.blocking)
    assert store.twin is not None
    assert store.store.twin is not None  # type: ignore[attr-defined]

    address = parse(url, "shared")
    found = _urls.PLAIN.fullmatch(url)
    assert found is not None
    assert address.kind == "server"
    assert address.hosts == ((found["host"], int(found["port"] or 6379)),)


@pytest.mark.parametrize(
    "url",
    [
        "redis://crm",
        "redis://crm/",
        "redis://127.0.0.1:6379/0",
        "rediss://user:p%40ss@redis-1.eu_west.example:16379/15",
        "redis://:secret@crm",
        "redis://user@crm",
    ],
)
def test_what_nearly_everybody_writes_is_plain(url: str) -> None:
    """Such a URL does not make an application wait for redis-py when it starts; others are few."""
    assert isinstance(opened(url), LaterStore)


@pytest.mark.parametrize(
    "url",
    [
        "redis://crm?db=0",
        "redis://crm/0?",
        "redis://crm#0",
        "REDIS://crm",
        "redis://[::1]",
        "redis://crm:65535",
        "redis://:%zz@crm",
        "redis://:a b@crm",
        "redis://:a@b@crm",
        "redis://a:b:c@crm",
        "redis://a/b@crm",
        "redis://:a/b@crm/0",
        "redis://:ä@crm",
        "redis://crm ",
        "redis://crm\n",
        "redis://crm/0\n",
        "unix:///run/redis.sock",
        "redis+unix:///run/redis.sock",
        "redis+sentinel://crm/main",
        "redis+cluster://crm",
    ],
)
def test_everything_else_is_not(url: str) -> None:
    """A URL that is good or may be, but not known to be, is read by redis-py before the application starts."""
    assert not _urls.is_plain(url)
    with contextlib.suppress(ConfigurationError):
        assert isinstance(opened(url), RedisStore)


@pytest.mark.parametrize(("url", "loaded"), [("redis://:secret@crm:7/2", False), ("redis://crm?db=2", True)])
def test_a_plain_url_is_opened_without_redis_py(url: str, loaded: bool) -> None:
    """Its import takes longer than everything else; an odd URL is worth the wait, for its mistakes show at once."""
    program = [sys.executable, "-c", LOADED, url]
    assert subprocess.run(program, check=True, capture_output=True, text=True).stdout == f"{loaded}\n"


@pytest.mark.parametrize("face", ["store", "twin"])
def test_a_plain_url_is_a_store_for_both_faces(
    make_server: Callable[..., Any], make_store: MakeStore, face: str
) -> None:
    """The first question makes the store; from then on it is the same one."""
    store = make_store(f"redis://127.0.0.1:{make_server(tcp=True).port}/3")
    key = ("crm", face)

    assert store.run([(ADD, key, (1,))]) == [[None, True, [1]]]
    assert store.run([(ADD, key, (2,))]) == [[1, True, [2]]]
    assert store.put(key, b"1", ttl_ms=60_000)
    assert store.get(key) == b"1"
    store.delete(key)
    assert store.get(key) is None
