"""The redis plugin: a store in Redis, behind one server, Sentinel or a cluster."""

from __future__ import annotations

from nexus_connector.errors import ConfigurationError
from nexus_connector.hooks import hookimpl
from nexus_connector.plugins import Plugin
from nexus_connector.state import LaterStore, Store

from ._options import RedisOptions
from ._urls import is_plain, is_redis

__all__ = ["RedisOptions", "plugin"]


class _Redis:
    """The hooks of the plugin.

    Args:
        options: Those of ``[plugins.redis]``.
    """

    def __init__(self, options: RedisOptions) -> None:
        self._options = options

    @hookimpl
    def store(self, url: str, role: str) -> Store | None:
        """Open a store; redis-py is imported with the first question to it, or at once to read an odd URL.

        Raises:
            ConfigurationError: If the URL cannot be read, or names Redis as what must survive.
        """
        if not is_redis(url):
            return None
        plain = is_plain(url)
        store = LaterStore(lambda: self._open(url, role), durable=False, twin=True) if plain else self._open(url, role)
        if role == "durable":
            hint = "Name a database, as sqlite:///nexus.db or postgresql://HOST/NAME; Redis serves as stores.shared."
            raise ConfigurationError("stores.durable: Redis may lose what it keeps.", hint=hint)
        return store

    def _open(self, url: str, role: str) -> Store:
        from ._address import parse  # here: redis-py takes as long to import as half of a connector to build
        from ._store import open_store

        return open_store(parse(url, role), self._options)


plugin: Plugin[RedisOptions] = Plugin(name="redis", factory=_Redis, config=RedisOptions)
"""What the entry point names."""
