"""The redis plugin: a store in Redis, behind one server, Sentinel or a cluster."""

from __future__ import annotations

from nexus_connector import Plugin, hookimpl
from nexus_connector.errors import ConfigurationError
from nexus_connector.state import Store

from ._address import parse
from ._options import RedisOptions
from ._store import open_store

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
        """Open a store.

        Raises:
            ConfigurationError: If the URL cannot be read, or names Redis as what must survive.
        """
        address = parse(url, role)
        if address is None:
            return None
        if role == "durable":
            hint = "Name a database, as sqlite:///nexus.db or postgresql://HOST/NAME; Redis serves as stores.shared."
            raise ConfigurationError("stores.durable: Redis may lose what it keeps.", hint=hint)
        return open_store(address, self._options)


plugin: Plugin[RedisOptions] = Plugin(name="redis", factory=_Redis, config=RedisOptions)
"""What the entry point names."""
