"""The failover plugin: a service with several base URLs is served by one that answers, and by the first again later."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_connector.config import EndpointConfig
from nexus_connector.hooks import hookimpl
from nexus_connector.pipeline import Stage
from nexus_connector.plugins import Plugin
from nexus_connector.setup import ServiceSetup

from ._options import FailoverOptions

__all__ = ["FailoverOptions", "plugin"]

_DEFAULT = EndpointConfig()


class _Failover:
    """The hooks of the plugin. What it does differs by service, so that it keeps nothing itself."""

    @hookimpl
    def stages(self, config: ServiceSetup) -> Sequence[Stage] | None:
        options, regions, endpoints = config.of(FailoverOptions), config.config.regions, config.config.endpoints
        if options is None or len(regions) < 2:
            return None
        from ._stage import FailoverStage, MovesStage  # here: most services have one place

        picker = FailoverStage(regions, options, lambda operation: endpoints.get(operation, _DEFAULT).group)
        return [picker, MovesStage(regions)]


plugin: Plugin[FailoverOptions] = Plugin(name="failover", factory=lambda _: _Failover(), config=FailoverOptions)
"""What the entry point names."""
