"""The plugin: what the entry point names."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_connector.hooks import hookimpl
from nexus_connector.pipeline import Stage
from nexus_connector.plugins import Plugin
from nexus_connector.setup import ServiceSetup

from ._options import CacheOptions


class _Cache:
    """The hooks of the plugin. What it does differs by service, so that it keeps nothing itself."""

    @hookimpl
    def stages(self, config: ServiceSetup) -> Sequence[Stage] | None:
        options = config.of(CacheOptions)
        if options is None or not options.enabled:
            return None
        from ._stage import CacheStage  # here: installed alone, it has nothing to do

        return [CacheStage(options, store=config.shared)]


def _waiting(options: CacheOptions) -> str | None:
    return None if options.enabled else "cache = true"


plugin: Plugin[CacheOptions] = Plugin(name="cache", factory=lambda _: _Cache(), config=CacheOptions, waiting=_waiting)
"""What the entry point names."""
