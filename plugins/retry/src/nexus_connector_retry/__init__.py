"""The retry plugin: failed calls are tried again with backoff, within one deadline and one budget."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_connector.hooks import hookimpl
from nexus_connector.pipeline import Stage
from nexus_connector.plugins import Plugin
from nexus_connector.setup import ServiceSetup

from ._options import RetryOptions
from ._stage import RetryStage

__all__ = ["RetryOptions", "plugin"]


class _Retry:
    """The hooks of the plugin. What it does differs by service, so that it keeps nothing itself."""

    @hookimpl
    def stages(self, config: ServiceSetup) -> Sequence[Stage] | None:
        options = config.of(RetryOptions)
        if options is None:
            return None
        return [
            RetryStage(
                options,
                attempt_timeout_seconds=config.config.attempt_timeout_seconds,
                max_inline_wait_seconds=config.max_inline_wait_seconds,
            )
        ]


plugin: Plugin[RetryOptions] = Plugin(name="retry", factory=lambda _: _Retry(), config=RetryOptions)
"""What the entry point names."""
