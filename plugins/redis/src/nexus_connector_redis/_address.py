"""Addresses: what a store's URL says about where Redis is and how it is spoken to."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, TypeAlias, cast

import attrs
import redis
from redis import connection as driver

from nexus_connector.errors import ConfigurationError

from ._urls import SCHEMES, Kind

Host: TypeAlias = tuple[str, int]
"""Name or address, and port."""

_PORTS: Final[Mapping[Kind, int]] = {"server": 6379, "sentinel": 26379, "cluster": 6379}
_TAKEN: Final = frozenset({"db", "username", "password", "client_name", "path", "connection_class"})


@attrs.frozen(kw_only=True)
class Address:
    """Where Redis is.

    Attributes:
        kind: Whether `hosts` are one server, sentinels that know it, or nodes of a cluster.
        hosts: One or several; empty: a unix socket.
        service: Name under which the sentinels know the server.
        shown: How messages call it, without a secret.
        secrets: What no message may show.
        driver: Name of redis-py's connections to such a place; those that block and those of asyncio share it.
        settings: What a connection to a server is made of, beside its host.
        sentinel_settings: The same for a sentinel.
    """

    kind: Kind
    hosts: tuple[Host, ...]
    service: str
    shown: str
    secrets: tuple[str, ...] = attrs.field(repr=False)
    driver: str
    settings: Mapping[str, Any] = attrs.field(repr=False)
    sentinel_settings: Mapping[str, Any] = attrs.field(repr=False)

    def connection(
        self, drivers: ModuleType, host: Host | None, settings: Mapping[str, Any], timeout_seconds: float | None = None
    ) -> object:
        """Make one of redis-py's connections, not connected yet.

        Args:
            drivers: Its module of connections: ``redis.connection`` or ``redis.asyncio.connection``.
            host: To whom; ``None``: the unix socket.
            settings: Those of this address, or of its sentinels.
            timeout_seconds: How long it waits by itself; ``None``: somebody else looks at the clock.

        Raises:
            TypeError: If these connections do not take one of the settings.
        """
        make: Callable[..., object] = getattr(drivers, self.driver)
        where = {} if host is None else {"host": host[0], "port": host[1]}
        times = {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}
        return make(**where, **settings, **times, protocol=2, **_nameless(drivers))

    def hide(self, text: str) -> str:
        """Return a text without what no message may show."""
        for secret in self.secrets:
            text = text.replace(secret, "****")
        return text


@functools.cache
def _nameless(drivers: ModuleType) -> Mapping[str, None]:
    """Return the settings without which redis-py tells every new connection its own name, in two round trips."""
    known = inspect.signature(drivers.AbstractConnection.__init__).parameters
    return dict.fromkeys(["driver_info"] if "driver_info" in known else ["lib_name", "lib_version"])


def parse(url: str, role: str) -> Address:
    """Read the URL of a store.

    Args:
        url: The URL, with a scheme of Redis's; it may hold a password.
        role: Which store it is of; errors name its key.

    Raises:
        ConfigurationError: If it is not right.
    """
    scheme, _, rest = url.partition("://")
    kind, base = SCHEMES[scheme.lower()]
    try:
        address = _parsed(kind, base, rest)
        address.connection(driver, address.hosts[0] if address.hosts else None, address.settings)
    except (ValueError, TypeError, redis.RedisError):  # their texts may show the URL
        message = f"stores.{role}: the {scheme}:// URL cannot be read."
        raise ConfigurationError(message, hint=_HINTS.get(kind if base != "unix" else base, "")) from None
    return address


_HINTS: Final = {
    "server": "Write redis://USER:PASSWORD@HOST:PORT/DB; special characters in them are percent-encoded.",
    "unix": "Write unix:///PATH?db=DB.",
    "sentinel": "Write redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB; SERVICE is the name the sentinels know.",
    "cluster": "Write redis+cluster://HOST:PORT,HOST:PORT; a cluster has no databases.",
}


def _parsed(kind: Kind, base: str, rest: str) -> Address:
    place, mark, query = rest.partition("?")
    authority, _, path = place.partition("/")
    user, at, names = authority.rpartition("@")
    hosts: tuple[Host, ...] = ()
    service, database = "", path
    if base == "unix":
        shown, settings = f"/{path}", _settings(f"unix://{user}{at}/{path}{mark}{query}")
        if names or not path:
            raise ValueError(names)
    else:
        hosts = tuple(_host(name, _PORTS[kind]) for name in names.split(","))
        if kind == "sentinel":
            service, _, database = path.partition("/")
        shown = ",".join(f"{host}:{port}" for host, port in hosts) + (f"/{service}" if service else "")
        settings = _settings(f"{base}://{user}{at}host/{database}{mark}{query}")
        _check(kind, hosts, service, database, settings.get("db"))
    made_by = settings.pop("connection_class", redis.Connection)
    sentinel = {name.removeprefix("sentinel_"): settings.pop(name) for name in sorted(_SENTINEL & settings.keys())}
    if unknown := {name for name in settings if name not in _TAKEN and not name.startswith("ssl_")}:
        raise ValueError(unknown)
    secrets = (settings.get("password"), sentinel.get("password"), settings.get("ssl_password"))
    tls = {name: value for name, value in settings.items() if name.startswith("ssl_")}
    return Address(
        kind=kind,
        hosts=hosts,
        service=service,
        shown=shown,
        secrets=tuple(secret for secret in secrets if secret),
        driver=made_by.__name__,
        settings=settings,
        sentinel_settings={**tls, **sentinel},
    )


_SENTINEL: Final = frozenset({"sentinel_username", "sentinel_password"})


def _settings(url: str) -> dict[str, Any]:
    settings = cast("dict[str, Any]", cast("Any", driver).parse_url(url))
    settings.pop("host", None)
    return settings


def _host(name: str, port: int) -> Host:
    if name.startswith("["):
        host, end, rest = name[1:].partition("]")
        colon, digits = rest[:1] if end else "]", rest[1:]
    else:
        host, colon, digits = name.partition(":")
    if not host or colon not in {"", ":"} or (colon and not 0 < int(digits) < 65536):
        raise ValueError(name)
    return host, int(digits) if digits else port


def _check(kind: Kind, hosts: tuple[Host, ...], service: str, path: str, database: int | None) -> None:
    if kind == "server" and len(hosts) > 1:
        raise ValueError(hosts)
    if kind == "sentinel" and not service:
        raise ValueError(service)
    if path and not path.isdecimal():  # redis-py would take database 0
        raise ValueError(path)
    if kind == "cluster" and database:
        raise ValueError(database)
