"""The redis plugin: a store in Redis, behind one server, Sentinel or a cluster."""

from __future__ import annotations

from nexus_connector import Plugin, hookimpl
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
    def store(self, url: str) -> Store | None:
        address = parse(url, timeout_seconds=self._options.timeout_seconds)
        return None if address is None else open_store(address, self._options)


plugin: Plugin[RedisOptions] = Plugin(name="redis", factory=_Redis, config=RedisOptions)
"""What the entry point names."""
