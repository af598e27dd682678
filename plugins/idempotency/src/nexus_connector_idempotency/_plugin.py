"""The plugin: what the entry point names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nexus_connector.hooks import hookimpl
from nexus_connector.pipeline import Stage
from nexus_connector.plugins import Plugin
from nexus_connector.setup import ServiceSetup

from ._options import IdempotencyOptions

if TYPE_CHECKING:
    import click


class _Idempotency:
    """The hooks of the plugin. What it does differs by service, so that it keeps nothing itself."""

    @hookimpl
    def stages(self, config: ServiceSetup) -> Sequence[Stage] | None:
        options = config.of(IdempotencyOptions)
        if options is None or config.durable is None:
            return None
        from ._ledger import Ledger  # here: without a durable store there is nothing to keep
        from ._stage import IdempotencyStage

        return [IdempotencyStage(options, Ledger(config.name, config.durable, now=config.now))]

    @hookimpl
    def cli_commands(self, group: click.Group) -> None:
        from ._command import add_command  # here: click and rich are there where the command line is

        add_command(group)


plugin: Plugin[IdempotencyOptions] = Plugin(
    name="idempotency", factory=lambda _: _Idempotency(), config=IdempotencyOptions, durable=True
)
"""What the entry point names."""
