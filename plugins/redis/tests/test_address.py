from __future__ import annotations

import traceback
from typing import Any

import pytest

from nexus_connector.config.reading import read
from nexus_connector.errors import ConfigurationError
from nexus_connector.plugins import new_registry, register
from nexus_connector_redis import RedisOptions, plugin
from nexus_connector_redis._address import parse


def hook(**options: Any) -> Any:
    """Register the plugin as the core does; return its hook."""
    registry = new_registry()
    register(registry, plugin.factory(RedisOptions(**options)), plugin.name)
    return registry.hook.store


@pytest.mark.parametrize(
    ("url", "kind", "hosts", "shown"),
    [
        ("redis://", None, None, None),
        ("redis://crm", "server", [("crm", 6379)], "crm:6379"),
        ("redis://u:p@crm:7/2", "server", [("crm", 7)], "crm:7"),
        ("REDISS://[::1]:7/2", "server", [("::1", 7)], "::1:7"),
        ("rediss://[::1]?ssl_ca_certs=/ca.pem", "server", [("::1", 6379)], "::1:6379"),
        ("unix:///run/redis.sock", "server", [], "/run/redis.sock"),
        ("redis+unix://:p@/run/redis.sock?db=2", "server", [], "/run/redis.sock"),
        ("redis+sentinel://a,b:7/main", "sentinel", [("a", 26379), ("b", 7)], "a:26379,b:7/main"),
        ("rediss+sentinel://u:p@a,[::1]:7/main/2", "sentinel", [("a", 26379), ("::1", 7)], "a:26379,::1:7/main"),
        ("redis+cluster://a,b:7", "cluster", [("a", 6379), ("b", 7)], "a:6379,b:7"),
        ("rediss+cluster://a/0", "cluster", [("a", 6379)], "a:6379"),
    ],
)
def test_urls(url: str, kind: str | None, hosts: object, shown: str | None) -> None:
    """Every form of URL says who is asked; what messages call it holds neither user nor password."""
    if kind is None:
        with pytest.raises(ConfigurationError):
            parse(url, "shared")
        return
    address = parse(url, "shared")
    assert address is not None
    assert (address.kind, list(address.hosts), address.shown) == (kind, hosts, shown)


@pytest.mark.parametrize("url", ["memory://", "sqlite:///x", "redis", "redis:", "postgresql+psycopg://x", "redisx://a"])
def test_other_schemes_are_left_to_others(url: str) -> None:
    """A URL that is not Redis's is not opened."""
    assert hook()(url=url, role="shared") is None


@pytest.mark.parametrize(
    "url",
    [
        "redis://:geheim@crm:port",
        "redis://:geheim@crm:0",
        "redis://:geheim@crm:70000",
        "redis://:geheim@crm/db",
        "redis://:geheim@a,b",
        "redis://:geheim@",
        "redis://:geheim@[::1",
        "redis://:geheim@[::1]x7",
        "redis://:geheim@crm?max_connections=5",
        "redis://:geheim@crm?socket_timeout=5",
        "redis://:geheim@crm?retry_on_timeout=true",
        "redis://:geheim@crm?decode_responses=true",
        "redis://:geheim@crm?ssl_ca_certs=/x",
        "rediss://:geheim@crm?ssl_cert_reqs=maybe",
        "redis://:geheim@crm?db=two",
        "unix://:geheim@",
        "unix://:geheim@host/path",
        "redis+sentinel://:geheim@a",
        "redis+sentinel://:geheim@a/",
        "redis+sentinel://:geheim@a/main/x",
        "redis+cluster://:geheim@a/3",
        "redis+cluster://:geheim@a?db=3",
        "redis+cluster://:geheim@a,",
    ],
)
def test_wrong_urls_say_what_is_right(url: str) -> None:
    """A URL with a mistake fails at start, with the form it should have and without its password."""
    with pytest.raises(ConfigurationError, match=r"^stores\.shared: the \S+:// URL cannot be read\. Write ") as caught:
        hook()(url=url, role="shared")

    assert "geheim" not in "".join(traceback.format_exception(caught.value))


def test_an_address_does_not_show_its_password() -> None:
    """Neither printed nor in a debugger's list of variables."""
    address = parse("redis+sentinel://:geheim@a/main?sentinel_password=stumm", "shared")

    assert address is not None
    assert "geheim" not in repr(address)
    assert "stumm" not in repr(address)
    assert address.hide("geheim und stumm") == "**** und ****"


def test_opening_connects_to_nobody() -> None:
    """A store of an address where nobody is can be made and closed; it says what it is."""
    for url in ("redis://127.0.0.1:1", "redis+sentinel://127.0.0.1:1/x", "redis+cluster://127.0.0.1:1"):
        store = hook()(url=url, role="shared")
        assert store.blocking is True
        assert store.durable is False
        store.close()
        store.close()


def test_options_are_read() -> None:
    """``[plugins.redis]`` takes the options with their ranges and refuses others."""
    options = read({"timeout_seconds": 0.05, "max_connections": 4}, RedisOptions, "plugins.redis")
    assert options == RedisOptions(timeout_seconds=0.05, max_connections=4)
    for wrong in ({"timeout_seconds": 0}, {"timeout_seconds": 61}, {"max_connections": 0}, {"key_prefix": "{a}"}):
        with pytest.raises(ConfigurationError):
            read(wrong, RedisOptions, "plugins.redis")


@pytest.mark.parametrize("url", ["redis://:geheim@crm", "unix:///run/redis.sock", "redis+cluster://:geheim@crm"])
def test_redis_is_no_durable_store(url: str) -> None:
    """What must survive would be lost with Redis: refused at start, with what to name instead."""
    with pytest.raises(ConfigurationError, match=r"^stores\.durable: Redis may lose what it keeps\.") as caught:
        hook()(url=url, role="durable")

    assert "sqlite:///" in str(caught.value.hint)
    assert "geheim" not in str(caught.value)
    assert hook()(url="sqlite:///nexus.db", role="durable") is None
